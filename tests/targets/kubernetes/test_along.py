"""What goes along with a deletion, as far as an object itself tells; what the cluster tells is told in stories."""

from __future__ import annotations

from typing import Any

from tests.doors.kube_world import WEB, World, config_map, definition, ref, staged

from kedge.model.pair import Along, Seen
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.along import with_company

SERVICE = {"kind": "Service", "namespace": "web", "name": "web"}
STATEFUL = {"group": "apps", "kind": "StatefulSet", "namespace": "web", "name": "db"}
ARGO = {
    "metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]},
    "status": {"resources": [SERVICE, STATEFUL]},
}
ENTRIES = [{"id": "web_db_apps_StatefulSet", "v": "v1"}, {"id": "web_web__Service", "v": "v1"}]
FLUX = {"spec": {"prune": True}, "status": {"inventory": {"entries": ENTRIES}}}
APPS = (Ref("apps", "StatefulSet", "web", "db"), Ref("", "Service", "web", "web"))


async def company(world: World, what: Ref, live: dict[str, Any]) -> Along | None:
    site = await world.target._site(WEB)
    owner = marks.owner_text(WEB.installation, WEB.unit)
    (found,) = await with_company(site, owner, [Seen(what, live, None, uid="u")])
    return found.along


@staged
async def test_what_an_argo_cd_or_flux_object_would_prune_goes_along_and_data_is_named_first(world: World) -> None:
    application = Ref("argoproj.io", "Application", "argocd", "web")
    assert await company(world, application, ARGO) == Along(0, 2, APPS)
    kustomization = Ref("kustomize.toolkit.fluxcd.io", "Kustomization", "flux-system", "web")
    assert await company(world, kustomization, FLUX) == Along(0, 2, APPS)
    assert await company(world, application, {**ARGO, "metadata": {}}) == Along(), (
        "without its finalizer it prunes nothing"
    )
    assert await company(world, kustomization, {**FLUX, "spec": {"prune": False}}) == Along()


@staged
async def test_an_ordinary_object_is_asked_nothing_about(world: World) -> None:
    await world.deploy(config_map("settings"))
    world.transport.log.clear()
    assert await company(world, ref("ConfigMap", "settings"), {}) is None
    assert await company(world, Ref("apps", "Deployment", "web", "web"), {}) is None
    assert world.transport.calls() == []


@staged
async def test_what_can_not_be_told_is_said(world: World) -> None:
    await world.deploy(definition())
    world.transport.down = True
    found = await company(world, Ref("", "Namespace", "", "web"), {})
    assert found is not None
    assert "connection refused" in found.why


@staged
async def test_what_others_keep_in_a_namespace_is_counted_and_the_first_are_named(world: World) -> None:
    await world.deploy(config_map("settings"))
    for number in range(7):
        world.call("POST", "/api/v1/namespaces/web/configmaps", {"metadata": {"name": f"theirs-{number}"}})
    found = await company(world, Ref("", "Namespace", "", "web"), {})
    assert found is not None
    assert (found.own, found.others, len(found.named)) == (1, 7, 5)
