"""What does not come to its end by itself: each ends in a sentence that names it, and a newer commit gets through."""

from __future__ import annotations

import pytest
from tests.e2e.stories import PROJECT, application, config, hasten
from tests.e2e.world import World, standing

pytestmark = pytest.mark.e2e

MERGE = "application/merge-patch+json"
SPACES = "/api/v1/namespaces"
MAPS = f"{SPACES}/web/configmaps"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"


def hook(name: str, more: str) -> str:
    return f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, annotations: {{argocd.argoproj.io/hook: PreSync}}}}
spec:
  {more}
  template: {{spec: {{restartPolicy: Never, containers: [{{name: once, image: "busybox:1"}}]}}}}
"""


def declared(more: str = "", **files: str) -> dict[str, str | None]:
    inner: dict[str, str | None] = {
        f"apps/web/{name}.yaml": text for name, text in {"namespace": NAMESPACE, **files}.items()
    }
    return {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web", more), **inner}


async def begun(world: World, **files: str) -> None:
    world.repository.write(declared(**files))
    await world.synced("shop/web", world.pushed("begin"))


async def test_a_hook_that_hangs_is_named_ends_at_its_deadline_and_a_newer_commit_gets_past_it(
    tmp_path, access, monkeypatch
):
    """No commit takes over from a hook at work, which may be half a migration: its deadline does."""
    hasten(monkeypatch)
    async with standing(tmp_path, access=access) as world:
        await begun(world, config=config("hello"))
        hangs = hook("hangs", "suspend: true")
        world.repository.write(declared("  sync: {timeout: 4s}\n", config=config("half"), hook=hangs))
        world.pushed("a hook that never ends")
        held = await world.until(
            "shop/web", lambda d: d.operation is not None and "the job is suspended" in d.shown.why
        )
        assert "hangs" in held.operation.waiting
        world.repository.write(declared(config=config("goodbye")))
        world.repository.write({"apps/web/hook.yaml": None})
        commit = world.pushed("without it")
        await world.synced("shop/web", commit)
        runs = await world.house.doors.store.operations("shop/web")
        failed = next(run for run in runs if run.number == 2)
        assert "timed out" in failed.message
        assert "hangs" in failed.message
        assert await world.greeting("web") == "goodbye"


async def test_a_hook_that_fails_is_named_and_a_newer_commit_gets_past_it(tmp_path, real_cluster, monkeypatch):
    hasten(monkeypatch)
    async with standing(tmp_path, access=real_cluster.access) as world:
        await begun(world, config=config("hello"))
        text = hook("fails", "backoffLimit: 0\n  activeDeadlineSeconds: 1").replace(
            "restartPolicy: Never", "nodeSelector: {no: such}, restartPolicy: Never"
        )
        world.repository.write({"apps/web/hook.yaml": text, "apps/web/config.yaml": config("half")})
        world.pushed("a hook that fails")
        failed = await world.until("shop/web", lambda d: d.last is not None and d.last.result == "Failed")
        assert "fails" in failed.last.message, failed.last.message
        assert await world.greeting("web") == "hello"
        world.repository.write({"apps/web/hook.yaml": None, "apps/web/config.yaml": config("goodbye")})
        await world.synced("shop/web", world.pushed("without it"))
        assert await world.greeting("web") == "goodbye"


async def test_a_namespace_that_does_not_go_is_told_and_the_unit_comes_back_once_it_is_gone(
    tmp_path, access, monkeypatch
):
    hasten(monkeypatch)
    async with standing(tmp_path, access=access) as world:
        await begun(world, config=config("hello"))
        held = {"metadata": {"name": "held", "finalizers": ["example.com/backup"]}}
        await world.call("POST", MAPS, held)
        await world.call("DELETE", f"{SPACES}/web")
        world.repository.write({"apps/web/config.yaml": config("goodbye"), "apps/web/more.yaml": config("x", "more")})
        commit = world.pushed("into a namespace that is going")
        await world.said("being terminated", "get", "web")
        free = {"metadata": {"finalizers": None}}
        await world.call("PATCH", f"{MAPS}/held", free, MERGE)
        await world.synced("shop/web", commit)
        assert await world.greeting("web") == "goodbye"
        assert await world.greeting("web", "more") == "x"


QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: few, annotations: {argocd.argoproj.io/sync-wave: "-1"}}
spec: {hard: {count/secrets: "0"}}
"""


SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: one}\nstringData: {a: b}\n"


async def in_force(world: World) -> None:
    """A quota is there long before its controller and whoever admits objects have heard of it: until one is refused."""

    async def refused() -> bool:
        probe = {"metadata": {"name": "probe"}}
        try:
            await world.call("POST", f"{SPACES}/web/secrets?dryRun=All", probe)
        except AssertionError as error:
            return "exceeded quota: few" in str(error)
        return False

    await world.eventually(refused)


async def test_what_a_quota_refuses_is_told_and_a_newer_commit_gets_through(tmp_path, real_cluster, monkeypatch):
    hasten(monkeypatch)
    async with standing(tmp_path, access=real_cluster.access) as world:
        await begun(world, quota=QUOTA, config=config("hello"))
        await in_force(world)
        world.repository.write({"apps/web/one.yaml": SECRET, "apps/web/config.yaml": config("half")})
        world.pushed("one too many")
        await world.said("exceeded quota: few", "get", "web")
        world.repository.write({"apps/web/one.yaml": None, "apps/web/config.yaml": config("goodbye")})
        await world.synced("shop/web", world.pushed("without it"))
        assert await world.greeting("web") == "goodbye"


async def test_a_commit_that_raises_a_quota_and_adds_what_needs_it_gets_through(tmp_path, real_cluster, monkeypatch):
    """The dry run of what was added met the old quota, and the whole commit waited for ever: for itself."""
    hasten(monkeypatch)
    async with standing(tmp_path, access=real_cluster.access) as world:
        await begun(world, quota=QUOTA)
        await in_force(world)
        world.repository.write({"apps/web/one.yaml": SECRET})
        world.pushed("one too many")
        await world.said("exceeded quota: few", "get", "web")
        world.repository.write({"apps/web/quota.yaml": QUOTA.replace('"0"', '"1"')})
        await world.synced("shop/web", world.pushed("room for it"))
        assert (await world.call("GET", f"{SPACES}/web/secrets/one"))["kind"] == "Secret"
