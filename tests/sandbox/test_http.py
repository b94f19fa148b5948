"""The HTTP front."""

from __future__ import annotations

import asyncio
import time
from io import BytesIO
from pathlib import Path
from secrets import token_hex

import aiohttp
import orjson
import pytest
from tests.sandbox.conftest import DEPLOYMENTS, MAPS, Lab, config_map, deployment
from tests.sandbox.serving import certificate, running, serving
from tests.sandbox.standin import StandIn

from kedge.sandbox import Options, Sandbox
from kedge.sandbox.faults import Fault, Faults, Rule
from kedge.sandbox.http import Front, kubeconfig

TOKEN = "secret"


async def test_requests_are_answered_by_the_core() -> None:
    async with running(Front()) as server, aiohttp.ClientSession(server.url) as client:
        made = await client.post(MAPS, data=orjson.dumps(config_map()))
        assert made.status == 201
        assert (await (await client.get(f"{MAPS}/settings")).json())["data"] == {"a": "1"}
        assert (await client.get("/readyz")).status == 200


async def test_without_the_token_only_health_and_version_are_told() -> None:
    async with running(Front(token=TOKEN)) as server, aiohttp.ClientSession(server.url) as client:
        assert (await client.get("/readyz")).status == 200
        refused = await client.get(MAPS)
        assert (refused.status, (await refused.json())["reason"]) == (401, "Unauthorized")
        wrong = await client.get(MAPS, headers={"Authorization": "Bearer other"})
        assert wrong.status == 401
        right = await client.get(MAPS, headers={"Authorization": f"Bearer {TOKEN}"})
        assert right.status == 200


async def test_a_watch_streams_lines_as_they_come_and_ends_with_the_server() -> None:
    async with running(Front()) as server, aiohttp.ClientSession(server.url) as client:
        server.sandbox.settle()
        version = server.sandbox.version
        async with client.get(f"{MAPS}?watch=true&resourceVersion={version}") as stream:
            await client.post(MAPS, data=orjson.dumps(config_map()))
            event = orjson.loads(await stream.content.readline())
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "settings")
            await server.close()
            assert await stream.content.readline() == b""


async def test_a_reader_that_goes_away_leaves_no_watch_behind() -> None:
    async with running(Front()) as server:
        async with aiohttp.ClientSession(server.url) as client, client.get(f"{MAPS}?watch=true") as stream:
            await stream.content.readline()
            assert len(server.sandbox.cluster.watches.all()) == 1
        async with asyncio.timeout(60):
            while server.sandbox.cluster.watches.all():
                await asyncio.sleep(0.01)


async def test_the_controllers_run_by_themselves() -> None:
    options = Options(start=0.01)
    async with running(Front(), options) as server, aiohttp.ClientSession(server.url) as client:
        query = f"?watch=true&resourceVersion={server.sandbox.version}"
        await client.post(DEPLOYMENTS, data=orjson.dumps(deployment()))
        async with client.get(DEPLOYMENTS + query) as stream:
            async for line in stream.content:
                if orjson.loads(line)["object"]["status"].get("availableReplicas") == 2:
                    return
    pytest.fail("the watch ended before the deployment was available")


async def test_what_is_stored_survives_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with running(Front(state=state)) as server, aiohttp.ClientSession(server.url) as client:
        await client.post(MAPS, data=orjson.dumps(config_map()))
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    async with running(Front(), snapshot=state.read_bytes()) as server, aiohttp.ClientSession(server.url) as client:
        assert (await (await client.get(f"{MAPS}/settings")).json())["data"] == {"a": "1"}


async def test_it_listens_on_loopback_only(lab: Lab) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        async with running(Front(host="0.0.0.0")):
            pytest.fail("it listened to everybody")


async def test_a_lost_reply_breaks_the_connection(lab: Lab) -> None:
    async with running(Front()) as server:
        faults = Faults(server.sandbox.handle, (Rule(Fault.LOST_REPLY, 1.0, path="/configmaps"),), lambda: 0.0)
        async with running(Front(meet=faults.meet)) as broken, aiohttp.ClientSession(broken.url) as client:
            with pytest.raises(aiohttp.ClientError):
                await client.post(MAPS, data=orjson.dumps(config_map()))
        async with aiohttp.ClientSession(server.url) as client:
            assert (await client.get(f"{MAPS}/settings")).status == 200


async def test_refusals_and_cut_watches_reach_the_client_as_they_were_meant() -> None:
    core = Sandbox(StandIn(), time.time, token_hex)
    rules = (
        Rule(Fault.THROTTLED, 1.0, seconds=3, path="/secrets"),
        Rule(Fault.DROPPED_WATCH, 1.0),
        Rule(Fault.LATENCY, 1.0, seconds=0.01),
    )
    meet = Faults(core.handle, rules, lambda: 0.0).meet
    async with serving(core, Front(meet=meet)) as server, aiohttp.ClientSession(server.url) as client:
        refused = await client.get("/api/v1/namespaces/default/secrets")
        assert (refused.status, refused.headers["Retry-After"]) == (429, "3")
        core.settle()
        async with client.get(f"{MAPS}?watch=true") as stream:
            lines = [line async for line in stream.content]
        assert len(lines) == 1, "it is cut after its first event, and ends like any other"


async def test_a_body_that_is_too_large_is_refused() -> None:
    async with running(Front()) as server, aiohttp.ClientSession(server.url) as client:
        refused = await client.post(MAPS, data=BytesIO(b"x" * (4 * 1024 * 1024)))
        assert (refused.status, (await refused.json())["reason"]) == (413, "RequestEntityTooLarge")


async def test_it_speaks_tls_with_a_certificate_that_is_handed_in(tmp_path: Path) -> None:
    context, public = certificate(tmp_path)
    async with running(Front(token=TOKEN, tls=context)) as server:
        assert server.url.startswith("https://127.0.0.1:")
        text = kubeconfig(server.url, TOKEN, public)
        assert "certificate-authority-data: LS0t" in text
        assert f"token: {TOKEN}" in text
