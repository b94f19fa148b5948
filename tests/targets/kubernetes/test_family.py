"""What hangs from a unit's objects: found by owner, bounded, and never at the price of what can still be told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from tests.doors.kube_world import WEB, World, config_map, deployment, ref, staged

from kedge.kube.transport import Response
from kedge.model.errors import Unavailable
from kedge.model.family import Family
from kedge.model.ref import Ref
from kedge.targets.kubernetes import census
from kedge.targets.kubernetes.family import claimed_by

SETTINGS = ref("ConfigMap", "settings")
DEPLOYED = ref("Deployment", "web", group="apps")
Meet = Callable[[str, str, Any], Response | None]


def meeting(world: World, meet: Meet) -> list[str]:
    """Answer some requests otherwise than the sandbox would; the paths of all that were asked, in order."""
    plain, asked = world.transport.request, []

    async def request(method: str, path: str, query: Any, headers: Any, body: bytes) -> Response:
        asked.append(path)
        found = meet(method, path, headers)
        return found if found is not None else await plain(method, path, query, headers, body)

    world.transport.request = request
    return asked


def refused(code: int, message: str = "no") -> Response:
    return Response(code, {}, orjson.dumps({"kind": "Status", "code": code, "message": message}))


async def family(world: World, *refs: Ref) -> Family:
    return await world.target.live.family(WEB, refs)


def made(world: World, kind: str, name: str, owner: Any, **more: Any) -> dict[str, Any]:
    """An object that `owner` made, put there by a controller."""
    plural = {"ConfigMap": "configmaps", "Secret": "secrets", "Lease": "leases"}[kind]
    home = "/apis/coordination.k8s.io/v1" if kind == "Lease" else "/api/v1"
    reference = {key: owner[key] for key in ("apiVersion", "kind")}
    reference |= {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], **more}
    metadata = {"name": name, "ownerReferences": [reference]}
    body = {"apiVersion": "coordination.k8s.io/v1" if kind == "Lease" else "v1", "kind": kind, "metadata": metadata}
    found: dict[str, Any] = world.call("POST", f"{home}/namespaces/web/{plural}?fieldManager=operator", body)
    return found


@staged
async def test_any_kind_that_names_its_owner_is_found_through_any_number_of_owners(world: World) -> None:
    await world.deploy(config_map("settings"))
    top = world.get("/api/v1/namespaces/web/configmaps/settings")
    lease = made(world, "Lease", "turn", top)
    secret = made(world, "Secret", "key", lease)
    made(world, "ConfigMap", "leaf", secret)
    found = await family(world, SETTINGS)
    assert [(child.ref.kind, child.owner.kind, child.status) for child in found.children] == [
        ("Lease", "ConfigMap", "Healthy"),
        ("Secret", "Lease", "Healthy"),
        ("ConfigMap", "Secret", "Healthy"),
    ]


@staged
async def test_a_secret_is_never_read_whole(world: World) -> None:
    await world.deploy(config_map("settings"))
    made(world, "Secret", "key", world.get("/api/v1/namespaces/web/configmaps/settings"))
    accepted: list[str] = []

    def meet(method: str, path: str, headers: Any) -> None:
        if "/secrets" in path:
            accepted.append(headers["accept"])

    meeting(world, meet)
    found = await family(world, SETTINGS)
    assert [child.ref.kind for child in found.children] == ["Secret"]
    assert accepted
    assert all(accept.startswith("application/json;as=PartialObjectMetadataList") for accept in accepted)


@staged
async def test_nothing_is_asked_of_the_cluster_while_nobody_asks_for_a_tree(world: World) -> None:
    await world.deploy(deployment())
    await world.until(DEPLOYED, "Healthy")
    await asyncio.sleep(60)
    asked = meeting(world, lambda *_: None)
    await asyncio.sleep(60)
    assert [path for path in asked if "pods" in path or "replicasets" in path] == []
    await family(world, DEPLOYED)
    assert "/apis/apps/v1/namespaces/web/replicasets" in asked
    count = len(asked)
    await asyncio.sleep(60)
    assert [path for path in asked[count:] if "replicasets" in path] == []


@staged
async def test_what_may_not_be_listed_costs_a_sentence_and_nothing_else(world: World) -> None:
    await world.deploy(deployment(replicas=1))
    await world.until(DEPLOYED, "Healthy")

    def meet(method: str, path: str, headers: Any) -> Response | None:
        if path.endswith(("/leases", "/secrets")):
            return refused(403, "secrets is forbidden")
        return refused(500, "etcd is gone") if path.endswith("/roles") else None

    meeting(world, meet)
    found = await family(world, DEPLOYED)
    assert [child.ref.kind for child in found.children] == ["ReplicaSet", "Pod"]
    assert "not permitted to list: leases, secrets" in found.notes
    assert any(note.startswith("roles can not be listed") and "etcd is gone" in note for note in found.notes)


@staged
async def test_a_kind_that_never_answers_holds_up_no_other(world: World) -> None:
    await world.deploy(deployment(replicas=1))
    await world.until(DEPLOYED, "Healthy")
    plain = world.transport.request

    async def request(method: str, path: str, query: Any, headers: Any, body: bytes) -> Response:
        if path.endswith("/leases"):
            await asyncio.sleep(1e6)
        answer: Response = await plain(method, path, query, headers, body)
        return answer

    world.transport.request = request
    before = world.clock.monotonic()
    found = await family(world, DEPLOYED)
    assert world.clock.monotonic() - before <= census.SECONDS + 1
    assert [child.ref.kind for child in found.children] == ["ReplicaSet", "Pod"]
    assert found.notes == ("leases can not be listed: no answer within 10 s",)


@staged
async def test_a_group_whose_discovery_fails_hides_only_itself(world: World) -> None:
    gizmo = Ref("example.org", "Gizmo", "web", "one")
    await world.deploy(deployment(replicas=1))
    await world.until(DEPLOYED, "Healthy")
    await asyncio.sleep(20)

    def meet(method: str, path: str, headers: Any) -> Response | None:
        if path != "/apis":
            return None
        answer = world.sandbox.handle(world.transport._make("GET", path, {}, dict(headers), b""))
        groups = orjson.loads(answer.body)
        versions = [{"version": "v1", "freshness": "Stale", "resources": []}]
        groups["items"].append({"metadata": {"name": "example.org"}, "versions": versions})
        return Response(200, {}, orjson.dumps(groups))

    meeting(world, meet)
    found = await family(world, gizmo, DEPLOYED)
    assert [child.ref.kind for child in found.children] == ["ReplicaSet", "Pod"]
    assert found.sights[DEPLOYED].status == "Healthy"
    assert (found.sights[gizmo].status, found.sights[gizmo].exists) == ("Unknown", False)
    assert "example.org can not be listed" in found.sights[gizmo].message
    assert any(note.startswith("kinds of example.org can not be looked at") for note in found.notes)


@staged
async def test_a_cluster_that_is_gone_is_an_error_and_no_empty_tree(world: World) -> None:
    await world.deploy(deployment(replicas=1))
    world.transport.down = True
    with pytest.raises(Unavailable, match=r"nothing can be listed: .*connection refused"):
        await family(world, DEPLOYED)
    await asyncio.sleep(3600)
    with pytest.raises(Unavailable, match="connection refused"):
        await family(world, DEPLOYED)


@staged
async def test_objects_that_own_each_other_end_the_tree(world: World) -> None:
    await world.deploy(config_map("settings"))
    top = world.get("/api/v1/namespaces/web/configmaps/settings")
    one = made(world, "ConfigMap", "one", top)
    two = made(world, "ConfigMap", "two", one)
    back = {"apiVersion": "v1", "kind": "ConfigMap", "name": "two", "uid": two["metadata"]["uid"], "controller": True}
    world.merge("/api/v1/namespaces/web/configmaps/one", {"metadata": {"ownerReferences": [back]}}, "operator")
    assert (await family(world, SETTINGS)).children == ()


@staged
async def test_there_are_never_more_children_than_a_person_can_read(world: World) -> None:
    await world.deploy(config_map("settings"))
    top = world.get("/api/v1/namespaces/web/configmaps/settings")
    for number in range(census.MOST + 501):
        made(world, "ConfigMap", f"c{number}", top)
    found = await family(world, SETTINGS)
    assert len(found.children) <= census.MOST + 500
    assert f"there are more than {census.MOST} of configmaps: only the first are looked at" in found.notes


CLAIMS = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "db", "namespace": "web"},
    "spec": {
        "selector": {"matchLabels": {"app": "db"}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}}, "odd"],
    },
}


def claim(name: str, namespace: str = "web", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}


def test_a_volume_claim_is_a_stateful_set_s_by_name_and_labels() -> None:
    assert claimed_by(CLAIMS, claim("data-db-0", app="db"))
    assert claimed_by(CLAIMS, claim("data-db-12", app="db"))
    for other in (
        claim("data-db-0", app="other"),
        claim("data-db-x", app="db"),
        claim("data-db-extra-0", app="db"),
        claim("logs-db-0", app="db"),
        claim("data-db-0", "elsewhere", app="db"),
    ):
        assert not claimed_by(CLAIMS, other)
    assert not claimed_by({**CLAIMS, "spec": "odd"}, claim("data-db-0", app="db"))
