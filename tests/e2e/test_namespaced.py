"""An account that may do everything in one namespace and nothing anywhere else: its units work, and it is enough."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stories import PROJECT, application, config, hasten
from tests.e2e.test_impersonation import account, allow
from tests.e2e.test_recovery import Place, placed
from tests.e2e.world import World
from tests.parts.api import Api
from tests.parts.proxy import Proxy, proxied

from kedge.kube.kubeconfig import Access
from kedge.sandbox.faults import Outcome
from kedge.sandbox.problems import Problem
from kedge.sandbox.wire import Request

pytestmark = pytest.mark.e2e

WEB = "/api/v1/namespaces/web"
EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
CORE = "/api/v1/"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)


def fenced(request: Request) -> Outcome | None:
    """What RBAC says to who may do everything in `web`: the sandbox has no rights of its own."""
    parts = request.path.strip("/").split("/")
    objects = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[0] not in ("api", "apis") or not objects or objects[:2] == ["namespaces", "web"]:
        return None
    place = (
        f'in the namespace "{objects[1]}"'
        if objects[0] == "namespaces" and len(objects) > 2
        else "at the cluster scope"
    )
    resource = objects[2] if objects[0] == "namespaces" and len(objects) > 2 else objects[0]
    verb = {"GET": "list", "PATCH": "patch"}.get(request.method, request.method.lower())
    text = f'{resource} is forbidden: User "kedge" cannot {verb} resource "{resource}" {place}'
    return Outcome(Problem(403, "Forbidden", text).response())


@asynccontextmanager
async def narrow(folder: Path, access: Access | None) -> AsyncIterator[tuple[Place, Proxy, Access]]:
    """A place whose account is fenced in, behind a proxy that notes what it asks; and an access without a fence."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(placed(folder, access))
        wide = place.access
        if place.sandbox is not None:
            core = place.sandbox
            made = Request("POST", "/api/v1/namespaces", {}, {"content-type": "application/json"}, NAMESPACE)
            assert core.core.handle(made).status == 201
            core.meet = fenced
            own = wide
        else:
            with_rights = Api(wide)
            stack.callback(with_rights.close)
            for name in ("team", "web"):
                made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                with_rights.call("POST", "/api/v1/namespaces", made)
            own = Access(wide.server, ca=wide.ca, token=account(with_rights, "narrow"))
            allow(with_rights, "narrow", EVERYTHING, "web")
        proxy, through = await stack.enter_async_context(proxied(own, folder / "proxy"))
        place.access = through
        yield place, proxy, wide


NAMESPACE = b'{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}}'


def declared(**files: str) -> dict[str, str | None]:
    inner: dict[str, str | None] = {f"apps/web/{name}.yaml": text for name, text in files.items()}
    return {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web"), **inner}


async def maps(world: World) -> dict[str, Any]:
    items = (await world.call("GET", f"{WEB}/configmaps?labelSelector=kedge.dev/unit"))["items"]
    return {item["metadata"]["name"]: item for item in items}


async def test_a_unit_lives_where_its_account_may_do_everything(tmp_path: Path, access: Access | None) -> None:
    async with narrow(tmp_path, access) as (place, proxy, wide):
        place.repository.write(declared(config=config("hello"), other=config("x", "other")))
        commit = place.repository.push("begin")
        async with place.house() as world:
            await world.synced("shop/web", commit)
            assert set(await maps(world)) == {"web", "other"}
            watches = {asked.path for asked in proxy.asked if asked.watching}
            assert watches >= {f"{WEB}/configmaps"}
            # Drift is seen by the watch of that namespace, and nothing is asked again where it is not permitted.
            before = len(proxy.asked)
            outside = replace(world, access=wide) if access is not None else world
            edit = {"data": {"greeting": "edited"}}
            path = f"{WEB}/configmaps/web?fieldManager=kubectl-edit"
            await outside.call("PATCH", path, edit, "application/merge-patch+json")
            await world.until("shop/web", lambda d: d.operation is None and d.last.cause == "drift")
            await world.synced("shop/web")
            assert await world.greeting("web") == "hello"
            mine = [asked for asked in proxy.asked[before:] if not asked.path.startswith(WEB)]
            assert [asked.what for asked in mine if asked.watching] == []
            place.repository.write({"apps/web/other.yaml": None})
            await world.synced("shop/web", world.pushed("prune"))
            assert set(await maps(world)) == {"web"}
            assert "default" in (await world.kedge("get", "cluster")).out


async def test_the_inventory_is_rebuilt_from_the_one_namespace(tmp_path: Path, access: Access | None) -> None:
    async with narrow(tmp_path, access) as (place, _, _):
        place.repository.write(declared(config=config("hello"), other=config("x", "other")))
        commit = place.repository.push("begin")
        async with place.house() as world:
            await world.synced("shop/web", commit)
            before = await maps(world)
        place.lose_the_database()
        place.repository.write({"apps/web/other.yaml": None})
        commit = place.repository.push("prune what the database knew of")
        async with place.house() as world:
            dossier = await world.synced("shop/web", commit)
            assert "2 objects that carry its mark" in (await world.kedge("get", "event")).out
            assert [entry.ref.name for entry in dossier.inventory] == ["web"]
            after = await maps(world)
            assert {name: found["metadata"]["uid"] for name, found in after.items()} == {
                "web": before["web"]["metadata"]["uid"]
            }


async def test_where_a_right_lacks_the_unit_says_which(tmp_path: Path, access: Access | None) -> None:
    async with narrow(tmp_path, access) as (place, _, _):
        elsewhere = config("x", "elsewhere", ", namespace: kube-public")
        place.repository.write(declared(config=config("hello"), elsewhere=elsewhere))
        place.repository.push("begin")
        async with place.house() as world:
            said = await world.said('in the namespace "kube-public"', "get", "web")
            assert 'resource "configmaps"' in said, said
            assert "grant the right to the account that Kedge uses in this cluster" in said, said
            assert await maps(world) == {}
            place.repository.write({"apps/web/elsewhere.yaml": None})
            await world.synced("shop/web", world.pushed("without it"))
