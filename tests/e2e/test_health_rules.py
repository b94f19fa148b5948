"""Health rules of people's own, from a commit to what a unit says of itself."""

from __future__ import annotations

import pytest
from tests.e2e.stories import PROJECT, application, folder_of
from tests.e2e.world import standing

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

RULE = """apiVersion: kedge.dev/v1alpha1
kind: HealthRule
metadata: {name: greetings}
spec:
  kinds: [ConfigMap]
  checks:
    - {when: "object.data.greeting == 'GREETING'", status: Degraded, message: "'rude: ' + object.data.greeting"}
  cases:
    - {name: rude, object: {data: {greeting: GREETING}}, status: Degraded, message: rude}
    - {name: polite, object: {data: {greeting: hello}}, status: Healthy}
"""


async def test_a_rule_in_git_judges_what_runs_already_and_goes_when_it_leaves_git(tmp_path):
    async with standing(tmp_path) as world:
        world.repository.write(
            {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web"), **folder_of("web", "moo")}
        )
        await world.synced("shop/web", world.pushed("begin"))
        world.repository.write({".kedge/rule.yaml": RULE.replace("GREETING", "moo")})
        world.pushed("moo is rude")
        ill = await world.until("shop/web", lambda d: d.shown.health.status == "Degraded")
        assert "rude: moo" in ill.shown.why
        world.repository.write({".kedge/rule.yaml": RULE.replace("{data: {greeting: GREETING}}", "{}")})
        world.pushed("a rule whose own case fails is not in force, and the one before it stays")
        await world.said("case “rude”", "get", "event")
        ill = await world.until("shop/web", lambda d: d.shown.health.status == "Degraded")
        world.repository.write({".kedge/rule.yaml": None})
        world.pushed("no rule")
        await world.synced("shop/web")
