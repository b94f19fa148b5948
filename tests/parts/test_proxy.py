"""The proxy that other tests put before an API server: that it hands on what it is not told to spoil, and spoils the
rest as it is told."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.e2e.world import clustered
from tests.parts.proxy import Asked, Fate, Proxy, Weather, proxied, storm

from kedge.kube.kubeconfig import Access

pytestmark = pytest.mark.e2e

MAPS = "/api/v1/namespaces/default/configmaps"


class Caller:
    """Somebody who speaks to the cluster through the proxy, and trusts its certificate alone."""

    def __init__(self, access: Access, session: aiohttp.ClientSession) -> None:
        self.access = access
        self.session = session
        self.tls = ssl.create_default_context(cadata=access.ca)

    def request(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token or self.access.token}"}
        return self.session.request(method, self.access.server + path, json=body, headers=headers, ssl=self.tls)

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.request(method, path, body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in (await self("GET", MAPS))[1]["items"]]


@asynccontextmanager
async def between(folder: Path) -> AsyncIterator[tuple[Proxy, Caller]]:
    async with (
        clustered(folder / "cluster") as (_, access),
        proxied(access, folder / "proxy") as (proxy, through),
        aiohttp.ClientSession() as session,
    ):
        yield proxy, Caller(through, session)


def only(fate: Fate, method: str) -> Any:
    return lambda asked: fate if asked.method == method else Fate.FINE


def named(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


async def test_what_is_asked_is_handed_on_with_its_token(tmp_path):
    async with between(tmp_path) as (proxy, ask):
        assert (await ask("POST", MAPS, named("one")))[0] == 201
        assert "one" in await ask.names()
        async with ask.request("GET", MAPS, token="somebody's") as answer:
            assert answer.status == 401
        assert [asked.write for asked in proxy.asked] == [True, False, False]
        assert [asked.what for asked in proxy.wrote] == [f"POST {MAPS}"]


async def test_a_server_behind_it_with_another_certificate_is_not_spoken_to(tmp_path):
    async with clustered(tmp_path / "one") as (_, access), clustered(tmp_path / "other") as (_, other):
        mixed = Access(access.server, ca=other.ca, token=access.token)
        async with proxied(mixed, tmp_path / "proxy") as (_, through), aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await Caller(through, session)("GET", MAPS)


@pytest.mark.parametrize(("fate", "done"), [(Fate.DROPPED, False), (Fate.UNHEARD, True), (Fate.TORN, True)])
async def test_a_connection_that_breaks_may_leave_the_deed_done(tmp_path, fate, done):
    async with between(tmp_path) as (proxy, ask):
        proxy.meet = only(fate, "POST")
        with pytest.raises(aiohttp.ClientError):
            await ask("POST", MAPS, named("one"))
        assert ("one" in await ask.names()) is done


async def test_what_is_sent_twice_is_heard_the_second_time(tmp_path):
    async with between(tmp_path) as (proxy, ask):
        proxy.meet = only(Fate.TWICE, "POST")
        assert (await ask("POST", MAPS, named("one")))[0] == 409
        assert "one" in await ask.names()


async def test_a_ghost_is_carried_out_when_nobody_waits_for_it_any_more(tmp_path):
    async with between(tmp_path) as (proxy, ask):
        proxy.meet, proxy.ghostly = only(Fate.GHOST, "POST"), 600.0
        with pytest.raises(aiohttp.ClientError):
            await ask("POST", MAPS, named("one"))
        assert "one" not in await ask.names()
        await proxy.settled()
        assert "one" in await ask.names()


@pytest.mark.parametrize("fate", [Fate.THROTTLED, Fate.BROKEN, Fate.AWAY, Fate.OVERDUE])
async def test_a_refusal_is_a_status_of_its_code_and_nothing_is_done(tmp_path, fate):
    async with between(tmp_path) as (proxy, ask):
        proxy.meet = only(fate, "POST")
        async with ask.request("POST", MAPS, named("one")) as answer:
            said = json.loads(await answer.text())
            assert (answer.status, said["kind"], said["code"]) == (int(fate.value), "Status", int(fate.value))
            assert answer.headers.get("Retry-After") == ("1" if fate is Fate.THROTTLED else None)
        assert "one" not in await ask.names()


async def test_a_stale_list_is_the_first_answer_to_the_same_question(tmp_path):
    async with between(tmp_path) as (proxy, ask):
        before = await ask.names()
        await ask("POST", MAPS, named("one"))
        proxy.meet = only(Fate.STALE, "GET")
        assert await ask.names() == before
        proxy.meet = only(Fate.FINE, "GET")
        assert "one" in await ask.names()


@pytest.mark.parametrize(("fate", "heard"), [(Fate.FINE, 2), (Fate.CUT, 1), (Fate.SILENT, 1)])
async def test_a_watch_is_handed_on_as_it_comes_cut_or_silenced(tmp_path, fate, heard):
    async with between(tmp_path) as (proxy, ask):
        await ask("POST", MAPS, named("one"))
        proxy.meet = lambda asked: fate if asked.watching else Fate.FINE
        lines: list[Any] = []
        async with ask.request("GET", f"{MAPS}?watch=true&fieldSelector=metadata.name!=kube-root-ca.crt") as answer:
            lines.append(json.loads(await answer.content.readline()))
            proxy.meet = only(Fate.FINE, "POST")
            await ask("POST", MAPS, named("two"))
            try:
                async with asyncio.timeout(0.5 if fate is Fate.SILENT else 60.0):
                    while len(lines) < heard + (fate is not Fate.FINE) and (line := await answer.content.readline()):
                        lines.append(json.loads(line))
            except (TimeoutError, aiohttp.ClientError):
                assert fate is not Fate.FINE
        assert [line["type"] for line in lines] == ["ADDED"] * heard


def test_the_weather_is_the_same_for_the_same_seed_whatever_the_order():
    asked = [Asked("GET", f"/{number % 7}", {}, {}, b"", number // 7) for number in range(700)]
    drawn = {one.what + str(one.times): Weather(3, storm(0.02))(one) for one in asked}
    again = {one.what + str(one.times): Weather(3, storm(0.02))(one) for one in reversed(asked)}
    assert drawn == again
    assert {Weather(4, storm(0.02))(one) for one in asked} > {Fate.FINE, Fate.DROPPED, Fate.BROKEN}
    assert Fate.TWICE not in drawn.values()
