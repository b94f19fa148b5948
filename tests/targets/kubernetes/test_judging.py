from __future__ import annotations

from typing import Any

import pytest
from tests.doors.kube_world import World, config_map, definition, ref, staged

from kedge.compose import rulebook
from kedge.model.errors import Invalid
from kedge.model.health import Status
from kedge.model.rule import HealthCheck, HealthRule
from kedge.targets.kubernetes.judging import Judging, concerns

RED = HealthRule(
    "settings", ("ConfigMap",), (HealthCheck("object.data.color == 'red'", Status.DEGRADED, "'it is red'"),)
)
BROKEN = HealthRule("broken", ("ConfigMap",), (HealthCheck("object.", Status.DEGRADED),))


def judged(judging: Judging, color: str) -> str:
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {"color": color}}
    return judging.judged(obj, 0.0)[0].status.value


def test_a_declared_rule_is_in_force_from_when_it_is_told() -> None:
    judging = Judging(rulebook)

    assert judged(judging, "red") == "Healthy"
    assert judging.replace((RED,)) == (RED,)
    assert judged(judging, "red") == "Degraded"
    assert judging.replace((RED,)) == ()
    assert judging.replace(()) == (RED,)
    assert judged(judging, "red") == "Healthy"


def test_a_rule_that_does_not_compile_changes_nothing() -> None:
    judging = Judging(rulebook)
    judging.replace((RED,))

    with pytest.raises(Invalid):
        judging.replace((BROKEN,))

    assert judged(judging, "red") == "Degraded"


def test_rules_concern_the_kinds_that_they_name() -> None:
    assert concerns((RED,), ref("ConfigMap", "x"))
    assert not concerns((RED,), ref("Deployment", "x", group="apps"))


@staged
async def test_a_new_rule_judges_what_is_there_already_and_rings(world: World) -> None:
    settings = ref("ConfigMap", "settings")
    await world.deploy(config_map("settings", color="red"))
    (sight,) = await world.look(settings)
    assert sight.status == "Healthy"
    world.rings.clear()

    world.target.judge_by((RED,))

    (sight,) = await world.look(settings)
    assert (sight.status, sight.message, sight.gated) == ("Degraded", "it is red", True)
    assert world.rings


@staged
async def test_nobody_waits_for_a_report_on_a_kind_that_has_no_status(world: World) -> None:
    reporting = definition(kind="Gadget")
    reporting["spec"]["versions"][0]["subresources"] = {"status": {}}
    await world.deploy(definition(), reporting)
    await world.clock.sleep(20)
    seen = []
    for kind in ("Widget", "Gadget"):
        await world.deploy({"apiVersion": "example.org/v1", "kind": kind, "metadata": {"name": "one"}})
        (sight,) = await world.look(ref(kind, "one", group="example.org"))
        seen.append((sight.status, sight.gated))
    assert seen == [("Healthy", False), ("Progressing", True)]
    await world.clock.sleep(40)
    gadget = ref("Gadget", "one", group="example.org")
    await world.until(gadget, "Healthy")
