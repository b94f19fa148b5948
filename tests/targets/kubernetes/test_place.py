"""Placing: namespaces, marks, and what can not be placed."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from tests.doors.kube_world import (
    WEB,
    World,
    config_map,
    definition,
    deployment,
    job,
    namespace,
    ref,
    rendered,
    staged,
)

from kedge.model.errors import Invalid
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.place import PlaceCache, place_set

NAMESPACED = {("", "ConfigMap"): True, ("apps", "Deployment"): True, ("", "Namespace"): False}


def placed(*objects, scope=WEB, scopes=NAMESPACED):
    return place_set(scope, rendered(*objects), scopes, PlaceCache()).manifests


def test_an_object_without_a_namespace_goes_to_the_target_s() -> None:
    (made,) = placed(config_map("settings"))
    assert made.ref == ref("ConfigMap", "settings", "web")
    assert orjson.loads(made.body)["metadata"]["namespace"] == "web"


def test_an_object_that_names_a_namespace_keeps_it() -> None:
    assert placed(config_map("settings", "other"))[0].ref.namespace == "other"


def test_a_cluster_scoped_object_has_no_namespace_even_where_it_states_one() -> None:
    obj = namespace("shop")
    obj["metadata"]["namespace"] = "web"
    (made,) = placed(obj)
    assert made.ref.namespace == ""
    assert "namespace" not in orjson.loads(made.body)["metadata"]


def test_every_object_carries_unit_shard_and_owner() -> None:
    metadata = orjson.loads(placed(config_map("settings"))[0].body)["metadata"]
    assert metadata["labels"] == {
        "kedge.dev/unit": marks.unit_label("shop/web@prod"),
        "kedge.dev/shard": marks.shard_of("shop/web@prod"),
    }
    assert metadata["annotations"] == {"kedge.dev/owner": "inst-1:shop/web@prod"}


def test_a_hook_carries_another_label_so_that_it_is_no_inventory() -> None:
    (made,) = placed(job(), scopes={})
    labels = orjson.loads(made.body)["metadata"]["labels"]
    assert "kedge.dev/unit" not in labels
    assert labels["kedge.dev/hook-of"] == marks.unit_label("shop/web@prod")
    assert "kedge.dev/shard" in labels


def test_what_people_say_about_an_object_stays_on_it() -> None:
    said = {"kedge.dev/replace": "true", "kedge.dev/sensitive": "data.token"}
    (manifest,) = placed(config_map("web", annotations=said))
    assert manifest.annotation("kedge.dev/replace") == "true"
    assert manifest.annotation("kedge.dev/sensitive") == "data.token"


def test_marks_that_were_copied_from_a_cluster_are_written_anew() -> None:
    obj = config_map("settings", annotations={"kedge.dev/owner": "other:team/x", "kedge.dev/operation": "9"})
    annotations = dict(placed(obj)[0].annotations)
    assert annotations == {"kedge.dev/owner": "inst-1:shop/web@prod"}


def test_a_label_is_valid_for_the_longest_unit_name() -> None:
    unit = f"{'p' * 63}/{'n' * 63}@{'e' * 63}"
    label = marks.unit_label(unit)
    assert len(label) <= 63
    assert label[0].isalnum()
    assert label[-1].isalnum()
    assert label != marks.unit_label(unit + "x")


def test_shards_are_0_to_63_and_spread() -> None:
    shards = {marks.shard_of(f"team/app-{number}") for number in range(2_000)}
    assert shards == {str(number) for number in range(64)}


def test_without_any_namespace_the_object_is_named() -> None:
    with pytest.raises(Invalid, match=r"ConfigMap settings names no namespace"):
        placed(config_map("settings"), scope=replace(WEB, namespace=""))


def test_a_kind_that_nothing_defines_yet_may_turn_out_to_need_no_namespace() -> None:
    """A ClusterIssuer, before cert-manager has come: without a namespace it is waited for, not refused."""
    issuer = {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "letsencrypt"}}
    nowhere = replace(WEB, namespace="")
    (made,) = placed(issuer, scope=nowhere)
    assert made.ref.namespace == ""
    with pytest.raises(Invalid, match="ClusterIssuer letsencrypt names no namespace"):
        placed(issuer, scope=nowhere, scopes={("cert-manager.io", "ClusterIssuer"): True})


def test_all_objects_that_can_not_be_placed_are_named_at_once() -> None:
    with pytest.raises(Invalid) as told:
        placed(config_map("a"), config_map("b"), scope=replace(WEB, namespace=""))
    assert len(told.value.problems) == 2


def test_two_objects_that_become_the_same_are_refused() -> None:
    with pytest.raises(Invalid, match="is there twice"):
        placed(config_map("settings"), config_map("settings", "web"))


def test_only_a_hook_may_have_a_generated_name() -> None:
    obj = config_map("x")
    obj["metadata"] = {"generateName": "x-"}
    with pytest.raises(Invalid, match="only hooks may do that"):
        placed(obj)


def test_placing_again_gives_the_same_bytes_from_the_cache() -> None:
    cache, desired = PlaceCache(), rendered(deployment(), config_map("settings"))
    one, two = (place_set(WEB, desired, NAMESPACED, cache) for _ in range(2))
    assert one.digest == two.digest
    assert all(a is b for a, b in zip(one.manifests, two.manifests, strict=True))


def test_the_cache_lets_the_oldest_go() -> None:
    cache = PlaceCache(limit=600)
    for number in range(10):
        place_set(WEB, rendered(config_map(f"c{number}")), NAMESPACED, cache)
    assert cache._held <= 600


def test_another_unit_s_placing_is_another_object() -> None:
    cache = PlaceCache()
    ours = place_set(WEB, rendered(config_map("a")), NAMESPACED, cache)
    theirs = place_set(replace(WEB, unit="shop/api"), rendered(config_map("a")), NAMESPACED, cache)
    assert ours.digest != theirs.digest


@staged
async def test_discovery_tells_what_lives_in_namespaces(world: World) -> None:
    placed = await world.place(deployment(), namespace("shop"))
    assert [m.ref.namespace for m in placed.manifests] == ["web", ""]


@staged
async def test_a_definition_in_the_set_tells_the_scope_of_its_kind(world: World) -> None:
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}
    placed = await world.place(definition(scope="Cluster"), widget)
    assert placed.manifests[1].ref.namespace == ""


@staged
async def test_an_unknown_kind_is_taken_for_namespaced(world: World) -> None:
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}
    assert (await world.place(widget)).manifests[0].ref.namespace == "web"


@staged
async def test_placing_costs_no_call_per_object(world: World) -> None:
    await world.place(*(config_map(f"c{number}") for number in range(50)))
    assert world.transport.calls() == []
