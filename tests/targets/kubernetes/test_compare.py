"""Comparing: what is beside what should be, and what it costs to know."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.doors.kube_world import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    WEB,
    World,
    config_map,
    definition,
    deployment,
    namespace,
    ref,
    staged,
)

from kedge.engine.diff import diff
from kedge.model.change import Act
from kedge.model.pair import Presumed, Seen
from kedge.model.ref import Ref

SETTINGS = ref("ConfigMap", "settings")
OTHER = replace(WEB, unit="shop/api")


async def settled(world: World, *objects, scope=WEB) -> tuple:
    """Deploys, and answers what a following comparison may take for known."""
    await world.deploy(*objects, scope=scope)
    return (await world.compare(*objects, scope=scope)).fingerprints


@staged
async def test_an_object_that_is_not_there_would_be_created(world: World) -> None:
    comparison = await world.compare(config_map("settings", color="red"))
    (pair,) = comparison.pairs
    assert isinstance(pair, Seen)
    assert pair.live is None
    assert pair.predicted["data"] == {"color": "red"}
    assert pair.manifest is not None
    assert world.missing(f"{CONFIG_MAPS}/settings")


@staged
async def test_a_creation_costs_one_call(world: World) -> None:
    await world.compare(config_map("first"))
    world.transport.log.clear()
    await world.compare(config_map("first"), config_map("settings"))
    assert [method for method, _ in world.transport.calls()] == ["PATCH", "PATCH"]


@staged
async def test_an_object_with_a_hole_is_never_sent(world: World) -> None:
    """What it would become can not be tried: it is as rendered, beside what is live."""
    await world.deploy(config_map("settings", color="red", size="s"))
    placed = await world.place(
        config_map("settings", color="‹shop/db.color›"), config_map("new", color="‹shop/db.color›")
    )
    with_holes = tuple(replace(manifest, holes=(("data", "color"),)) for manifest in placed.manifests)
    world.transport.log.clear()
    comparison = await world.target.compare(WEB, replace(placed, manifests=with_holes), (), ())
    assert {method for method, _ in world.transport.calls()} == {"GET"}
    live, new = sorted(comparison.pairs, key=lambda pair: isinstance(pair, Presumed))
    assert isinstance(live, Seen)
    assert live.predicted["data"] == {"color": "‹shop/db.color›", "size": "s"}
    assert live.untried == "it holds what is not known yet"
    assert isinstance(new, Presumed)
    assert (new.ref.name, new.why) == ("new", "it holds what is not known yet")


@staged
async def test_an_unchanged_object_costs_no_call(world: World) -> None:
    known = await settled(world, config_map("settings", color="red"), deployment())
    world.transport.log.clear()
    comparison = await world.compare(config_map("settings", color="red"), deployment(), known=known)
    assert world.transport.calls() == []
    assert comparison.pairs == ()
    assert len(comparison.unchanged) == 2
    assert set(comparison.fingerprints) == set(known)


@staged
async def test_a_changed_manifest_is_the_only_one_asked_about(world: World) -> None:
    known = await settled(world, config_map("settings", color="red"), config_map("other"))
    world.transport.log.clear()
    comparison = await world.compare(config_map("settings", color="blue"), config_map("other"), known=known)
    (pair,) = comparison.pairs
    assert pair.live["data"] == {"color": "red"}
    assert pair.predicted["data"] == {"color": "blue"}
    assert world.transport.calls() == [("PATCH", f"{CONFIG_MAPS}/settings")]


@staged
async def test_a_field_that_left_git_is_predicted_to_go(world: World) -> None:
    await settled(world, config_map("settings", color="red", size="1"))
    (pair,) = (await world.compare(config_map("settings", color="red"))).pairs
    assert pair.live["data"] == {"color": "red", "size": "1"}
    assert pair.predicted["data"] == {"color": "red"}


@staged
async def test_a_changed_value_of_ours_is_seen_as_drift(world: World) -> None:
    known = await settled(world, deployment(replicas=2))
    world.call("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 5}}, "application/merge-patch+json")
    await asyncio.sleep(0.1)
    (pair,) = (await world.compare(deployment(replicas=2), known=known)).pairs
    assert (pair.live["spec"]["replicas"], pair.predicted["spec"]["replicas"]) == (5, 2)


@staged
async def test_a_field_added_by_hand_is_drift_and_its_tool_is_named(world: World) -> None:
    known = await settled(world, config_map("settings", color="red"))
    world.merge(f"{CONFIG_MAPS}/settings", {"data": {"debug": "on"}}, manager="kubectl-edit")
    await asyncio.sleep(0.1)
    (pair,) = (await world.compare(config_map("settings", color="red"), known=known)).pairs
    assert pair.interactive == ("kubectl-edit",)
    assert pair.live["data"] == {"color": "red", "debug": "on"}
    assert pair.predicted["data"] == {"color": "red"}


def service(port: int, **more: object) -> dict[str, object]:
    metadata = {"name": "web", "namespace": "web"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": port}], **more}}


@staged
async def test_what_a_person_added_is_not_held_against_git_by_the_server(world: World) -> None:
    """A port that was changed by hand is another port: beside it, the stated one without a name is refused."""
    await settled(world, service(80))
    world.merge("/api/v1/namespaces/web/services/web", {"spec": {"ports": [{"port": 81}]}}, manager="kubectl-edit")
    await asyncio.sleep(0.1)
    (pair,) = (await world.compare(service(80))).pairs
    assert (pair.rejection, pair.interactive) == ("", ("kubectl-edit",))
    assert [port["port"] for port in pair.live["spec"]["ports"]] == [81]
    assert [port["port"] for port in pair.predicted["spec"]["ports"]] == [80]
    (pair,) = (await world.compare(service(80, type="Nonsense"))).pairs
    assert "Nonsense" in pair.rejection
    await world.deploy(service(80))
    (pair,) = (await world.compare(service(80))).pairs
    assert pair.live["spec"] == pair.predicted["spec"]


@staged
async def test_a_value_that_a_person_set_as_git_states_it_stays(world: World) -> None:
    await settled(world, config_map("settings", color="red"))
    world.merge(f"{CONFIG_MAPS}/settings", {"data": {"size": "1"}}, manager="kubectl-edit")
    (pair,) = (await world.compare(config_map("settings", color="red", size="1"))).pairs
    assert pair.predicted["data"] == {"color": "red", "size": "1"}


@staged
async def test_what_a_controller_adds_is_no_drift(world: World) -> None:
    known = await settled(world, deployment())
    sidecar = {"spec": {"template": {"metadata": {"annotations": {"injected": "yes"}}}}}
    world.merge(f"{DEPLOYMENTS}/web", sidecar, manager="sidecar-injector")
    await asyncio.sleep(0.1)
    comparison = await world.compare(deployment(), known=known)
    assert comparison.pairs == ()
    (pair,) = (await world.compare(deployment())).pairs
    assert pair.predicted["spec"]["template"]["metadata"]["annotations"] == {"injected": "yes"}


@staged
async def test_defaults_of_the_server_are_on_both_sides(world: World) -> None:
    await settled(world, deployment())
    (pair,) = (await world.compare(deployment())).pairs
    assert pair.live["spec"] == pair.predicted["spec"]


@staged
async def test_a_deleted_object_would_be_created_again(world: World) -> None:
    known = await settled(world, config_map("settings"))
    world.call("DELETE", f"{CONFIG_MAPS}/settings")
    await asyncio.sleep(0.1)
    (pair,) = (await world.compare(config_map("settings"), known=known)).pairs
    assert pair.live is None


@staged
async def test_a_kind_without_definition_is_presumed(world: World) -> None:
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}
    (pair,) = (await world.compare(widget)).pairs
    assert isinstance(pair, Presumed)
    assert pair.why == "nothing defines Widget in example.org yet: waits for its definition"
    assert pair.by_others


@staged
async def test_a_kind_whose_definition_is_in_the_set_says_so(world: World) -> None:
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}
    pairs = (await world.compare(definition(), widget)).pairs
    assert isinstance(pairs[0], Seen)
    assert pairs[1].why == "the definition of Widget is part of this set and not served yet"
    assert not pairs[1].by_others


@staged
async def test_another_version_than_the_served_ones_is_named(world: World) -> None:
    """A version that Kubernetes itself has left behind does not come back: nothing of the plan is done."""
    (pair,) = (await world.compare({**deployment(), "apiVersion": "apps/v1beta1"})).pairs
    assert isinstance(pair, Seen)
    assert pair.rejection == "the cluster serves Deployment as v1, not as apps/v1beta1"


@staged
async def test_another_version_of_a_definition_is_waited_for(world: World) -> None:
    world.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition())
    widget = {"apiVersion": "example.org/v2", "kind": "Widget", "metadata": {"name": "w"}}
    (pair,) = (await world.compare(widget)).pairs
    assert isinstance(pair, Presumed)
    assert pair.why == "the cluster serves Widget as v1, not as example.org/v2 yet: waits for its definition"
    assert pair.by_others


@staged
async def test_what_a_guess_put_into_a_namespace_is_not_taken_for_the_object_without_one(world: World) -> None:
    """Before its definition was known, a cluster-scoped object was planned in the unit's namespace."""
    scoped = definition()
    scoped["spec"]["scope"] = "Cluster"
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}
    guessed = await world.place(widget)
    assert (guessed.guessed, guessed.manifests[0].ref.namespace) == (True, "web")
    await world.deploy(scoped)
    await asyncio.sleep(1)
    placed = await world.place(widget)
    assert (placed.guessed, placed.manifests[0].ref.namespace) == (False, "")
    await world.deploy(widget)
    comparison = await world.compare(widget, extra=(guessed.manifests[0].ref,))
    assert [pair.ref for pair in comparison.pairs if pair.manifest is None] == []


@staged
async def test_an_object_in_a_namespace_of_the_set_is_presumed(world: World) -> None:
    pairs = (await world.compare(namespace("shop"), config_map("settings", "shop"))).pairs
    assert pairs[1].why == "the namespace shop is part of this set and does not exist yet"


@staged
async def test_an_object_in_a_namespace_that_nobody_makes_says_so(world: World) -> None:
    (pair,) = (await world.compare(config_map("settings", "nowhere"))).pairs
    assert (
        pair.why == "the namespace nowhere does not exist, and is not part of this set: waits until somebody makes it"
    )
    assert pair.by_others


@staged
async def test_a_refused_object_tells_why_and_does_not_hide_its_neighbours(world: World) -> None:
    broken = deployment("broken")
    broken["spec"]["template"]["metadata"]["labels"] = {"app": "else"}
    pairs = (await world.compare(broken, config_map("settings"))).pairs
    assert "selector" in pairs[0].rejection
    assert not pairs[0].immutable
    assert pairs[1].rejection == ""


@staged
async def test_a_webhook_that_can_not_be_tried_makes_it_presumed(world: World) -> None:
    handle = world.transport._handle

    def guarded(method, path, query, headers, body):
        if "dryRun" in query:
            text = b'{"kind":"Status","code":400,"message":"admission webhook \\"a.b\\" does not support dry run"}'
            return type("Answer", (), {"status": 400, "headers": {}, "body": text})()
        return handle(method, path, query, headers, body)

    world.transport._handle = guarded
    (pair,) = (await world.compare(config_map("settings"))).pairs
    assert isinstance(pair, Presumed)
    assert "a.b" in pair.why


@staged
async def test_what_is_there_and_can_not_be_tried_is_compared_by_its_values(world: World) -> None:
    await settled(world, deployment(), config_map("settings", color="red"))
    handle = world.transport._handle

    def guarded(method, path, query, headers, body):
        if "dryRun" in query:
            text = b'{"kind":"Status","code":400,"message":"admission webhook \\"a.b\\" does not support dry run"}'
            return type("Answer", (), {"status": 400, "headers": {}, "body": text})()
        return handle(method, path, query, headers, body)

    world.transport._handle = guarded
    pairs = (await world.compare(deployment(), config_map("settings", color="blue"))).pairs
    assert ["a.b" in pair.untried for pair in pairs] == [True, True]
    assert diff(pairs[0], b"key", wished=False) is None
    blind = diff(pairs[0], b"key", wished=True)
    assert (blind.act, blind.fields) == (Act.UPDATE, ())
    assert "as rendered" in blind.why
    assert [field.path for field in diff(pairs[1], b"key", wished=False).fields] == ["data.color"]


@staged
async def test_an_immutable_field_asks_for_a_replacement(world: World) -> None:
    await settled(world, deployment())
    changed = deployment()
    changed["spec"]["selector"] = {"matchLabels": {"app": "else"}}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "else"}
    (pair,) = (await world.compare(changed)).pairs
    assert pair.immutable
    assert pair.uid
    assert pair.predicted["spec"]["selector"] == {"matchLabels": {"app": "else"}}


@staged
async def test_what_is_no_longer_desired_would_be_deleted(world: World) -> None:
    await settled(world, config_map("settings"), config_map("old"))
    comparison = await world.compare(config_map("settings"), extra=(ref("ConfigMap", "old"),))
    (gone,) = [pair for pair in comparison.pairs if pair.predicted is None]
    assert gone.ref.name == "old"
    assert gone.live["metadata"]["name"] == "old"
    assert gone.uid


@staged
async def test_what_is_gone_already_makes_no_pair(world: World) -> None:
    assert (await world.compare(extra=(ref("ConfigMap", "old"),))).pairs == ()


@staged
async def test_what_another_unit_took_over_is_not_deleted(world: World) -> None:
    await settled(world, config_map("settings"))
    await world.deploy(config_map("settings"), scope=OTHER, act=Act.UPDATE)
    assert (await world.compare(extra=(SETTINGS,))).pairs == ()


@staged
async def test_an_object_of_another_unit_names_its_owner(world: World) -> None:
    await settled(world, config_map("settings"), scope=OTHER)
    (pair,) = (await world.compare(config_map("settings"))).pairs
    assert str(pair.owner) == "unit shop/api"


@staged
async def test_an_object_of_another_installation_names_it(world: World) -> None:
    await settled(world, config_map("settings"), scope=replace(WEB, installation="inst-2"))
    (pair,) = (await world.compare(config_map("settings"))).pairs
    assert str(pair.owner) == "installation inst-2, unit shop/web@prod"


@staged
async def test_an_object_of_argo_cd_is_reported(world: World) -> None:
    tracked = config_map(
        "settings", annotations={"argocd.argoproj.io/tracking-id": "guestbook:/ConfigMap:web/settings"}
    )
    world.applied(f"{CONFIG_MAPS}/settings", {**tracked, "data": {"extra": "1"}}, "argocd-controller")
    (pair,) = (await world.compare(config_map("settings", color="red"))).pairs
    assert str(pair.owner) == "argocd guestbook"
    assert pair.predicted["data"] == {"color": "red"}
    assert "argocd.argoproj.io/tracking-id" not in pair.predicted["metadata"]["annotations"]


@staged
async def test_an_object_of_flux_and_one_of_helm_are_reported(world: World) -> None:
    flux = config_map("flux")
    flux["metadata"]["labels"] = {
        "kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }
    world.applied(f"{CONFIG_MAPS}/flux", flux, "kustomize-controller")
    helm = config_map("helm", annotations={"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "web"})
    world.call("POST", f"{CONFIG_MAPS}?fieldManager=helm", helm)
    pairs = (await world.compare(config_map("flux"), config_map("helm"))).pairs
    assert [str(pair.owner) for pair in pairs] == ["flux Kustomization flux-system/apps", "helm release web/web"]


@staged
async def test_a_chart_s_own_managed_by_label_is_no_owner(world: World) -> None:
    charted = config_map("settings")
    charted["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "web"}
    await settled(world, charted)
    (pair,) = (await world.compare(charted)).pairs
    assert pair.owner is None


@staged
async def test_fields_of_a_client_side_apply_are_taken_over(world: World) -> None:
    plain = config_map("settings", "web", color="red", size="1")
    world.call("POST", f"{CONFIG_MAPS}?fieldManager=kubectl-client-side-apply", plain)
    (pair,) = (await world.compare(config_map("settings", color="red"))).pairs
    assert pair.owner is None
    assert pair.predicted["data"] == {"color": "red"}
    await world.deploy(config_map("settings", color="red"), act=Act.UPDATE)
    assert world.get(f"{CONFIG_MAPS}/settings")["data"] == {"color": "red"}


@staged
async def test_a_watch_that_has_long_been_silent_is_not_believed(world: World) -> None:
    assert await silent_for_long(world, 0.0) == ()


@staged
async def test_a_silent_watch_is_not_believed_because_the_clock_was_set_back(world: World) -> None:
    """It was, for as long as that took."""
    assert await silent_for_long(world, -86_400.0) == ()


async def silent_for_long(world: World, jump: float) -> tuple[Ref, ...]:
    """What counts as unchanged when it is over."""
    known = await settled(world, config_map("settings"))
    world.transport.down = True
    world.transport.drop_watches()
    world.clock.jump(jump)
    await asyncio.sleep(200)
    world.transport.down = False
    world.transport.log.clear()
    comparison = await world.compare(config_map("settings"), known=known)
    assert len(comparison.pairs) + len(comparison.unchanged) == 1
    return comparison.unchanged
