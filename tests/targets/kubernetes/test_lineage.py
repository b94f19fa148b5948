"""From a live object upwards, where something is missing on the way."""

from __future__ import annotations

import pytest
from tests.doors.kube_world import CONFIG_MAPS, World, config_map, definition, ref, staged
from tests.targets.kubernetes.test_family import made, meeting, refused

from kedge.model.errors import Invalid, Unavailable
from kedge.model.family import Lineage


async def lineage(world: World, word: str, name: str, namespace: str = "web") -> Lineage | None:
    return await world.target.live.lineage("default", word, namespace, name)


@staged
async def test_an_owner_that_is_gone_ends_the_line_with_a_sentence(world: World) -> None:
    await world.deploy(config_map("settings"))
    made(world, "ConfigMap", "leaf", world.get(f"{CONFIG_MAPS}/settings"))
    meeting(world, lambda _method, path, _headers: refused(404) if path.endswith("/settings") else None)
    found = await lineage(world, "cm", "leaf")
    assert found is not None
    assert (found.chain, found.manager) == ((ref("ConfigMap", "leaf"),), "ConfigMap settings, which is gone")


@staged
async def test_owners_that_own_each_other_end(world: World) -> None:
    await world.deploy(config_map("settings"))
    one = made(world, "ConfigMap", "one", world.get(f"{CONFIG_MAPS}/settings"))
    two = made(world, "ConfigMap", "two", one)
    back = {"apiVersion": "v1", "kind": "ConfigMap", "name": "two", "uid": two["metadata"]["uid"]}
    world.merge(f"{CONFIG_MAPS}/one", {"metadata": {"ownerReferences": [back]}}, "operator")
    found = await lineage(world, "cm", "one")
    assert found is not None
    assert [one.name for one in found.chain] == ["one", "two"]


@staged
async def test_a_kind_of_two_groups_means_the_one_that_has_such_an_object(world: World) -> None:
    world.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition(kind="ConfigMap"))
    world.call("POST", CONFIG_MAPS, config_map("plain"))
    found = await lineage(world, "configmap", "plain")
    assert found is not None
    assert found.chain == (ref("ConfigMap", "plain"),)
    body = {"apiVersion": "example.org/v1", "kind": "ConfigMap", "metadata": {"name": "plain"}}
    world.call("POST", "/apis/example.org/v1/namespaces/web/configmaps", body)
    with pytest.raises(Invalid, match=r"configmaps/plain -n web, configmaps\.example\.org/plain -n web"):
        await lineage(world, "configmap", "plain")
    found = await lineage(world, "configmaps.example.org", "plain")
    assert found is not None
    assert found.chain[0].group == "example.org"


@staged
async def test_a_name_that_would_lead_elsewhere_is_refused(world: World) -> None:
    for name in ("..", "a/b", "a%2fb"):
        with pytest.raises(Invalid, match="can not be an object's name"):
            await lineage(world, "cm", name)


@staged
async def test_a_cluster_that_is_gone_can_not_tell(world: World) -> None:
    world.transport.down = True
    with pytest.raises(Unavailable, match="connection refused"):
        await lineage(world, "cm", "plain")
