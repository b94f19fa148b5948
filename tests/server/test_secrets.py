from __future__ import annotations

import pytest
from tests.server.driver import READER, Fakes, running

PATH = "/api/v1/secrets"
CANARY = "canary-7f3a-secret"


async def test_a_secret_is_kept_listed_by_name_and_deleted_and_each_is_on_record():
    fakes = Fakes()
    async with running(fakes) as client:
        kept = await client.send("PUT", f"{PATH}/forge", {"value": CANARY})
        listed = await client.get(PATH)
        assert fakes.store.secrets == {"forge": CANARY}
        gone = await client.ask("DELETE", f"{PATH}/forge")
        again = await client.ask("DELETE", f"{PATH}/forge")
    assert (kept.status, listed.json["items"], gone.status, again.status) == (200, ["forge"], 200, 404)
    assert [event.kind for event in fakes.store.sealed_events] == ["secret.kept", "secret.deleted"]
    assert all(event.actor == "admin" for event in fakes.store.sealed_events)
    assert CANARY.encode() not in kept.body + listed.body + gone.body
    assert CANARY not in repr(fakes.store.sealed_events)


@pytest.mark.parametrize("body", [{"value": ""}, {"value": CANARY * 9000}, {"value": [CANARY]}, {"word": CANARY}, None])
async def test_a_value_that_cannot_be_kept_is_refused_without_quoting_it(body):
    fakes = Fakes()
    async with running(fakes) as client:
        refused = await client.send("PUT", f"{PATH}/forge", body)
    assert refused.status == 422
    assert CANARY.encode() not in refused.body
    assert fakes.store.secrets == {}


@pytest.mark.parametrize("name", ["Forge", "a_b", "-a", "x" * 64, "%2e%2e"])
async def test_what_is_no_name_is_refused(name):
    fakes = Fakes()
    async with running(fakes) as client:
        assert (await client.send("PUT", f"{PATH}/{name}", {"value": "v"})).status in (404, 422)
    assert fakes.store.secrets == {}


async def test_who_only_reads_sees_not_even_the_names():
    async with running(Fakes()) as client:
        answers = [
            await client.get(PATH, token=READER),
            await client.send("PUT", f"{PATH}/forge", {"value": "v"}, token=READER),
            await client.ask("DELETE", f"{PATH}/forge", token=READER),
        ]
    assert [answer.status for answer in answers] == [403] * 3
