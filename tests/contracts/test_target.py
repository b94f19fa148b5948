"""What every target promises, over every way to a cluster."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.contracts.clusters import API, DEPLOYED, MAPS, PATIENCE, SETTINGS, WEB, House
from tests.doors.kube_world import config_map, definition, deployment, job, namespace, ref, rendered, step

from kedge.clock import SystemClock, SystemEntropy
from kedge.kube.http_transport import open_transport
from kedge.kube.kubeconfig import Access
from kedge.kube.transport import Transport
from kedge.model.change import Act
from kedge.model.errors import Denied, Invalid, Unavailable
from kedge.model.operation import Did
from kedge.model.output import Output, OutputPlace
from kedge.model.pair import Presumed
from kedge.model.plan import DeletePolicy
from kedge.sandbox import Sandbox
from kedge.sandbox.http import Front, serve
from kedge.spawn import Spawner
from kedge.targets.kubernetes import KubernetesTarget


async def test_placing_gives_namespaces_and_marks_and_is_stable(house: House) -> None:
    desired = rendered(deployment(), namespace("shop"))
    one, two = await house.target.place(WEB, desired), await house.target.place(WEB, desired)
    assert one == two
    assert [manifest.ref.namespace for manifest in one.manifests] == ["web", ""]
    assert one.digest != desired.digest


async def test_comparing_changes_nothing(house: House) -> None:
    (pair,) = (await house.compare(config_map("settings"))).pairs
    assert pair.live is None
    assert not (await house.sight(SETTINGS)).exists


async def test_what_was_applied_is_seen_verified_and_then_costs_nothing(house: House) -> None:
    await house.deploy(config_map("settings", color="red"), deployment())
    first = await house.compare(config_map("settings", color="red"), deployment())
    assert [pair.live["metadata"]["name"] for pair in first.pairs] == ["settings", "web"]
    known = [entry for entry in first.fingerprints if entry.ref == SETTINGS]
    again = await house.compare(config_map("settings", color="red"), known=known)
    assert again.pairs == ()
    assert again.unchanged == (SETTINGS,)


async def test_a_field_that_left_git_goes(house: House) -> None:
    await house.deploy(config_map("settings", color="red", size="1"))
    (pair,) = (await house.compare(config_map("settings", color="red"))).pairs
    assert (pair.live["data"], pair.predicted["data"]) == ({"color": "red", "size": "1"}, {"color": "red"})
    await house.deploy(config_map("settings", color="red"), act=Act.UPDATE)
    assert (await house.hand("GET", f"{MAPS}/settings"))["data"] == {"color": "red"}


async def test_what_a_unit_puts_out_is_read_from_what_lives(house: House) -> None:
    await house.deploy(config_map("settings", color="red"))
    asked = (OutputPlace("color", SETTINGS, "data.color"), OutputPlace("size", SETTINGS, "data.size"))
    gone = OutputPlace("gone", replace(SETTINGS, name="gone"), "data.color")
    assert list(await house.target.outputs(WEB, (*asked, gone))) == [Output("color", '"red"')]


async def test_a_change_by_hand_rings_and_is_healed(house: House) -> None:
    await house.deploy(config_map("settings", color="red"))
    known = (await house.compare(config_map("settings", color="red"))).fingerprints
    before = (await house.sight(SETTINGS)).fingerprint
    await house.hand("PATCH", f"{MAPS}/settings", {"data": {"color": "blue", "debug": "on"}})
    await house.until(SETTINGS, lambda sight: sight.fingerprint != before)
    assert (WEB.unit, SETTINGS, "drift") in house.rings
    (pair,) = (await house.compare(config_map("settings", color="red"), known=known)).pairs
    assert pair.predicted["data"] == {"color": "red"}
    assert pair.interactive == ("kubectl-edit",)
    await house.deploy(config_map("settings", color="red"), act=Act.UPDATE)
    assert (await house.hand("GET", f"{MAPS}/settings"))["data"] == {"color": "red"}


async def test_a_rollout_is_watched_to_its_end(house: House) -> None:
    (outcome,) = await house.deploy(deployment())
    assert outcome.did is Did.APPLIED
    assert (await house.sight(DEPLOYED)).status == "Progressing"
    sight = await house.until(DEPLOYED, lambda sight: sight.status == "Healthy")
    assert sight.gated
    assert sight.uid == outcome.uid
    assert (WEB.unit, DEPLOYED, "health") in house.rings


async def test_a_broken_rollout_is_explained_by_its_pod(house: House) -> None:
    await house.deploy(deployment(image="web:broken"))
    sight = await house.until(DEPLOYED, lambda sight: "ImagePullBackOff" in sight.message)
    assert "container web" in sight.message


async def test_what_is_not_desired_any_more_is_deleted_once(house: House) -> None:
    (made,) = await house.deploy(config_map("settings"))
    (pair,) = (await house.compare(extra=(SETTINGS,))).pairs
    assert (pair.predicted, pair.uid) == (None, made.uid)
    doing = step(SETTINGS, Act.DELETE, uid=pair.uid)
    assert (await house.target.act(WEB, doing, None)).did is Did.DELETED
    await house.until(SETTINGS, lambda sight: not sight.exists)
    assert (await house.target.act(WEB, doing, None)).did is Did.DELETED
    assert (await house.compare(extra=(SETTINGS,))).pairs == ()


async def test_another_unit_s_object_is_named_and_never_deleted(house: House) -> None:
    (made,) = await house.deploy(config_map("settings"), scope=API)
    (pair,) = (await house.compare(config_map("settings"))).pairs
    assert str(pair.owner) == "unit shop/api@prod"
    outcome = await house.target.act(WEB, step(SETTINGS, Act.DELETE, uid=made.uid), None)
    assert outcome.did is Did.FAILED
    assert (await house.sight(SETTINGS)).exists


async def test_a_refusal_is_a_sentence_at_both_times(house: House) -> None:
    broken = deployment()
    broken["spec"]["template"]["metadata"]["labels"] = {"app": "else"}
    (pair,) = (await house.compare(broken)).pairs
    assert "selector" in pair.rejection
    (outcome,) = await house.deploy(broken)
    assert outcome.did is Did.FAILED
    assert "selector" in outcome.message


async def test_an_immutable_field_is_changed_by_replacing(house: House) -> None:
    await house.deploy(deployment())
    changed = deployment()
    changed["spec"]["selector"]["matchLabels"] = {"app": "else"}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "else"}
    (pair,) = (await house.compare(changed)).pairs
    assert pair.immutable
    placed = (await house.target.place(WEB, rendered(changed))).manifests[0]
    doing = step(placed, Act.REPLACE, uid=pair.uid)
    assert (await house.target.act(WEB, doing, placed)).did is Did.CLEARING
    await house.until(DEPLOYED, lambda sight: sight.uid != pair.uid)
    outcome = await house.target.act(WEB, doing, placed)
    assert outcome.did is Did.APPLIED
    assert outcome.uid != pair.uid


async def test_a_kind_is_presumed_until_its_definition_is_served(house: House) -> None:
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}}
    crd = ref("CustomResourceDefinition", "widgets.example.org", "", "apiextensions.k8s.io")
    assert isinstance((await house.compare(widget)).pairs[0], Presumed)
    await house.deploy(definition())
    await house.until(crd, lambda sight: sight.status == "Healthy")
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                (outcome,) = await house.deploy(widget)
                break
            except Unavailable as error:
                await asyncio.sleep(min(0.2, error.retry_after or 0.2))
    assert outcome.did is Did.APPLIED


async def test_a_hook_runs_once_in_an_operation(house: House) -> None:
    placed = (await house.target.place(WEB, rendered(job()))).manifests[0]
    doing = step(placed, policies=(DeletePolicy.BEFORE_CREATION,))
    first = await house.target.act(WEB, doing, placed)
    assert (await house.target.act(WEB, doing, placed)).uid == first.uid
    sight = await house.until(placed.ref, lambda sight: sight.status == "Healthy")
    assert sight.operation == "op-1"
    later = replace(WEB, operation="op-2")
    assert (await house.target.act(later, doing, placed)).did is Did.CLEARING
    await house.until(placed.ref, lambda sight: sight.uid != first.uid)
    assert (await house.target.act(later, doing, placed)).did is Did.APPLIED


async def test_the_inventory_can_be_recovered_from_the_cluster(house: House) -> None:
    await house.deploy(config_map("settings"), deployment())
    await house.deploy(config_map("other"), scope=API)
    found = await house.target.recover("default", "inst-1")
    assert found.units == {
        API.unit: (ref("ConfigMap", "other"),),
        WEB.unit: (SETTINGS, DEPLOYED),
    }


async def test_freshness_is_unknown_before_watching_and_known_after(house: House) -> None:
    assert house.target.fresh("default") is None
    before = SystemClock().now()
    await house.sight(SETTINGS)
    fresh = house.target.fresh("default")
    assert fresh is not None
    assert before <= fresh <= SystemClock().now()


async def test_a_cluster_that_nobody_declared_is_invalid(house: House) -> None:
    with pytest.raises(Invalid, match="no cluster elsewhere"):
        await house.target.place(replace(WEB, cluster="elsewhere"), rendered(config_map("a")))


@pytest.mark.parametrize("token", ["wrong", ""])
async def test_a_wrong_token_is_denied(fields: Any, token: str) -> None:
    served = await serve(Sandbox(fields, SystemClock().now, SystemEntropy().token), Front(token="t0ken"))
    transport = open_transport(Access(served.url, token=token))

    async def connect(_name: str) -> Transport:
        return transport

    spawner = Spawner(lambda _name, error: None)
    target = KubernetesTarget(connect, SystemClock(), SystemEntropy(), spawner)
    with pytest.raises(Denied, match="Unauthorized"):
        await target.place(WEB, rendered(config_map("a")))
    await spawner.close()
    await target.close()
    await served.close()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    transport = open_transport(Access("http://127.0.0.1:9", token="x"))

    async def connect(_name: str) -> Transport:
        return transport

    spawner = Spawner(lambda _name, error: None)
    target = KubernetesTarget(connect, SystemClock(), SystemEntropy(), spawner)
    with pytest.raises(Unavailable, match="no answer from"):
        await target.place(WEB, rendered(config_map("a")))
    await spawner.close()
    await target.close()
