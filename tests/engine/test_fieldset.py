from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.engine.fieldset import (
    CLIENT_SIDE,
    DEPTH_LIMIT,
    INTERACTIVE,
    SHAPE_LIMIT,
    FieldSet,
    describe,
    entries,
    fingerprint,
    foreign_managers,
    interactive_paths,
    owned,
    parse,
    remove,
    take_over,
)

US = "kedge"
WEB = 'k:{"name":"web"}'
TRIE: dict[str, Any] = {
    "f:metadata": {"f:labels": {".": {}, "f:app": {}}, "f:finalizers": {'v:"example.org/x"': {}}},
    "f:spec": {
        "f:replicas": {},
        "f:template": {"f:spec": {"f:containers": {WEB: {".": {}, "f:name": {}, "f:image": {}}}}},
    },
}


def entry(manager: str, fields: Any, operation: str = "Update", **more: Any) -> dict[str, Any]:
    head = {"manager": manager, "operation": operation, "apiVersion": "apps/v1", "time": "2024-06-12T12:34:00Z"}
    return {**head, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


def field(name: str) -> dict[str, Any]:
    return {"f:spec": {f"f:{name}": {}}}


def spec(*names: str) -> FieldSet:
    return FieldSet(frozenset(("f:spec", f"f:{name}") for name in names))


OURS = entry(US, field("replicas"), "Apply")
TRIES = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(
        st.sampled_from(["f:a", "f:b", "f:spec", ".", 'k:{"name":"x"}', "v:1", "i:0", "junk", ""]), inner, max_size=4
    ),
    max_leaves=20,
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
NAMES = st.sampled_from([US, "kubectl-edit", "argocd-controller"])
LISTS = st.lists(
    st.fixed_dictionaries(
        {"manager": NAMES | ANYTHING, "operation": st.sampled_from(["Apply", "Update"]) | ANYTHING},
        optional={"fieldsV1": TRIES | ANYTHING, "subresource": st.sampled_from(["", "status", "scale"]) | ANYTHING},
    )
    | ANYTHING,
    max_size=5,
)


def test_a_trie_is_a_set_of_paths_and_back() -> None:
    assert parse(TRIE).fields() == TRIE


def test_a_node_owns_itself_only_where_it_says_so() -> None:
    paths = parse(TRIE)

    assert ("f:metadata", "f:labels") in paths
    assert ("f:spec", "f:template") not in paths
    assert ("f:spec", "f:replicas") in paths


def test_leaves_are_the_paths_without_the_containers_around_them() -> None:
    leaves = parse(TRIE).leaves()

    assert ("f:metadata", "f:labels") not in leaves
    assert ("f:metadata", "f:labels", "f:app") in leaves


def test_the_algebra_is_that_of_sets() -> None:
    assert spec("a") | spec("b") == spec("a", "b")
    assert spec("a", "b") - spec("b") == spec("a")
    assert spec("a", "b") & spec("b", "c") == spec("b")
    assert not spec()
    assert list(spec("b", "a")) == [("f:spec", "f:a"), ("f:spec", "f:b")]


def test_paths_are_told_as_people_write_them() -> None:
    told = [describe(path) for path in parse(TRIE).leaves()]

    assert "spec.replicas" in told
    assert "spec.template.spec.containers[name=web].image" in told
    assert 'metadata.finalizers["example.org/x"]' in told
    assert describe(("f:metadata", "f:annotations", "f:example.org/a")) == 'metadata.annotations["example.org/a"]'
    assert describe(("f:args", "i:2")) == "args[2]"


def test_ownership_is_by_manager_operation_and_the_object_itself() -> None:
    managed = [
        OURS,
        entry(US, field("update")),
        entry(US, {"f:status": {}}, "Apply", subresource="status"),
        entry("other", field("image"), "Apply"),
    ]

    assert owned(managed, US) == spec("replicas")
    assert owned(managed, US, "Update") == spec("update")


def test_one_manager_may_have_entries_of_several_versions() -> None:
    managed = [OURS, entry(US, field("paused"), "Apply", apiVersion="apps/v1beta1")]

    assert owned(managed, US) == spec("replicas", "paused")


def test_what_people_set_by_hand_is_found_through_scale_but_not_status() -> None:
    managed = [
        OURS,
        entry("kubectl-edit", field("paused")),
        entry("kubectl", field("replicas"), subresource="scale"),
        entry("kubectl-edit", {"f:status": {"f:phase": {}}}, subresource="status"),
        entry("kube-controller-manager", field("strategy")),
    ]

    assert interactive_paths(managed) == spec("paused", "replicas")


def test_an_earlier_client_side_apply_is_adopted_and_is_no_drift() -> None:
    assert not CLIENT_SIDE & INTERACTIVE.keys()
    assert not interactive_paths([entry("kubectl-client-side-apply", field("replicas"))])


def test_foreign_managers_are_other_programs_and_what_they_hold_of_our_wish() -> None:
    managed = [
        OURS,
        entry("kubectl-edit", field("paused")),
        entry("kube-controller-manager", {"f:status": {}}, subresource="status"),
        entry("helm", {"f:spec": {"f:replicas": {}, "f:strategy": {}}}),
        entry("argocd-controller", field("image"), "Apply"),
    ]

    assert [found.manager for found in foreign_managers(managed, US)] == ["argocd-controller", "helm"]
    (helm,) = foreign_managers(managed, US, spec("replicas"))
    assert (helm.manager, helm.operation, helm.fields) == ("helm", "Update", spec("replicas"))
    assert foreign_managers(managed, US, FieldSet()) == ()


def test_the_fingerprint_ignores_times_order_versions_and_controllers() -> None:
    by_hand = entry("kubectl-edit", field("paused"))
    later = {**OURS, "time": "2030-01-01T00:00:00Z", "apiVersion": "apps/v2"}
    before = fingerprint({}, [OURS, by_hand], US)

    assert fingerprint({}, [by_hand, later], US) == before
    assert fingerprint({}, [OURS, by_hand, entry("kube-controller-manager", field("strategy"))], US) == before


def test_the_fingerprint_moves_when_somebody_takes_a_field_of_ours() -> None:
    both = entry(US, {"f:spec": {"f:replicas": {}, "f:image": {}}}, "Apply")

    assert fingerprint({}, [both], US) != fingerprint({}, [OURS, entry("other", field("image"))], US)


def test_the_fingerprint_moves_when_a_person_adds_a_field_or_another_person_owns_it() -> None:
    calm = fingerprint({}, [OURS], US)
    edited = fingerprint({}, [OURS, entry("kubectl-edit", field("paused"))], US)
    patched = fingerprint({}, [OURS, entry("kubectl-patch", field("paused"))], US)

    assert len({calm, edited, patched}) == 3
    assert fingerprint({}, [OURS, entry("kubectl-edit", field("paused"))], US, frozenset()) == calm


def test_taking_over_merges_the_named_managers_into_our_apply_entry() -> None:
    theirs = [entry("helm", field("image"), time="2020-01-01T00:00:00Z"), entry("kubectl", field("paused"), "Apply")]
    stays = [entry("other", field("x")), entry("helm", field("y"), subresource="scale")]

    left = take_over([theirs[0], OURS, *stays, theirs[1]], US, ["helm", "kubectl"])

    assert left[:-1] == stays
    assert left[-1] == {**OURS, "fieldsV1": {"f:spec": {"f:replicas": {}, "f:image": {}, "f:paused": {}}}}


def test_taking_over_without_an_entry_of_ours_renames_the_first_one() -> None:
    left = take_over([entry("before-first-apply", field("a")), entry("helm", field("b"))], US, {"helm", *CLIENT_SIDE})

    assert owned(left, US) == spec("a", "b")
    assert [(found["manager"], found["operation"]) for found in left] == [(US, "Apply")]


def test_taking_over_nothing_leaves_the_list_as_it_is() -> None:
    managed = [OURS, entry("other", field("x"))]

    assert take_over(managed, US, ["helm", US]) == managed
    assert take_over(None, US, ["helm"]) == []


def test_removing_takes_values_and_keyed_items_and_leaves_what_others_put_there() -> None:
    live = {
        "metadata": {"labels": {"app": "web", "team": "shop"}, "finalizers": ["example.org/x", "example.org/y"]},
        "spec": {
            "replicas": 2,
            "template": {"spec": {"containers": [{"name": "web", "image": "a"}, {"name": "proxy", "image": "b"}]}},
        },
    }
    before = copy.deepcopy(live)

    assert remove(live, parse(TRIE)) == {
        "metadata": {"labels": {"team": "shop"}, "finalizers": ["example.org/y"]},
        "spec": {"template": {"spec": {"containers": [{"name": "proxy", "image": "b"}]}}},
    }
    assert live == before


def test_an_item_that_others_have_added_to_stays_with_its_keys() -> None:
    fields = parse({"f:ports": {'k:{"port":80}': {".": {}, "f:targetPort": {}}}})
    live = {"ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}, {"port": 81, "targetPort": 8081}]}

    assert remove(live, fields) == {"ports": [{"port": 80, "nodePort": 30080}, {"port": 81, "targetPort": 8081}]}


def test_an_owned_container_that_is_empty_afterwards_goes_too() -> None:
    live = {"metadata": {"labels": {"app": "web"}, "name": "x"}}

    assert remove(live, parse({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}})) == {"metadata": {"name": "x"}}
    assert remove(live, parse({"f:metadata": {"f:labels": {"f:app": {}}}})) == {"metadata": {"labels": {}, "name": "x"}}


def test_items_go_by_index_and_by_a_value_of_their_own_type() -> None:
    assert remove({"a": ["x", "y", "z"]}, parse({"f:a": {"i:0": {}, "i:2": {}}})) == {"a": ["y"]}
    assert remove({"a": [1, True, "1"]}, parse({"f:a": {"v:true": {}}})) == {"a": [1, "1"]}


def test_removing_nothing_or_what_is_not_there_changes_nothing() -> None:
    live = {"spec": {"replicas": 2}, "data": [1]}

    assert remove(live, FieldSet()) == live
    assert remove(live, parse({"f:spec": {"f:replicas": {"f:deeper": {}}}, "f:data": {"f:x": {}}, "f:no": {}})) == live


def test_a_trie_deeper_than_the_limit_is_cut_not_followed() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"f:a": deep}

    (path,) = parse(deep)
    assert len(path) == DEPTH_LIMIT
    assert remove({"a": {}}, parse(deep)) == {"a": {}}


@pytest.mark.parametrize("element", ["k:{", "k:[1]", 'v:"', "i:x", "k:" + "[" * 50_000, "v:" + "1" * 10_000, "x:y"])
def test_an_unreadable_element_matches_nothing_and_can_still_be_told(element: str) -> None:
    fields = parse({"f:a": {element: {}}})

    assert remove({"a": [1, {"b": 2}]}, fields) == {"a": [1, {"b": 2}]}
    assert all(describe(path) for path in fields)


@given(managed=LISTS | ANYTHING, obj=st.dictionaries(st.sampled_from(["a", "b", "spec"]), ANYTHING))
def test_nothing_in_managed_fields_makes_it_raise_or_change(managed: Any, obj: dict[str, Any]) -> None:
    before = repr((managed, obj))

    for found in entries(managed):
        remove(obj, found.fields)
    interactive_paths(managed)
    foreign_managers(managed, US, spec("a"))
    assert fingerprint(obj, managed, US) == fingerprint(obj, copy.deepcopy(managed), US)
    assert owned(take_over(managed, US, INTERACTIVE), US).paths >= owned(managed, US).paths
    assert repr((managed, obj)) == before


@given(trie=TRIES)
def test_parsing_what_was_written_gives_the_same_set(trie: dict[str, Any]) -> None:
    assert parse(parse(trie).fields()) == parse(trie)


def test_the_fingerprint_moves_with_the_values_that_are_ours_and_with_no_others() -> None:
    obj: dict[str, Any] = {
        "metadata": {"labels": {"app": "web", "theirs": "x"}, "finalizers": ["example.org/x"]},
        "spec": {
            "replicas": 2,
            "template": {"spec": {"containers": [{"name": "side"}, {"name": "web", "image": "one", "tty": True}]}},
        },
    }
    ours = [entry(US, TRIE, "Apply"), entry("other", field("more"), "Apply")]
    before = fingerprint(obj, ours, US)

    theirs = copy.deepcopy(obj)
    theirs["spec"]["template"]["spec"]["containers"].reverse()
    theirs["spec"]["template"]["spec"]["containers"][0]["tty"] = False
    theirs["metadata"]["labels"]["theirs"] = "y"
    theirs["metadata"]["finalizers"].append("example.org/y")
    assert fingerprint(theirs, ours, US) == before

    for path, name in ((("metadata", "labels"), "app"), (("spec",), "replicas")):
        moved = copy.deepcopy(obj)
        node = moved
        for step in path:
            node = node[step]
        node[name] = "moved"
        assert fingerprint(moved, ours, US) != before
    moved = copy.deepcopy(obj)
    moved["spec"]["template"]["spec"]["containers"][1]["image"] = "two"
    assert fingerprint(moved, ours, US) != before
    assert fingerprint(moved, [entry(US, TRIE)], US) == fingerprint(obj, [entry(US, TRIE)], US)


def test_a_field_that_is_owned_as_a_whole_counts_with_all_that_is_in_it() -> None:
    ours = [entry(US, {"f:spec": {"f:selector": {}, "f:items": {'k:{"name":"a"}': {}}}}, "Apply")]
    one = {"spec": {"selector": {"app": "web"}, "items": [{"name": "b"}, {"name": "a", "more": [1]}]}}

    prints = {fingerprint(one, ours, US)}
    prints.add(fingerprint({"spec": {**one["spec"], "selector": {"app": "web", "tier": "x"}}}, ours, US))
    prints.add(fingerprint({"spec": {**one["spec"], "items": [{"name": "a", "more": [2]}]}}, ours, US))

    assert len(prints) == 3


@pytest.mark.parametrize("levels", [DEPTH_LIMIT * 2, 5_000])
def test_a_trie_and_values_of_any_depth_have_a_fingerprint(levels: int) -> None:
    fields, value = {}, {}
    for _ in range(levels):
        fields, value = {"f:a": fields}, {"a": value}
    ours = [entry(US, {"f:a": {}, "f:b": fields}, "Apply")]

    assert fingerprint({"a": value}, ours, US) == fingerprint({"a": {"a": value["a"]}}, ours, US)
    assert fingerprint({"a": value}, ours, US) != fingerprint({"a": {}}, ours, US)
    assert fingerprint({}, ours, US) != fingerprint({}, [entry(US, {"f:a": {}}, "Apply")], US)


def test_a_trie_that_is_too_large_to_be_remembered_is_read_as_any_other() -> None:
    names = [f"n{number}" for number in range(SHAPE_LIMIT // 8)]
    ours = [entry(US, {"f:data": {f"f:{name}": {} for name in names}}, "Apply")]
    before = fingerprint({"data": dict.fromkeys(names, "x")}, ours, US)

    assert fingerprint({"data": dict.fromkeys(reversed(names), "x")}, ours, US) == before
    assert fingerprint({"data": {**dict.fromkeys(names, "x"), "n7": "y"}}, ours, US) != before


@given(obj=st.dictionaries(st.sampled_from(["a", "b", "spec"]), ANYTHING), trie=TRIES)
def test_whatever_an_object_and_an_entry_are_they_have_a_fingerprint(obj: dict[str, Any], trie: Any) -> None:
    ours = entry(US, trie, "Apply")

    assert fingerprint(obj, [ours], US) == fingerprint(copy.deepcopy(obj), [copy.deepcopy(ours)], US)
