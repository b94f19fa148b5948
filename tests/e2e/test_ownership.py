"""Whose fields are whose, on objects that other tools made: adopted once approved, no field lost, none leaked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.e2e.stories import DEFINITION, PROJECT, application
from tests.e2e.world import MONA, World, standing

from kedge.model.dossier import Dossier
from kedge.model.manifest import Manifest
from kedge.model.operation import Outcome
from kedge.model.pair import Scope
from kedge.model.plan import Step
from kedge.model.ref import UnitName
from kedge.targets.kubernetes import KubernetesTarget

pytestmark = pytest.mark.e2e

WEB = UnitName("shop", "web")
SPACE = "/api/v1/namespaces"
MAPS = f"{SPACE}/web/configmaps"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"
OURS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, labels: {tier: front}}\ndata: {greeting: ours}\n"


def theirs(**metadata: Any) -> dict[str, Any]:
    """What the other tool put there: a field of ours with another value, and two that Git does not state."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "web", **metadata, "labels": {"left": "over", **metadata.get("labels", {})}},
        "data": {"greeting": "theirs", "more": "x"},
    }


def declared(text: str = OURS) -> dict[str, str | None]:
    inner = {"apps/web/namespace.yaml": NAMESPACE, "apps/web/config.yaml": text}
    return {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web"), **inner}


async def found(world: World, manager: str, obj: dict[str, Any], *, applied: bool) -> None:
    """A namespace, and the object in it as `manager` made it."""
    await world.call("POST", f"{SPACE}?fieldManager=kubectl-create", {"metadata": {"name": "web"}})
    if applied:
        await world.call("PATCH", f"{MAPS}/web?fieldManager={manager}&force=true", obj, APPLY)
    else:
        await world.call("POST", f"{MAPS}?fieldManager={manager}", obj)


async def ours_alone(world: World) -> None:
    """Nothing of theirs is left: no field, no mark, no manager; a field that leaves Git goes."""
    live = await world.call("GET", f"{MAPS}/web")
    assert live["data"] == {"greeting": "ours"}
    metadata = live["metadata"]
    assert {entry["manager"] for entry in metadata["managedFields"]} == {"kedge"}
    assert [key for key in metadata["labels"] if not key.startswith("kedge.dev/")] == ["tier"]
    assert [key for key in metadata["annotations"] if not key.startswith("kedge.dev/")] == []
    world.repository.write({"apps/web/config.yaml": OURS.replace("greeting: ours", "other: ours")})
    await world.synced("shop/web", world.pushed("another field"))
    assert (await world.call("GET", f"{MAPS}/web"))["data"] == {"other": "ours"}


OTHERS = {
    "argocd": (
        "argocd-controller",
        theirs(annotations={"argocd.argoproj.io/tracking-id": "web:/ConfigMap:web/web"}),
        "argocd web",
    ),
    "flux": (
        "kustomize-controller",
        theirs(
            labels={
                "kustomize.toolkit.fluxcd.io/name": "web",
                "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
            }
        ),
        "Kustomization flux-system/web",
    ),
    "helm": (
        "helm",
        theirs(
            labels={"app.kubernetes.io/managed-by": "Helm"},
            annotations={"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "web"},
        ),
        "release web/web",
    ),
}


def waits(dossier: Dossier) -> bool:
    return dossier.plan is not None and dossier.plan.needs is not None and dossier.operation is None


@pytest.mark.parametrize("program", OTHERS)
async def test_what_another_program_manages_waits_for_a_person_and_is_then_ours_alone(tmp_path, access, program):
    manager, obj, name = OTHERS[program]
    async with standing(tmp_path, access=access) as world:
        await found(world, manager, obj, applied=program != "helm")
        world.repository.write(declared())
        world.pushed("begin")
        held = await world.until("shop/web", waits)
        assert name in (await world.kedge("diff", "web")).out
        assert await world.greeting("web") == "theirs"
        before = await world.call("GET", f"{MAPS}/web")
        assert "kedge.dev/owner" not in before["metadata"].get("annotations", {})
        await world.retried(lambda: world.house.commands.approve(MONA, WEB, held.plan.effects[:12], "it moves here"))
        await world.synced("shop/web")
        assert (await world.call("GET", f"{MAPS}/web"))["metadata"]["uid"] == before["metadata"]["uid"]
        await ours_alone(world)


async def test_what_kubectl_applied_client_side_is_ours_alone_without_a_question(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        obj = theirs()
        obj["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(theirs())}
        await found(world, "kubectl-client-side-apply", obj, applied=False)
        world.repository.write(declared())
        dossier = await world.synced("shop/web", world.pushed("begin"))
        assert (dossier.runs, dossier.plan) == (1, None), "nobody was asked"
        await ours_alone(world)


WEB_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1"}]}
"""
DEPLOYMENT = "/apis/apps/v1/namespaces/web/deployments/web"


async def test_what_people_add_goes_and_what_a_controller_adds_stays(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write(declared(WEB_DEPLOYMENT))
        await world.synced("shop/web", world.pushed("begin"))
        more = {"metadata": {"annotations": {"example.com/seen": "yes"}}}
        await world.call("PATCH", f"{DEPLOYMENT}?fieldManager=some-operator", more, MERGE)
        edited = {"metadata": {"annotations": {"example.com/edited": "yes"}}, "spec": {"minReadySeconds": 1}}
        await world.call("PATCH", f"{DEPLOYMENT}?fieldManager=kubectl-edit", edited, MERGE)
        env = [{"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "A", "value": "b"}]}]
        await world.call("PATCH", f"{DEPLOYMENT}?fieldManager=kubectl-patch", env, JSON_PATCH)
        scale = f"{DEPLOYMENT}/scale?fieldManager=kubectl-scale"
        await world.call("PATCH", scale, {"spec": {"replicas": 3}}, MERGE)

        async def clean() -> bool:
            live = await world.call("GET", DEPLOYMENT)
            container, spec = live["spec"]["template"]["spec"]["containers"][0], live["spec"]
            notes = live["metadata"]["annotations"]
            assert notes["example.com/seen"] == "yes"
            dirty = "env" in container or "example.com/edited" in notes or spec.get("minReadySeconds")
            return not dirty and spec["replicas"] == 1

        await world.eventually(clean)
        await world.synced("shop/web")


THING = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: one}\nspec: {size: s, sise: l}\n"


async def test_a_field_that_a_definition_does_not_know_is_told_and_not_silently_dropped(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write(declared(DEFINITION))
        await world.synced("shop/web", world.pushed("begin"))
        world.repository.write({"apps/web/thing.yaml": THING})
        world.pushed("a slip of the pen")
        assert "sise" in await world.said("sise", "diff", "web")


async def test_what_somebody_makes_between_the_plan_and_its_act_is_not_taken_unseen(tmp_path, access, monkeypatch):
    """It was taken by force: the plan had shown a creation."""
    act, made = KubernetesTarget.act, []

    async def late(self: KubernetesTarget, scope: Scope, step: Step, manifest: Manifest | None) -> Outcome:
        if step.ref.name == "web" and step.ref.kind == "ConfigMap" and not made:
            made.append(step)
            name, obj, _ = OTHERS["argocd"]
            await world.call("PATCH", f"{MAPS}/web?fieldManager={name}&force=true", obj, APPLY)
        return await act(self, scope, step, manifest)

    monkeypatch.setattr(KubernetesTarget, "act", late)
    monkeypatch.setattr("kedge.engine.delivery.retry_at", lambda attempts, now: now + 0.2)
    async with standing(tmp_path, access=access) as world:
        world.repository.write(declared())
        world.pushed("begin")
        held = await world.until("shop/web", waits)
        assert "argocd" in held.shown.why
        assert await world.greeting("web") == "theirs"
        assert "by somebody else since the plan" in (await world.kedge("get", "event")).out
        await world.retried(lambda: world.house.commands.approve(MONA, WEB, held.plan.effects[:12], "it moves here"))
        await world.synced("shop/web")
        await ours_alone(world)


async def test_where_nobody_keeps_a_record_of_owners_the_values_tell(tmp_path, access):
    """Somebody has it forgotten: what is Git's is still told by its value, and the next write begins a new record."""
    async with standing(tmp_path, access=access) as world:
        world.repository.write(declared())
        await world.synced("shop/web", world.pushed("begin"))
        forget = {"metadata": {"managedFields": [{}]}}
        await world.call("PATCH", f"{MAPS}/web?fieldManager=tool", forget, MERGE)
        await world.call("PATCH", f"{MAPS}/web?fieldManager=tool", {"data": {"greeting": "theirs"}}, MERGE)

        async def healed() -> bool:
            return await world.greeting("web") == "ours"

        await world.eventually(healed)
        await world.synced("shop/web")
        live = await world.call("GET", f"{MAPS}/web")
        assert "kedge" in {entry["manager"] for entry in live["metadata"]["managedFields"]}


CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data, annotations: {{kedge.dev/replace: "true"}}}}
spec: {{accessModes: [{mode}], storageClassName: none, resources: {{requests: {{storage: 1Gi}}}}}}
"""


async def test_a_volume_claim_is_never_replaced_whatever_it_says_of_itself(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        path = f"{SPACE}/web/persistentvolumeclaims/data"
        world.repository.write({**declared(), "apps/web/claim.yaml": CLAIM.format(mode="ReadWriteOnce")})
        world.pushed("begin")

        async def there() -> bool:
            return await world.call("GET", path) is not None

        await world.eventually(there)
        before = await world.call("GET", path)
        world.repository.write({"apps/web/claim.yaml": CLAIM.format(mode="ReadWriteMany")})
        world.pushed("another mode")
        blocked = await world.until("shop/web", lambda d: d.plan is not None and bool(d.plan.blocked))
        assert "PersistentVolumeClaim web/data" in blocked.shown.why
        assert "is never replaced" in await world.said("never replaced", "diff", "web")
        assert (await world.call("GET", path))["metadata"]["uid"] == before["metadata"]["uid"]


async def test_what_is_not_to_be_healed_is_reported_and_left(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        files = {**declared(), ".kedge/web.yaml": application("web", "  sync: {heal: never}\n")}
        world.repository.write(files)
        await world.synced("shop/web", world.pushed("begin"))
        await world.call("PATCH", f"{MAPS}/web?fieldManager=kubectl-edit", {"data": {"greeting": "edited"}}, MERGE)
        told = await world.said("healing is off", "get", "web")
        assert "OutOfSync" in told
        assert "edited" in (await world.kedge("diff", "web")).out
        assert await world.greeting("web") == "edited"
        await world.kedge("sync", "web", "-y", "--reason", "as Git says")
        await world.synced("shop/web")
        assert await world.greeting("web") == "ours"
