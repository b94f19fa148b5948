"""What others bring or take in their own time: a definition, a namespace, a finalizer, a rollout. Each is told by name,
and a newer commit gets past it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten, reported
from tests.e2e.world import World, standing

from kedge.kube.kubeconfig import Access

pytestmark = pytest.mark.e2e

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/late.example.com/v1/namespaces/web/widgets"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"
WIDGET = "apiVersion: late.example.com/v1\nkind: Widget\nmetadata: {name: one}\nspec: {size: s}\n"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setattr("kedge.targets.kubernetes.sites.RENEW", 0.2)
    monkeypatch.setattr("kedge.kube.discovery.Discovery.UNKNOWN", 0.2)


def definition(scope: str = "Namespaced") -> dict[str, Any]:
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": free, "status": free}}}
    return {
        "metadata": {"name": "widgets.late.example.com"},
        "spec": {
            "group": "late.example.com",
            "scope": scope,
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def declared(more: str = "", **files: str) -> dict[str, str | None]:
    inner: dict[str, str | None] = {
        f"apps/web/{name}.yaml": text for name, text in {"namespace": NAMESPACE, **files}.items()
    }
    return {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web", more), **inner}


@asynccontextmanager
async def with_a_neighbour(folder: Path, access: Access | None) -> AsyncIterator[World]:
    """`shop/web` and `shop/other`, both synced."""
    async with standing(folder, access=access) as world:
        world.repository.write(declared(config=config("hello")))
        world.repository.write({".kedge/other.yaml": application("other"), **folder_of("other", "hello")})
        begun = world.pushed("begin")
        await world.synced("shop/web", begun)
        await world.synced("shop/other", begun)
        yield world


async def test_an_object_whose_definition_comes_later_waits_for_it_and_harms_nobody(
    tmp_path: Path, access: Access | None
) -> None:
    async with with_a_neighbour(tmp_path, access) as world:
        world.repository.write({"apps/web/widget.yaml": WIDGET, "apps/web/config.yaml": config("first")})
        world.pushed("a widget, whose definition an operator brings")
        shown = await world.said("waits for its definition", "get", "web")
        assert "nothing defines Widget in late.example.com yet" in shown
        assert "nothing defines Widget" in await world.said("Widget", "diff", "web")
        await world.eventually(lambda: says(world, "first"))

        # Meanwhile others go on, and so does a newer commit of the unit.
        world.repository.write({**folder_of("other", "goodbye"), "apps/web/config.yaml": config("second")})
        meanwhile = world.pushed("a newer commit")
        await world.synced("shop/other", meanwhile)

        await world.eventually(lambda: says(world, "second"))
        waiting = await world.until("shop/web", lambda d: d.operation is not None and "Widget" in d.operation.waiting)
        assert waiting.shown.sync == "OutOfSync"

        await world.call("POST", DEFINITIONS, definition())
        await reported(world, f"{WIDGETS}/one")
        await world.synced("shop/web", meanwhile)
        live = await world.call("GET", f"{WIDGETS}/one")
        assert live["spec"] == {"size": "s"}
        runs = await world.house.doors.store.operations("shop/web")
        assert [(run.number, str(run.result)) for run in runs] == [
            (3, "Succeeded"),
            (2, "Superseded"),
            (1, "Succeeded"),
        ]


async def says(world: World, greeting: str) -> bool:
    return await world.greeting("web") == greeting


async def test_a_definition_that_comes_after_the_deadline_is_noticed_by_itself(
    tmp_path: Path, access: Access | None
) -> None:
    async with with_a_neighbour(tmp_path, access) as world:
        world.repository.write(declared("  sync: {timeout: 4s}\n", config=config("hello"), widget=WIDGET))
        commit = world.pushed("a widget")
        await world.until("shop/web", lambda d: d.last is not None and d.last.result == "Failed")
        assert "goes on once it is there" in await world.said("goes on once", "get", "web")
        assert "nothing defines Widget in late.example.com" in await world.said("timed out", "history", "web")
        runs = len(await world.house.doors.store.operations("shop/web"))
        await world.call("POST", DEFINITIONS, definition("Cluster"))
        await reported(world, "/apis/late.example.com/v1/widgets/one")
        await world.synced("shop/web", commit)
        # One run failed, and none was begun in vain while nothing had changed.
        assert (runs, len(await world.house.doors.store.operations("shop/web"))) == (2, 3)


SPACES = "/api/v1/namespaces"


async def outcomes(world: World, unit: str) -> list[tuple[int, str]]:
    return [(run.number, str(run.result)) for run in await world.house.doors.store.operations(unit)]


async def test_a_namespace_that_others_make_later_is_waited_for_and_harms_nobody(
    tmp_path: Path, access: Access | None
) -> None:
    async with with_a_neighbour(tmp_path, access) as world:
        world.repository.write({".kedge/late.yaml": application("late"), "apps/late/config.yaml": config("first")})
        world.pushed("into a namespace that no commit makes")
        for words in (("get",), ("get", "late"), ("diff", "late")):
            shown = await world.said("waits until somebody makes it", *words)
            assert "the namespace late does not exist, and is not part of this set" in shown

        world.repository.write({"apps/late/config.yaml": config("second"), **folder_of("other", "goodbye")})
        commit = world.pushed("meanwhile")
        await world.synced("shop/other", commit)
        await world.until("shop/late", lambda d: d.operation is not None and d.operation.number == 2)
        await world.call("POST", SPACES, {"metadata": {"name": "late"}})
        await world.synced("shop/late", commit)
        assert await world.greeting("late") == "second"
        assert await outcomes(world, "shop/late") == [(2, "Succeeded"), (1, "Superseded")]


async def test_a_namespace_that_comes_after_the_deadline_is_noticed_by_itself(
    tmp_path: Path, access: Access | None
) -> None:
    async with with_a_neighbour(tmp_path, access) as world:
        more = "  sync: {timeout: 4s}\n"
        world.repository.write({".kedge/late.yaml": application("late", more), "apps/late/a.yaml": config("hello")})
        commit = world.pushed("into a namespace that no commit makes")
        shown = await world.said("goes on once it is there", "get", "late")
        assert "the namespace late does not exist" in shown
        assert "timed out" in await world.said("timed out", "history", "late")
        assert await outcomes(world, "shop/late") == [(1, "Failed")]
        # Another unit makes it.
        world.repository.write({"apps/other/late.yaml": NAMESPACE.replace("web", "late")})
        world.pushed("the namespace, by another unit")
        await world.synced("shop/late", commit)
        assert await world.greeting("late") == "hello"
        assert await outcomes(world, "shop/late") == [(2, "Succeeded"), (1, "Failed")]


async def test_of_two_namespaces_that_others_make_each_is_gone_on_with_as_it_comes(
    tmp_path: Path, access: Access | None
) -> None:
    async with with_a_neighbour(tmp_path, access) as world:
        world.repository.write({".kedge/late.yaml": application("late"), "apps/late/config.yaml": config("hello")})
        elsewhere = config("hello", "web", ", namespace: later")
        world.repository.write({"apps/late/elsewhere.yaml": elsewhere})
        commit = world.pushed("into two namespaces that no commit makes")
        await world.said("waits until somebody makes it", "get", "late")
        await world.call("POST", SPACES, {"metadata": {"name": "later"}})

        async def there() -> bool:
            return await world.greeting("later") == "hello"

        await world.eventually(there)
        await world.said("the namespace late does not exist", "get", "late")
        await world.call("POST", SPACES, {"metadata": {"name": "late"}})
        await world.synced("shop/late", commit)
        assert await outcomes(world, "shop/late") == [(1, "Succeeded")]
