"""What is deleted, and what never is: the rows on deletion, crashes and API servers that no other story tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from tests.e2e.stories import DEFINITION, PROJECT, application, config, hasten, reported
from tests.e2e.world import MONA, Forge, World, clustered, standing
from tests.parts.proxy import Asked, Fate, Proxy, Weather, fine, proxied

from kedge.kube.client import Client
from kedge.kube.kubeconfig import Access
from kedge.model.ref import UnitName

pytestmark = pytest.mark.e2e

WEB = UnitName("shop", "web")
MAPS = "/api/v1/namespaces/web/configmaps"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"
LATER = ", annotations: {argocd.argoproj.io/sync-wave: '1'}"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setattr("kedge.kube.watch.MAX_PAUSE", 0.5)
    monkeypatch.setattr("kedge.kube.pulse.MOST", 1.0)


def declared(more: str = "", **files: str) -> dict[str, str | None]:
    inner: dict[str, str | None] = {f"apps/web/{name}.yaml": text for name, text in files.items()}
    return {
        ".kedge/shop.yaml": PROJECT,
        ".kedge/web.yaml": application("web", more),
        "apps/web/namespace.yaml": NAMESPACE,
        **inner,
    }


async def begun(world: World, more: str = "", **files: str) -> None:
    world.repository.write(declared(more, **files))
    await world.synced("shop/web", world.pushed("begin"))


@asynccontextmanager
async def behind_a_proxy(folder: Path, access: Access | None) -> AsyncIterator[tuple[World, Proxy]]:
    async with AsyncExitStack() as stack:
        if access is None:
            _, access = await stack.enter_async_context(clustered(folder / "sandbox"))
        proxy, through = await stack.enter_async_context(proxied(access, folder / "proxy"))
        yield await stack.enter_async_context(standing(folder, access=through)), proxy


async def from_git(world: World) -> list[dict[str, Any]]:
    """Each ConfigMap of Git's making; a namespace's own comes in its own time."""
    return [item for item in (await world.call("GET", MAPS))["items"] if "greeting" in item.get("data", {})]


async def everything(world: World) -> dict[str, str]:
    """What each of them says."""
    return {item["metadata"]["name"]: item["data"]["greeting"] for item in await from_git(world)}


async def test_a_folder_without_manifests_deletes_nothing_and_a_sync_by_hand_is_no_agreement(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        await begun(world, config=config("hello"), extra=config("x", "more"))
        gone: dict[str, str | None] = {f"apps/web/{name}.yaml": None for name in ("namespace", "config", "extra")}
        world.repository.write({**gone, "apps/web/README.md": "nothing left\n"})
        commit = world.pushed("every manifest is deleted")
        assert "the rendered set is empty: everything would be deleted" in await held_for(world)
        said = await world.kedge("sync", "web", "-y", "--reason", "let us see")
        assert "the rendered set is empty" in said.out + said.err + await held_for(world)
        assert await everything(world) == {"web": "hello", "more": "x"}

        await world.kedge("approve", "web", "-y", "--reason", "it may go")
        await world.synced("shop/web", commit)
        assert await world.call("GET", f"{MAPS}/more") is None
        # That was agreed to once: what comes back and goes again asks again.
        world.repository.write({"apps/web/config.yaml": config("again"), "apps/web/namespace.yaml": NAMESPACE})
        await world.synced("shop/web", world.pushed("back"))
        world.repository.write({"apps/web/config.yaml": None, "apps/web/namespace.yaml": None})
        world.pushed("and gone again")
        assert "the rendered set is empty" in await held_for(world)
        assert await everything(world) == {"web": "again"}


async def by_kubectl(world: World) -> str:
    """An object that a person applied before any commit stated it; its uid."""
    await world.call("POST", "/api/v1/namespaces", {"metadata": {"name": "web"}})
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"greeting": "theirs"}}
    path = f"{MAPS}/theirs?fieldManager=kubectl"
    made = await world.call("PATCH", path, body, "application/apply-patch+yaml")
    return str(made["metadata"]["uid"])


async def test_what_kubectl_made_stays_when_git_stated_it_and_nothing_was_ever_applied(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        uid = await by_kubectl(world)
        world.repository.write(declared("  sync: {auto: false}\n", theirs=config("mine", "theirs")))
        world.pushed("states it")
        await world.until("shop/web", lambda d: d.plan is not None and "ConfigMap" in str(d.plan.steps))
        world.repository.write({"apps/web/theirs.yaml": None, "apps/web/other.yaml": config("x", "other")})
        world.repository.write({".kedge/web.yaml": application("web")})
        await world.synced("shop/web", world.pushed("states it no more, and applies"))
        found = await world.call("GET", f"{MAPS}/theirs")
        assert (found["metadata"]["uid"], found["data"]) == (uid, {"greeting": "theirs"})
        assert "kedge.dev/owner" not in found["metadata"].get("annotations", {})


async def test_what_kubectl_made_is_git_s_once_applied_and_goes_with_it_unless_it_is_to_be_kept(
    tmp_path: Path, access: Access | None
) -> None:
    """Stated and applied, an object carries our mark: it is Git's, whoever made it. To give it back, say so first."""
    async with standing(tmp_path, access=access) as world:
        uid = await by_kubectl(world)
        await begun(world, theirs=config("mine", "theirs"), other=config("x", "other"))
        found = await world.call("GET", f"{MAPS}/theirs")
        assert (found["metadata"]["uid"], found["data"]) == (uid, {"greeting": "mine"})
        world.repository.write({"apps/web/theirs.yaml": config("mine", "theirs", KEEP)})
        await world.synced("shop/web", world.pushed("it is to be kept"))
        world.repository.write({"apps/web/theirs.yaml": None})
        await world.synced("shop/web", world.pushed("it is given back"))
        found = await world.call("GET", f"{MAPS}/theirs")
        assert found["metadata"]["uid"] == uid
        assert "kedge.dev/owner" not in found["metadata"].get("annotations", {})

        # Given back, it is nobody's again: stated and dropped without that word it goes, as whatever leaves Git.
        world.repository.write({"apps/web/theirs.yaml": config("again", "theirs")})
        await world.synced("shop/web", world.pushed("states it again"))
        world.repository.write({"apps/web/theirs.yaml": None})
        await world.synced("shop/web", world.pushed("drops it"))
        assert await world.call("GET", f"{MAPS}/theirs") is None


KEEP = ", annotations: {argocd.argoproj.io/sync-options: Prune=false}"


async def test_what_an_unfinished_run_made_is_pruned_by_the_commit_that_drops_it(
    tmp_path: Path, access: Access | None
) -> None:
    """Forty objects, the thirtieth of which is refused for good; then eleven of those that were made leave Git."""
    async with behind_a_proxy(tmp_path, access) as (world, proxy):
        await begun(world, stays=config("hello", "stays"))

        def meet(asked: Asked) -> Fate:
            return Fate.BROKEN if asked.write and asked.path.endswith("/config-30") else Fate.FINE

        proxy.meet = meet
        names = [f"config-{number}" for number in range(40)]
        texts = {name: config("one", name, LATER if int(name[7:]) >= 30 else "") for name in names}
        world.repository.write({f"apps/web/{name}.yaml": text for name, text in texts.items()})
        world.pushed("forty more")
        await world.until("shop/web", lambda d: "config-30" in d.shown.why)
        assert set(names[:30]) <= set(await everything(world))
        dropped = names[10:21]
        world.repository.write({f"apps/web/{name}.yaml": None for name in dropped})
        world.repository.write({"apps/web/config-30.yaml": None})
        world.pushed("without eleven of them")
        held = await world.until("shop/web", lambda d: d.plan is not None and d.plan.needs is not None)
        assert held.plan is not None
        await world.retried(lambda: world.house.commands.approve(MONA, WEB, held.plan.effects[:12], "as Git says"))
        dossier = await world.synced("shop/web")
        left = {*names, "stays"} - {*dropped, "config-30"}
        assert set(await everything(world)) == left
        assert {entry.ref.name for entry in dossier.inventory if entry.ref.kind == "ConfigMap"} == left


THING = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {{name: {name}}}\nspec: {{replicas: 1}}\n"
THINGS = "/apis/example.com/v1/namespaces/web/things"


async def held_for(world: World) -> str:
    """Why the unit's plan waits for a person."""
    held = await world.until("shop/web", lambda d: d.plan is not None and d.plan.needs is not None)
    assert held.plan is not None
    assert held.plan.needs is not None
    assert held.operation is None
    return " | ".join(held.plan.needs.reasons)


async def test_a_namespace_or_a_definition_goes_only_when_a_person_agreed_who_is_told_what_goes_along(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        await begun(world, definition=DEFINITION, config=config("hello"))
        await world.call("POST", MAPS, {"metadata": {"name": "stranger"}})
        thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "theirs"}}
        await world.call("POST", THINGS, thing)
        world.repository.write({"apps/web/namespace.yaml": None, "apps/web/definition.yaml": None})
        world.pushed("without its namespace and its definition")
        reasons = await held_for(world)
        assert "Namespace web is deleted, with everything in it: 2 objects beside the unit's own" in reasons, reasons
        assert "ConfigMap web/stranger, example.com/Thing web/theirs" in reasons, reasons
        assert (
            "CustomResourceDefinition things.example.com is deleted, with every object of its kind: 1 object" in reasons
        )
        assert "beside the unit's own" in await world.said("beside the unit's own", "diff", "web")
        assert await world.call("GET", f"{MAPS}/stranger") is not None
        assert await world.call("GET", f"{THINGS}/theirs") is not None


async def test_a_unit_that_goes_unasked_asks_where_it_would_take_others_objects_along(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        await begun(world, "  onRemove: delete\n", config=config("hello"))
        await world.call("POST", MAPS, {"metadata": {"name": "stranger"}})
        world.repository.write({".kedge/web.yaml": None})
        world.pushed("without the unit")
        assert "1 object beside the unit's own (ConfigMap web/stranger)" in await held_for(world)
        await world.call("DELETE", f"{MAPS}/stranger")
        world.house.shift.ring(WEB, "it is gone")
        await world.gone("shop/web")


async def test_what_a_custom_object_owns_counts_as_deleted_with_it(tmp_path: Path, access: Access | None) -> None:
    """An operator's object, whose data goes when it goes; and one that owns more than may go unasked."""
    async with standing(tmp_path, access=access) as world:
        things = {name: THING.format(name=name) for name in ("database", "many", "few")}
        more = {f"config-{number}": config("x", f"config-{number}") for number in range(6)}
        await begun(world, definition=DEFINITION, **things, **more)
        for name in things:
            await reported(world, f"{THINGS}/{name}")
        await owned_by(world, "database", CLAIMS, CLAIM)
        for number in range(6):
            await owned_by(world, "many", MAPS, {"metadata": {"name": f"of-many-{number}"}})
        await owned_by(world, "few", MAPS, {"metadata": {"name": "of-few"}})
        world.repository.write({"apps/web/few.yaml": None})
        await world.synced("shop/web", world.pushed("without the few"))

        world.repository.write({"apps/web/many.yaml": None})
        world.pushed("without the many")
        assert "1 of 10 objects are deleted, and 6 objects with them" in await held_for(world)
        world.repository.write({"apps/web/many.yaml": things["many"]})
        await world.synced("shop/web", world.pushed("with the many"))

        world.repository.write({"apps/web/database.yaml": None})
        world.pushed("without the database")
        reasons = await held_for(world)
        assert "example.com/Thing web/database is deleted, and what it owns with it" in reasons
        assert "PersistentVolumeClaim web/data" in reasons


CLAIMS = "/api/v1/namespaces/web/persistentvolumeclaims"
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


async def owned_by(world: World, thing: str, where: str, body: dict[str, Any]) -> None:
    """An object as an operator makes it for a Thing."""
    uid = (await world.call("GET", f"{THINGS}/{thing}"))["metadata"]["uid"]
    owner = {"apiVersion": "example.com/v1", "kind": "Thing", "name": thing, "uid": uid, "controller": True}
    await world.call("POST", where, {**body, "metadata": {**body["metadata"], "ownerReferences": [owner]}})


async def test_many_declarations_that_leave_git_at_once_are_asked_about_each(
    tmp_path: Path, access: Access | None
) -> None:
    names = [f"app-{number}" for number in range(7)]
    async with standing(tmp_path, access=access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        world.repository.write({"apps/web/namespace.yaml": NAMESPACE})
        for name in names:
            declared_so = application(name, "  after: [app/web]\n  onRemove: delete\n", namespace="web")
            world.repository.write({f".kedge/{name}.yaml": declared_so, f"apps/{name}/one.yaml": config("x", name)})
        begun_with = world.pushed("seven")
        for name in names:
            await world.synced(f"shop/{name}", begun_with)
        world.repository.write({f".kedge/{names[0]}.yaml": None})
        world.pushed("one less, unasked")
        await world.gone(f"shop/{names[0]}")
        for name in names[1:]:
            world.repository.write({f".kedge/{name}.yaml": None})
        world.pushed("six less")
        for name in names[1:]:
            held = await world.until(f"shop/{name}", lambda d: d.plan is not None and d.plan.needs is not None)
            assert "left Git" in held.shown.why
            assert await world.call("GET", f"{MAPS}/{name}") is not None


class Page(BaseHTTPRequestHandler):
    """What a forge says instead of its refs: HTML, or the beginning of an answer. `says` is (status, body, length)."""

    says: ClassVar[tuple[int, bytes, int]] = (200, b"", 0)

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        status, body, length = self.says
        self.send_response(status)
        self.send_header("Content-Type", "application/x-git-upload-pack-advertisement" if length > 99 else "text/html")
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)


SORRY = b"<html>We will be back soon</html>"
PAGES = ((503, SORRY, len(SORRY)), (200, SORRY, len(SORRY)), (200, b"001e# service=git-upload-pack", 5000))


@contextmanager
def instead_of(forge: Forge, says: tuple[int, bytes, int]) -> Iterator[None]:
    """Another server under the forge's address."""
    port = int(forge.server.url.rpartition(":")[2])
    forge.down()
    page = ThreadingHTTPServer(("127.0.0.1", port), type("Said", (Page,), {"says": says}))
    thread = Thread(target=page.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        page.shutdown()
        page.server_close()
        thread.join()
        forge.up()


async def test_a_forge_that_answers_nonsense_removes_nothing_and_is_told(tmp_path: Path, access: Access | None) -> None:
    async with standing(tmp_path, access=access) as world:
        await begun(world, config=config("hello"))
        for number, says in enumerate(PAGES):
            with instead_of(world.forge, says):
                world.hint()
                await world.said("source http://127.0.0.1", "get")
                dossier = await world.house.doors.store.load(WEB)
                assert dossier is not None
                assert dossier.removed is None
                assert await world.greeting("web") == "hello"
            world.repository.write({"apps/web/more.yaml": config(f"after-{number}", "more")})
            await world.synced("shop/web", world.pushed("well again"))
            assert await world.greeting("web", "more") == f"after-{number}"


STATEFUL = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: web}}
spec:
  serviceName: {service}
  replicas: 0
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: "nginx:1"}}]}}
"""


async def test_an_immutable_field_of_a_stateful_set_is_named_at_once_and_the_neighbours_go_on(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        world.repository.write({".kedge/other.yaml": application("other", namespace="web")})
        world.repository.write({"apps/other/other.yaml": config("hello", "other")})
        await begun(world, stateful=STATEFUL.format(service="one"), config=config("hello"))
        path = "/apis/apps/v1/namespaces/web/statefulsets/web"
        uid = (await world.call("GET", path))["metadata"]["uid"]
        world.repository.write({"apps/web/stateful.yaml": STATEFUL.format(service="two")})
        world.repository.write(
            {"apps/web/config.yaml": config("half"), "apps/other/other.yaml": config("bye", "other")}
        )
        commit = world.pushed("another service")
        blocked = await world.until("shop/web", lambda d: d.plan is not None and bool(d.plan.blocked))
        assert "StatefulSet web/web: the API server refuses to change spec.serviceName: " in blocked.shown.why
        assert "serviceName" in await world.said("serviceName", "diff", "web")
        await world.synced("shop/other", commit)
        assert await everything(world) == {"web": "hello", "other": "bye"}, "a commit is applied whole or not at all"
        assert (await world.call("GET", path))["metadata"]["uid"] == uid
        world.repository.write({"apps/web/stateful.yaml": STATEFUL.format(service="one")})
        await world.synced("shop/web", world.pushed("back"))
        assert await world.greeting("web") == "half"


async def test_lists_of_a_server_that_lags_behind_make_and_delete_nothing(
    tmp_path: Path, access: Access | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch has to begin again, and again, with a list as it was before the last commit."""
    monkeypatch.setattr(Client, "streams_snapshots", property(lambda _: False, lambda *_: None), raising=False)
    async with behind_a_proxy(tmp_path, access) as (world, proxy):
        proxy.meet = lambda asked: Fate.CUT if asked.watching else Fate.FINE
        await begun(world, stays=config("one", "stays"), goes=config("one", "goes"))
        world.repository.write({"apps/web/goes.yaml": None, "apps/web/comes.yaml": config("two", "comes")})
        world.repository.write({"apps/web/stays.yaml": config("two", "stays")})
        commit = world.pushed("one goes, one comes")
        await world.synced("shop/web", commit)
        wanted = {"stays": "two", "comes": "two"}
        assert await everything(world) == wanted
        uids = {item["metadata"]["name"]: item["metadata"]["uid"] for item in await from_git(world)}

        proxy.meet = old_lists
        wrote = len(proxy.wrote)
        await world.eventually(lambda: lied(world, proxy, 4))
        proxy.meet = fine
        await world.synced("shop/web", commit)
        ours = {asked.what for asked in proxy.wrote[wrote:] if asked.query.get("fieldManager") != "news"}
        assert ours <= {f"PATCH {MAPS}/stays"}, "at most what stands there is stated once more"
        assert await everything(world) == wanted
        assert {item["metadata"]["name"]: item["metadata"]["uid"] for item in await from_git(world)} == uids


def old_lists(asked: Asked) -> Fate:
    if asked.watching:
        return Fate.EXPIRED
    return Fate.STALE if asked.path.endswith("/api/v1/configmaps") else Fate.FINE


async def lied(world: World, proxy: Proxy, times: int) -> bool:
    """Whether so many old lists were served; if not, there is news, and everybody looks again."""
    word = {"metadata": {"annotations": {"news": str(proxy.struck.total())}}}
    await world.call("PATCH", f"{MAPS}/stays?fieldManager=news", word, "application/merge-patch+json")
    world.hint()
    return proxy.struck[Fate.STALE] >= times


def refusing(count: int, then: Callable[[Asked], Fate]) -> Callable[[Asked], Fate]:
    """429 to so many requests, and then as `then` says."""
    left = [count]

    def meet(asked: Asked) -> Fate:
        left[0] -= 1
        return Fate.THROTTLED if left[0] >= 0 else then(asked)

    return meet


async def test_a_server_that_throttles_and_then_fails_at_random_is_believed_in_nothing_it_did_not_say(
    tmp_path: Path, access: Access | None
) -> None:
    async with behind_a_proxy(tmp_path, access) as (world, proxy):
        texts = {f"config-{number}": config("one", f"config-{number}") for number in range(12)}
        await begun(world, **texts)
        every_fifth = {Fate.DROPPED: 0.05, Fate.UNHEARD: 0.05, Fate.BROKEN: 0.05, Fate.AWAY: 0.05}
        proxy.meet = lambda asked: Fate.THROTTLED
        changed = {f"apps/web/{name}.yaml": text.replace("one", "two") for name, text in texts.items()}
        world.repository.write({**changed, "apps/web/config-0.yaml": None})
        commit = world.pushed("two")
        while proxy.struck[Fate.THROTTLED] < 8:
            await asyncio.sleep(0.1)
            dossier = await world.house.doors.store.load(WEB)
            said = dossier is not None and dossier.applied is not None and dossier.applied.commit == commit
            assert not said, "nothing of this commit was applied"
        proxy.meet = refusing(4, Weather(7, every_fifth))
        await world.synced("shop/web", commit)
        wanted = {name: "two" for name in texts if name != "config-0"}
        assert {name: said for name, said in (await outside(world, proxy)).items() if name in texts} == wanted


async def outside(world: World, proxy: Proxy) -> dict[str, str]:
    """As the server itself tells it, once the weather is fine."""
    proxy.meet = fine
    await proxy.settled()
    return await everything(world)
