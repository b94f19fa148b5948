"""What is as large as Kubernetes takes, and what is larger: shown, applied, pruned, or refused in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.world import MONA, World, standing

from kedge.control.road import perform
from kedge.kube.kubeconfig import Access
from kedge.model.dossier import Dossier, Shown
from kedge.model.ref import UnitName

pytestmark = pytest.mark.e2e

LARGEST = 1024 * 1024
"""Bytes that the values of a ConfigMap may have, all together."""
LARGE = "/api/v1/namespaces/web/configmaps/large"
FREE = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
DEFINITION = {
    "metadata": {"name": "blobs.large.example.com"},
    "spec": {
        "group": "large.example.com",
        "scope": "Namespaced",
        "names": {"plural": "blobs", "kind": "Blob"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": FREE}],
    },
}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setattr("kedge.targets.kubernetes.sites.RENEW", 0.2)
    monkeypatch.setattr("kedge.kube.discovery.Discovery.UNKNOWN", 0.2)


def large(size: int, letter: str = "x", metadata: str = "") -> dict[str, str | None]:
    """A ConfigMap with `size` bytes of data."""
    one, two = letter * (size // 2), letter * (size - size // 2)
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: large{metadata}}}\ndata:\n  one: {one}\n  two: {two}\n"
    return {"apps/web/large.yaml": text}


async def pushed(world: World, files: dict[str, str | None]) -> str:
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
    world.repository.write({**folder_of("web", "hello"), **files})
    return world.pushed("another commit")


async def test_an_object_as_large_as_kubernetes_takes_is_applied_shown_changed_healed_and_pruned(
    tmp_path: Path, access: Access | None
) -> None:
    # An annotation of 170 KiB beside the data: the object has 1.2 MiB.
    note = f", annotations: {{note: {'n' * 170 * 1024}}}"
    async with standing(tmp_path, access=access) as world:
        await world.synced("shop/web", await pushed(world, large(LARGEST, metadata=note)))
        live = await world.call("GET", LARGE)
        assert (sum(map(len, live["data"].values())), len(live["metadata"]["annotations"]["note"])) == (
            LARGEST,
            170 * 1024,
        )
        assert "ConfigMap web/large" in (await world.kedge("tree", "web")).out
        commit = await pushed(world, large(LARGEST, "y"))
        await world.synced("shop/web", commit)
        assert commit[:7] in (await world.kedge("trace", "ConfigMap/large", "-n", "web")).out
        live = await world.call("GET", LARGE)
        assert (set(live["data"]["one"]), "note" in live["metadata"]["annotations"]) == ({"y"}, False)
        edit = {"data": {"one": "somebody's"}}
        await world.call("PATCH", f"{LARGE}?fieldManager=kubectl-edit", edit, "application/merge-patch+json")
        await world.until("shop/web", lambda d: d.operation is None and d.last.cause == "drift")
        assert set((await world.call("GET", LARGE))["data"]["one"]) == {"y"}
        await world.synced("shop/web", await pushed(world, {"apps/web/large.yaml": None}))
        assert await world.call("GET", LARGE) is None


async def test_an_object_over_the_limit_is_refused_before_anything_is_applied(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        await world.synced("shop/web", await pushed(world, {}))
        with_it = {"apps/web/config.yaml": config("with it")}
        for size, sentence in (
            (LARGEST + 1, "Too long: may not be more than 1048576 bytes"),
            (2 * LARGEST, "Too long: may not be more than 1048576 bytes"),
            (4 * LARGEST, "apps/web/large.yaml: ConfigMap large is 4194"),
        ):
            commit = await pushed(world, {**large(size), **with_it})

            def told(dossier: Dossier, commit: str = commit, sentence: str = sentence) -> bool:
                return dossier.head.commit == commit and sentence in dossier.shown.why

            await world.until("shop/web", told)
            for words in (("get",), ("get", "web"), ("diff", "web")):
                assert sentence in await world.said(sentence, *words)
        assert await world.greeting("web") == "hello"
        assert [run.number for run in await world.house.doors.store.operations("shop/web")] == [1]
        await world.synced("shop/web", await pushed(world, {"apps/web/large.yaml": None, **with_it}))
        assert await world.greeting("web") == "with it"


def blob(size: int) -> dict[str, str | None]:
    text = f"apiVersion: large.example.com/v1\nkind: Blob\nmetadata: {{name: one}}\ncontent: {'x' * size}\n"
    return {"apps/web/blob.yaml": text}


async def test_what_only_the_database_finds_too_large_fails_in_a_sentence_and_is_not_tried_again_until_it_changes(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        await world.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
        await world.synced("shop/web", await pushed(world, {}))
        # Over etcd's limit, and over that of the way to it: no dry run gets as far.
        for number, size in ((2, 1600), (3, 2200)):
            with_it = {"apps/web/config.yaml": config(f"with {size}")}
            commit = await pushed(world, {**blob(size * 1024), **with_it})

            def over(dossier: Dossier, number: int = number) -> bool:
                return dossier.operation is None and dossier.last.number == number

            failed = await world.until("shop/web", over)
            assert (failed.last.revision.commit, failed.last.result) == (commit, "Failed")
            assert (failed.trouble.again, failed.due) == (None, None)
            for words in (("get",), ("get", "web"), ("history", "web")):
                shown = await world.said("takes no object so large", *words)
                assert "Blob web/one" in shown, shown
            assert await world.greeting("web") == f"with {size}"
        await world.synced("shop/web", await pushed(world, blob(1400 * 1024)))
        runs = await world.house.doors.store.operations("shop/web")
        assert [str(run.result) for run in runs] == ["Succeeded", "Failed", "Failed", "Succeeded"]


def many(count: int, greeting: str) -> dict[str, str | None]:
    return {"apps/web/many.yaml": "---\n".join(config(greeting, f"c{number:04}") for number in range(count))}


async def test_a_unit_of_hundreds_tells_how_far_it_is_and_asks_before_they_are_deleted(
    tmp_path: Path, access: Access | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedge.control.road.perform.AT_ONCE", 100)
    told: list[str] = []
    running = perform.shown_running

    def heard(*asked: Any) -> Shown:
        shown = running(*asked)
        told.append(shown.why)
        return shown

    monkeypatch.setattr(perform, "shown_running", heard)
    async with standing(tmp_path, access=access) as world:
        commit = await pushed(world, many(500, "hello"))
        await world.synced("shop/web", commit)
        assert told == [f"run 1: {done} of 502 steps are done" for done in (101, 201, 301, 401, 501)]
        commit = await pushed(world, many(500, "goodbye"))
        await world.synced("shop/web", commit)
        commit = await pushed(world, {"apps/web/many.yaml": None})
        held = await world.until("shop/web", lambda d: d.head.commit == commit and "waits for" in d.shown.why)
        assert "500 of 502 objects are deleted" in held.shown.why
        assert await world.greeting("web", "c0499") == "goodbye"
        unit = UnitName.parse("shop/web")
        await world.retried(lambda: world.house.commands.approve(MONA, unit, held.plan.effects[:12], "meant"))
        await world.synced("shop/web", commit)
        left = await world.call("GET", "/api/v1/namespaces/web/configmaps")
        assert "web" in {item["metadata"]["name"] for item in left["items"]} <= {"web", "kube-root-ca.crt"}
