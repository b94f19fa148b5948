from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from tests import builders
from tests.server.driver import READER, TOKEN, Fakes, running

from kedge.model.person import Person
from kedge.model.ref import UnitName
from kedge.server.access import READERS, Allowed, Unauthenticated, Verb, may, who
from kedge.server.app import OPEN_PATHS, build

UNIT = UnitName("shop", "web")


def routes(app) -> Iterator[APIRoute]:
    pending = list(app.router.routes)
    while pending:
        route = pending.pop()
        inner = getattr(route, "original_router", None)
        if isinstance(route, APIRoute):
            yield route
        elif inner is not None:
            pending.extend(inner.routes)
        else:
            raise AssertionError(f"a route of an unknown sort: {route!r}")


def dependencies(route: APIRoute):
    return [dependency.call for dependency in route.dependant.dependencies]


async def test_every_route_asks_who_it_is_except_probes_and_webhooks():
    app = build(Fakes().desk())
    found = [(route.path, any(isinstance(call, Allowed) for call in dependencies(route))) for route in routes(app)]
    assert len(found) > 20
    assert {path for path, asks in found if not asks} == OPEN_PATHS


async def test_a_request_without_a_token_is_told_so_on_every_path():
    fakes = Fakes()
    fakes.put(builders.dossier())
    async with running(fakes) as client:
        for route in routes(client.app):
            path = route.path.format(project="shop", name="web", number=1, execution="e1")
            for method in route.methods:
                if path in OPEN_PATHS or method == "HEAD":
                    continue
                answer = await client.send(method, path, {}, token=None)
                assert (path, answer.status) == (path, 401)
                scheme = "Basic" if path.startswith("/state/") else "Bearer"
                assert answer.headers["www-authenticate"].split()[0] == scheme


async def test_a_wrong_token_and_a_token_of_hostile_bytes_are_refused_alike():
    async with running(Fakes()) as client:
        for token in ("wrong", "é" * 10, "x" * 5000):
            assert (await client.get("/api/v1/units", token=token)).status == 401


async def test_a_reader_reads_and_changes_nothing():
    fakes = Fakes()
    fakes.put(builders.dossier())
    async with running(fakes) as client:
        assert (await client.get("/api/v1/units/shop/web", token=READER)).status == 200
        for verb in ("sync", "suspend", "resume", "cancel", "rollback"):
            answer = await client.post(f"/api/v1/units/shop/web/{verb}", {"reason": "x"}, token=READER)
            assert (verb, answer.status, answer.error["class"]) == (verb, 403, "Denied")
    assert fakes.rung == []


@pytest.mark.parametrize("verb", list(Verb))
def test_readers_may_only_read_and_others_may_all(verb):
    assert may(Person("rita", (READERS,)), verb, UNIT) is (verb in (Verb.READ, Verb.LOGS))
    assert may(Person("admin"), verb, None)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", f"bearer{TOKEN}"])
def test_an_authorization_that_is_no_bearer_token_names_nobody(header):
    with pytest.raises(Unauthenticated):
        who({}, header)
