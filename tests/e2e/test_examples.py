"""The example applications of Argo CD, as they are: from a push to Healthy, drifted, changed, rolled back and gone.

Their declarations are in `tests/cases/examples`: the admin root in `system` names the repository of the examples as a
further root, in the place of an app of apps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.controllers import controlled
from tests.e2e.faraway import faraway
from tests.e2e.world import EXAMPLES, Repository, World, standing
from tests.sources.packing import chart

from kedge.kube.kubeconfig import Access
from kedge.model.ref import UnitName

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not EXAMPLES.exists(), reason="the shared example applications are not here"),
]

OURS = Path(__file__).resolve().parents[1] / "cases" / "examples"
MERGE = "application/merge-patch+json"
DEPLOYMENTS, SETS = "/apis/apps/v1/namespaces/{}/deployments/{}", "/apis/apps/v1/namespaces/{}/replicasets/{}"
SERVICES = "/api/v1/namespaces/{}/services/{}"
ARGO = "/apis/argoproj.io/v1alpha1/namespaces/{}/{}/{}"


@dataclass(frozen=True)
class Example:
    """`edit`: the change that a second commit makes, as file, text and what takes its place. `path` of the object in
    which `field` (its way down) goes from the first of `values` to the second by it; `lost` is one that is deleted."""

    edit: tuple[str, str, str]
    path: str
    field: str
    values: tuple[Any, Any]
    lost: str

    async def value(self, world: World) -> Any:
        found = await world.call("GET", self.path)
        for name in self.field.split("."):
            found = None if found is None else found[int(name) if name.isdecimal() else name]
        return found


def scaled(file: str, namespace: str, name: str, edit: tuple[str, str] = ("replicas: 1", "replicas: 2")) -> Example:
    service = SERVICES.format(namespace, name)
    return Example((file, *edit), DEPLOYMENTS.format(namespace, name), "spec.replicas", (1, 2), service)


def of_sets(name: str) -> Example:
    edit = (f"{name}/manifests.yaml", "replicas: 1", "replicas: 2")
    return Example(edit, SETS.format(name, "frontend"), "spec.replicas", (1, 2), SERVICES.format(name, "frontend"))


LIMIT = ("revisionHistoryLimit: 3", "revisionHistoryLimit: 4")
REPLICAS = ("replicaCount: 1", "replicaCount: 2")
FRONT = "helm-guestbook/values.yaml"
WIDE = "plugins/kustomized-helm"
APPLICATION = ARGO.format("argocd", "applications", "example.guestbook")
IMAGE = "spec.template.spec.containers.0.image"
PHP = "gcr.io/google-samples/gb-frontend"
EXAMPLES_OF = {
    "apps": Example(
        ("apps/values.yaml", "targetRevision: master", "targetRevision: main"),
        APPLICATION,
        "spec.source.targetRevision",
        ("master", "main"),
        APPLICATION.replace("guestbook", "sock-shop"),
    ),
    "blue-green": Example(
        ("blue-green/values.yaml", "tag: v5", "tag: v6"),
        ARGO.format("blue-green", "rollouts", "blue-green-helm-guestbook"),
        IMAGE,
        (f"{PHP}:v5", f"{PHP}:v6"),
        SERVICES.format("blue-green", "blue-green-helm-guestbook-preview"),
    ),
    "guestbook": scaled("guestbook/guestbook-ui-deployment.yaml", "guestbook", "guestbook-ui"),
    "helm-dependency": Example(
        ("helm-dependency/values.yaml", "tag: invalid", "tag: valid"),
        DEPLOYMENTS.format("helm-dependency", "helm-dependency-wordpress"),
        IMAGE,
        ("wordpress:invalid", "wordpress:valid"),
        SERVICES.format("helm-dependency", "helm-dependency-mariadb"),
    ),
    "helm-guestbook": scaled(FRONT, "helm-guestbook", "helm-guestbook", REPLICAS),
    "helm-hooks": of_sets("helm-hooks"),
    "jsonnet-guestbook": scaled("jsonnet-guestbook/params.libsonnet", "jsonnet-guestbook", "jsonnet-guestbook-ui"),
    "jsonnet-guestbook-tla": scaled(
        "jsonnet-guestbook-tla/guestbook-ui.jsonnet",
        "jsonnet-guestbook-tla",
        "jsonnet-guestbook-ui",
        ("replicas=1", "replicas=2"),
    ),
    "kustomize-guestbook": scaled(
        "kustomize-guestbook/guestbook-ui-deployment.yaml", "kustomize-guestbook", "kustomize-guestbook-ui"
    ),
    "pre-post-sync": scaled(
        "kustomize-guestbook/guestbook-ui-deployment.yaml", "pre-post-sync", "pre-post-sync-kustomize-guestbook-ui"
    ),
    "sock-shop": scaled("sock-shop/base/front-end-dep.yaml", "sock-shop", "front-end"),
    "sync-waves": of_sets("sync-waves"),
    "kasane": Example(
        ("guestbook/guestbook-ui-svc.yaml", "- port: 80", "- port: 8080"),
        SERVICES.format("kasane", "guestbook-ui"),
        "spec.ports.0.port",
        (80, 8080),
        DEPLOYMENTS.format("kasane", "guestbook-ui"),
    ),
    "kustomized-helm": scaled(FRONT, "kustomized-helm", "kustomize-release-name-helm-guestbook", REPLICAS),
}


def wordpress() -> bytes:
    """A chart of our own in the place of the real one: it takes the values that the example sets."""
    database = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Release.Name }}-mariadb}\n"
        "spec: {ports: [{port: 3306}], selector: {app: mariadb}}\n"
    )
    secret = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: {{ .Release.Name }}-wordpress}\n"
        "stringData: {password: {{ required `a password` .Values.wordpressPassword }}}\n"
    )
    deployment = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: {{ .Release.Name }}-wordpress}\n"
        "spec:\n  selector: {matchLabels: {app: wordpress}}\n  template:\n    metadata: {labels: {app: wordpress}}\n"
        '    spec: {containers: [{name: wordpress, image: "wordpress:{{ .Values.image.tag }}"}]}\n'
    )
    return chart(
        "wordpress",
        "9.0.3",
        {
            "values.yaml": "mariadb: {enabled: true}\ngreeting: hello\n",
            "templates/secret.yaml": secret,
            "templates/deployment.yaml": deployment,
            "charts/mariadb/Chart.yaml": "apiVersion: v2\nname: mariadb\nversion: 5.0.0\n",
            "charts/mariadb/templates/service.yaml": database,
        },
        "dependencies: [{name: mariadb, version: 5.x.x, condition: mariadb.enabled}]\n",
    )


@dataclass
class Shown:
    """The world with both repositories; those of the admin root are in the world's own."""

    world: World
    examples: Repository

    def push(self, message: str) -> str:
        commit = self.examples.push(message)
        self.world.hint()
        return commit

    async def becomes(self, name: str, true: Callable[[], Awaitable[bool]]) -> None:
        """Until it is so, and the unit Synced and Healthy; fails with what Kedge says instead."""
        try:
            await self.world.eventually(true)
        except TimeoutError:
            told = [await self.world.kedge(*words, name) for words in (("get",), ("diff",), ("get", "event"))]
            raise AssertionError(f"{name} never got there:\n{''.join(each.out for each in told)}") from None
        if name == "blue-green":
            await self.promoted(name)
        await self.world.synced(f"examples/{name}")

    async def promoted(self, name: str) -> None:
        """Another version waits beside the one that serves, until somebody says so."""
        found = await self.world.until(f"examples/{name}", lambda d: d.operation is None and d.shown.sync == "Synced")
        if found.shown.health.status == "Suspended":
            done = await self.world.kedge("act", name, "rollout/blue-green-helm-guestbook", "promote", "-y")
            assert done.code == 0, done.err

    async def each(self, work: Callable[[str, Example], Awaitable[Any]]) -> None:
        """For all examples side by side."""
        await asyncio.gather(*(work(name, example) for name, example in EXAMPLES_OF.items()))


@asynccontextmanager
async def shown(folder: Path, access: Access | None) -> AsyncIterator[Shown]:
    async with AsyncExitStack() as stack:
        away = await stack.enter_async_context(faraway(folder, ["charts.helm.sh"]))
        away.offer("/stable", "wordpress", {"9.0.2": chart("wordpress", "9.0.2"), "9.0.3": wordpress()})
        environ = {"PROXY": away.proxy, "PROXY_CA": away.authority}
        world = await stack.enter_async_context(standing(folder, environ=environ, access=access))
        examples = world.forge.repository("examples")
        examples.copy(EXAMPLES, "")
        examples.copy(OURS / "argocd", "")
        world.repository.copy(OURS / "system", "")
        root = world.repository.work / ".kedge" / "root.yaml"
        root.write_text(root.read_text().replace("https://git.example.com/examples.git", examples.url))
        await stack.enter_async_context(controlled(world.access))
        yield Shown(world, examples)


async def drifted(it: Shown) -> None:
    """Somebody changes one object of each application and deletes another: both are as Git wants them again."""
    world, before = it.world, {}

    async def meddle(name: str, example: Example) -> None:
        top, *_, last = example.field.split(".")
        found = await world.call("GET", example.path)
        other = 7 if last.isdecimal() or top == "ports" or last in ("replicas", "port") else "another"
        body = {"spec": changed(found["spec"], example.field.split(".")[1:], other)}
        before[name] = (await world.call("GET", example.lost))["metadata"]["uid"]
        await world.call("PATCH", f"{example.path}?fieldManager=kubectl-edit", body, MERGE)
        await world.call("DELETE", example.lost)

    async def healed(name: str, example: Example) -> None:
        async def back() -> bool:
            found = await world.call("GET", example.lost)
            made_anew = found is not None and found["metadata"]["uid"] != before[name]
            return made_anew and await example.value(world) == example.values[0]

        if name == "guestbook":  # where healing is off, it is told
            told = await world.said("healing is off: kedge sync repairs it", "get", name)
            assert "OutOfSync" in told
            await world.said("+ Service", "diff", name)  # which was deleted after the other was changed
            shown = await world.kedge("diff", name)
            assert (shown.code, "spec.replicas" in shown.out, "+ Service" in shown.out) == (1, True, True), shown.out
            assert (await world.kedge("sync", name, "-y", "--no-wait")).code == 0
        await it.becomes(name, back)
        events = (await world.kedge("get", "event", name)).out
        assert ("(sync)" if name == "guestbook" else "(drift)") in events, events

    await it.each(meddle)
    await it.each(healed)


def changed(value: Any, way: list[str], to: Any) -> Any:
    """The value with something else at the end of the way."""
    if not way:
        return to
    if isinstance(value, list):
        return [changed(each, way[1:], to) if index == int(way[0]) else each for index, each in enumerate(value)]
    return {**value, way[0]: changed(value[way[0]], way[1:], to)}


async def edited(it: Shown) -> None:
    """A second commit changes each of them."""
    for name, example in EXAMPLES_OF.items():
        file, before, after = example.edit
        text = (it.examples.work / file).read_text()
        assert before in text or after in text, name
        it.examples.write({file: text.replace(before, after)})
    it.push("change every example")

    async def arrived(name: str, example: Example) -> None:
        async def there() -> bool:
            return await example.value(it.world) == example.values[1]

        await it.becomes(name, there)

    await it.each(arrived)


async def went_back(it: Shown) -> None:
    """Rolled back after a preview, pinned, and on again."""

    async def back(name: str, example: Example) -> None:
        world = it.world
        preview = await world.kedge("rollback", name, "--dry-run")
        assert preview.code == 0, preview.err
        assert example.path.rpartition("/")[2] in preview.out, preview.out
        assert await example.value(world) == example.values[1], name
        done = await world.kedge("rollback", name, "-y", "--reason", "it was better before")
        assert done.code == 0, done.err

        async def there() -> bool:
            return await example.value(world) == example.values[0]

        await it.becomes(name, there)
        assert (await world.kedge("get", f"examples/{name}", "-o", "json")).json["unit"]["pin"][
            "reason"
        ] == "it was better before"

    await it.each(back)

    async def on(name: str, example: Example) -> None:
        assert (await it.world.kedge("resume", name, "-y")).code == 0

        async def there() -> bool:
            return await example.value(it.world) == example.values[1]

        await it.becomes(name, there)

    await it.each(on)


async def removed(it: Shown) -> None:
    """Their declarations leave Git: each asks, and takes what it has made and nothing else."""
    world = it.world
    strangers = [f"/api/v1/namespaces/{name}/configmaps" for name in EXAMPLES_OF if name != "apps"]
    for path in strangers:
        await world.call("POST", path, {"metadata": {"name": "stranger"}, "data": {"a": "b"}})
    it.examples.write(dict.fromkeys(f".kedge/{name}.yaml" for name in EXAMPLES_OF))
    it.push("no examples")

    async def gone(name: str, example: Example) -> None:
        held = await world.until(f"examples/{name}", lambda d: d.plan is not None and d.plan.removal)
        assert held.plan.needs is not None
        assert await example.value(world) == example.values[1], name
        done = await world.kedge("approve", name, "--effects", held.plan.effects[:12], "-y")
        assert done.code == 0, done.err
        await world.gone(f"examples/{name}")

    await it.each(gone)
    for path in strangers:
        assert await world.call("GET", f"{path}/stranger") is not None

    async def tidy() -> bool:
        return await ours(world) == {"Namespace", "CustomResourceDefinition"}

    try:
        await world.eventually(tidy)
    except TimeoutError:
        raise AssertionError(f"these are left: {await ours(world)}") from None
    for unit in ("namespaces", "argo"):
        await world.synced(f"examples/{unit}")


async def ours(world: World) -> set[str]:
    """Kinds of which an object in the cluster carries our mark, or was made from one that did."""
    found = set()
    for group in (
        "/api/v1",
        "/apis/apps/v1",
        "/apis/batch/v1",
        "/apis/networking.k8s.io/v1",
        ARGO.partition("/namesp")[0],
        "/apis/apiextensions.k8s.io/v1",
    ):
        for kind in (await world.call("GET", group))["resources"]:
            if "/" in kind["name"] or "list" not in kind["verbs"] or kind["kind"] == "Event":
                continue
            for each in (await world.call("GET", f"{group}/{kind['name']}"))["items"]:
                metadata = each["metadata"]
                if "kedge.dev/owner" in metadata.get("annotations", {}) or "ownerReferences" in metadata:
                    found.add(kind["kind"])
    return found


async def begun(it: Shown) -> None:
    it.push("the examples")
    it.world.pushed("the system")

    async def applied(name: str, example: Example) -> None:
        dossier = await it.world.synced(f"examples/{name}")
        assert (dossier.last.number, str(dossier.last.result), dossier.overruled) == (1, "Succeeded", ())
        assert await example.value(it.world) == example.values[0], name

    await it.each(applied)
    hooked = (await it.world.house.doors.store.load(UnitName("examples", "pre-post-sync"))).last.outcomes
    phases = [outcome.step.split(":")[0] for outcome in hooked]
    assert [phase for phase in phases if phase != "Sync"] == ["PreSync", "PostSync", "clean", "clean"]


async def test_every_example_goes_from_push_to_healthy_and_all_the_way_back(tmp_path, access):
    async with shown(tmp_path, access) as it:
        for part in (begun, drifted, edited, went_back, removed):
            await part(it)
        left = (await it.world.kedge("get", "-o", "name")).out.split()
        assert not {f"examples/{name}" for name in EXAMPLES_OF} & set(left)
