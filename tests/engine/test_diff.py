"""The diff told as stories, and held to laws that any two JSON objects must obey."""

from __future__ import annotations

import json
import os
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kedge.engine.diff import LONGEST, diff
from kedge.engine.leaves import leaves, same
from kedge.engine.normalize import MISSING, subject_of
from kedge.model.change import Act, Change, FieldAct
from kedge.model.manifest import Manifest
from kedge.model.pair import Owner, Presumed, Seen
from kedge.model.ref import Ref

KEY = b"k" * 32
STORIES = Path(__file__).parents[1] / "cases" / "diff"
REF = Ref("apps", "Deployment", "web", "web")


def seen(live: Any, predicted: Any, kind: str = "Deployment", **more: Any) -> Seen:
    group = "apps" if kind in ("Deployment", "StatefulSet") else ""
    return Seen(Ref(group, kind, "web", "web"), live, predicted, **more)


def changed(live: Any, predicted: Any, kind: str = "Deployment", **more: Any) -> Change:
    change = diff(seen(live, predicted, kind, **more), KEY)
    assert change is not None
    return change


def told(change: Change) -> list[str]:
    signs = {FieldAct.GAIN: "+", FieldAct.LOSE: "-", FieldAct.CHANGE: "~"}
    return [f"{signs[f.act]} {f.path} {f.before}|{f.after}" for f in change.fields]


def manifest(body: dict[str, Any], ref: Ref = REF, **annotations: str) -> Manifest:
    pairs = tuple((name.replace("__", "/"), value) for name, value in annotations.items())
    return Manifest(ref, "apps/v1", json.dumps(body, sort_keys=True).encode(), "d", pairs)


def stories() -> list[Any]:
    found = [story for path in sorted(STORIES.glob("*.yaml")) for story in yaml.safe_load(path.read_text())]
    return [pytest.param(story, id=story["story"].replace(" ", "-")) for story in found]


@pytest.mark.parametrize("story", stories())
def test_a_golden_story_is_told_as_it_was(story: dict[str, Any]) -> None:
    live, predicted = story.get("live"), story.get("predicted")
    change = diff(seen(live, predicted, story.get("kind", "Deployment")), KEY, ignore=story.get("ignore", ()))
    if "fields" not in story:
        assert change is None
        _, hidden = leaves(
            subject_of(story.get("kind", "Deployment"), live, predicted, story.get("ignore", ())), live, predicted
        )
        assert [f"{h.path} {h.rule}" for h in hidden] == story["hidden"]
        return
    assert change is not None
    assert told(change) == story["fields"]
    assert [f"{h.path} {h.rule}" for h in change.hidden] == story.get("hidden", [])


def test_replicas_that_are_left_to_an_autoscaler_are_told_beside_what_changes() -> None:
    live = {"spec": {"replicas": 7, "paused": False}}
    change = changed(live, {"spec": {"replicas": 7, "paused": True}}, autoscaled=True)
    assert told(change) == ["~ spec.paused false|true"]
    assert [(h.path, h.rule) for h in change.hidden] == [("spec.replicas", "autoscaled")]


# What becomes of the whole object


def test_what_would_be_created_or_deleted_lists_no_fields_but_has_an_effect() -> None:
    created, deleted = changed(None, {"spec": {"a": 1}}), changed({"spec": {"a": 1}}, None)
    assert (created.act, created.fields, deleted.act, deleted.fields) == (Act.CREATE, (), Act.DELETE, ())
    assert created.effect
    assert deleted.effect
    assert created.effect != deleted.effect


def test_the_effect_of_a_creation_covers_the_rendered_body_and_not_what_a_server_makes_up() -> None:
    rendered = manifest({"spec": {"port": 80}})
    first = changed(None, {"spec": {"port": 80, "clusterIP": "10.0.0.1"}}, manifest=rendered)
    again = changed(None, {"spec": {"port": 80, "clusterIP": "10.0.0.2"}}, manifest=rendered)
    other = changed(None, {"spec": {"port": 80}}, manifest=manifest({"spec": {"port": 81}}))
    assert first.effect == again.effect != other.effect


def test_what_neither_lives_nor_is_wanted_is_no_change() -> None:
    assert diff(seen(None, None), KEY) is None


def test_a_presumed_object_counts_as_rendered_and_says_why() -> None:
    rendered = manifest({"spec": {"a": 1}})
    change = diff(Presumed(REF, rendered, "its definition does not exist yet"), KEY)
    assert change is not None
    assert (change.act, change.why) == (Act.CREATE, "as rendered: its definition does not exist yet")
    assert change.effect == changed(None, {"spec": {"a": 1}}, manifest=rendered).effect


def test_a_difference_is_drift_where_the_wish_did_not_move() -> None:
    pair = seen({"spec": {"a": 1}}, {"spec": {"a": 2}})
    assert diff(pair, KEY, wished=False).drift  # type: ignore[union-attr]
    assert not diff(pair, KEY, wished=True).drift  # type: ignore[union-attr]


def test_a_name_with_a_content_hash_is_generated_and_another_is_not() -> None:
    gone = Seen(Ref("", "ConfigMap", "web", "settings-9h2t7fb4kc"), {"data": {}}, None)
    assert diff(gone, KEY).generated  # type: ignore[union-attr]
    for ref in (Ref("", "ConfigMap", "web", "settings"), Ref("", "PersistentVolumeClaim", "web", "data-9h2t7fb4kc")):
        assert not diff(replace(gone, ref=ref), KEY).generated  # type: ignore[union-attr]


# Whose it is


def test_an_object_of_another_hand_is_an_adoption_even_when_nothing_else_differs() -> None:
    change = changed({"spec": {}}, {"spec": {}}, owner=Owner("argocd", "shop"))
    assert (change.adopts, change.fields) == ("argocd shop", ())
    assert change.effect != changed({"spec": {}}, {"spec": {}}, owner=Owner("flux", "shop")).effect


def test_kubectl_is_named_but_needs_no_adoption() -> None:
    change = changed({"spec": {}}, {"spec": {"a": 1}}, owner=Owner("kubectl", ""))
    assert (change.adopts, change.why) == ("", "managed by kubectl so far")


def test_kedges_marks_are_never_fields_but_a_change_of_hands_is_told() -> None:
    marked = {"metadata": {"labels": {"kedge.dev/unit": "shop.web", "app": "web"}}}
    change = changed({"metadata": {"labels": {"app": "web"}}}, marked)
    assert (change.fields, change.why) == ((), "taken over: Kedge did not manage it")
    other = {"metadata": {"labels": {"kedge.dev/unit": "shop.old", "app": "web"}}}
    assert changed(other, marked).why == "Kedge's marks of ownership are restored"


def test_what_people_set_by_hand_is_named() -> None:
    change = changed({"spec": {"replicas": 9}}, {"spec": {"replicas": 2}}, interactive=("kubectl-edit",))
    assert change.why == "set by kubectl-edit, not in Git"


# What the API server refuses


def refused(ref: Ref = REF, **annotations: str) -> Change:
    body = {"spec": {"selector": {"app": "new"}}}
    live = {"spec": {"selector": {"app": "old"}, "replicas": 2}}
    pair = Seen(ref, live, None, manifest(body, ref, **annotations), rejection="field is immutable", immutable=True)
    change = diff(pair, KEY)
    assert change is not None
    return change


def test_a_refused_change_shows_what_was_tried_and_can_not_be_applied() -> None:
    change = refused()
    assert (change.act, change.rejection) == (Act.UPDATE, "field is immutable")
    assert told(change) == ['~ spec.selector.app "old"|"new"']
    assert "kedge.dev/replace" in change.why


@pytest.mark.parametrize(
    "annotations",
    [
        {"kedge.dev__replace": "true"},
        {"argocd.argoproj.io__sync-options": "Prune=false,Replace=true"},
        {"argocd.argoproj.io__sync-options": "Force=true"},
    ],
)
def test_a_refused_change_becomes_a_replacement_only_where_the_manifest_asks(annotations: dict[str, str]) -> None:
    change = refused(**annotations)
    assert (change.act, change.rejection) == (Act.REPLACE, "")
    assert "field is immutable" in change.why


@pytest.mark.parametrize(
    "ref",
    [
        Ref("", "Namespace", "", "web"),
        Ref("", "PersistentVolume", "", "web"),
        Ref("", "PersistentVolumeClaim", "web", "web"),
        Ref("apiextensions.k8s.io", "CustomResourceDefinition", "", "web"),
    ],
)
def test_what_holds_other_things_is_never_replaced(ref: Ref) -> None:
    change = refused(ref, **{"kedge.dev__replace": "true"})
    assert (change.act, change.rejection) == (Act.UPDATE, "field is immutable")


def test_a_refusal_that_is_not_about_immutability_is_never_a_replacement() -> None:
    rendered = manifest({"spec": {}}, **{"kedge.dev__replace": "true"})
    change = diff(seen({"spec": {}}, None, manifest=rendered, rejection="denied by webhook"), KEY)
    assert change is not None
    assert (change.act, change.rejection, change.fields) == (Act.UPDATE, "denied by webhook", ())


def test_defaults_of_a_live_object_are_not_told_as_lost_when_a_change_is_refused() -> None:
    live = {"spec": {"containers": [{"name": "a", "image": "web:1", "imagePullPolicy": "Always"}]}}
    rendered = manifest({"spec": {"containers": [{"name": "a", "image": "web:2"}]}})
    guess = {"spec": {"containers": [{"name": "a", "image": "web:2"}]}}
    change = changed(live, guess, manifest=rendered, rejection="denied")
    assert told(change) == ['~ spec.containers[name=a].image "web:1"|"web:2"']


def test_a_refused_creation_is_a_creation() -> None:
    change = diff(seen(None, None, manifest=manifest({"spec": {}}), rejection="quota"), KEY)
    assert change is not None
    assert (change.act, change.rejection) == (Act.CREATE, "quota")


# Long values


def test_a_long_text_is_one_field_cut_where_it_begins_to_differ() -> None:
    page = "x" * 5_000
    change = changed({"data": {"page": page + "old" + page}}, {"data": {"page": page + "new" + page}}, "ConfigMap")
    (field,) = change.fields
    assert "old" in field.before
    assert "new" in field.after
    assert len(field.before) <= LONGEST
    assert len(field.after) <= LONGEST


def test_a_value_nested_beyond_reason_is_compared_and_shown() -> None:
    def deep(leaf: int) -> Any:
        value: Any = leaf
        for _ in range(3_000):
            value = {"a": value}
        return value

    assert diff(seen(deep(1), deep(1)), KEY) is None
    assert changed(deep(1), deep(2)).fields
    lists = [deep(1)]
    assert changed({"spec": {}}, {"spec": {"x": lists}}).effect


# Laws

keys = st.sampled_from(
    ["name", "a", "b", "key", "metadata", "labels", "annotations", "spec", "data", "port", "kind", "a.b/c"]
)
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=4)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=3), inner, max_size=4)
)
objects = st.dictionaries(keys, values, max_size=5)
kinds = st.sampled_from(["Deployment", "Secret", "ClusterRole", "Endpoints", "ConfigMap"])


@given(objects, kinds)
def test_an_object_never_differs_from_itself(obj: dict[str, Any], kind: str) -> None:
    assert diff(seen(obj, deepcopy(obj), kind), KEY) is None


@given(objects, objects, kinds)
def test_no_two_objects_make_the_diff_fail(before: dict[str, Any], after: dict[str, Any], kind: str) -> None:
    change = diff(seen(before, after, kind), KEY)
    assert change is None or change.fields or change.why


@given(objects, objects)
def test_the_order_of_keys_never_matters(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert diff(seen(before, after), KEY) == diff(seen(turned(before), turned(after)), KEY)


@given(objects, objects)
def test_paths_are_unique(before: dict[str, Any], after: dict[str, Any]) -> None:
    shown, _ = leaves(subject_of("", before, after), before, after)
    assert len({leaf.path for leaf in shown}) == len(shown)


@given(objects, objects)
def test_the_shown_and_the_hidden_explain_the_whole_difference(before: dict[str, Any], after: dict[str, Any]) -> None:
    shown, hidden = leaves(subject_of("", before, after), before, after)
    assert bool(shown or hidden) is not same(before, after)
    if not hidden:
        back, also_hidden = leaves(subject_of("", after, before), after, before)
        assert not also_hidden
        assert sorted(
            (leaf.path, str(leaf.before), str(leaf.after)) for leaf in shown if "order" not in leaf.path
        ) == sorted((leaf.path, str(leaf.after), str(leaf.before)) for leaf in back if "order" not in leaf.path)


@given(objects, objects)
def test_laying_the_shown_fields_over_the_live_object_gives_the_other(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Maps only: where every difference sits in maps, setting each field at its place is the whole change."""
    shown, hidden = leaves(subject_of("", before, after), before, after)
    if hidden or any("[]" in leaf.trail or "[order]" in leaf.path for leaf in shown):
        return
    patched = deepcopy(before)
    for leaf in shown:
        place = patched
        for name in leaf.trail[:-1]:
            held = place.get(name)
            place[name] = held if isinstance(held, dict) else {}
            place = place[name]
        if leaf.after is MISSING:
            place.pop(leaf.trail[-1], None)
        else:
            place[leaf.trail[-1]] = leaf.after
    rest, _ = leaves(subject_of("", patched, after), patched, after)
    assert rest == ()


def turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(list(value))}
    return [turned(item) for item in value] if isinstance(value, list) else value


# Cases of another project, where they are at hand

SHARED = Path(os.environ.get("KEDGE_SHARED") or Path(__file__).parents[3] / "shared") / "cases" / "diff"
APART = {
    "diff-option-ignore-aggregate-roles-2": "an option there; here the rules of an aggregated role are a controller's",
    "diff-with-nils-1": "nothing wanted is a deletion here, and no question there",
    "diff-with-nils-2": "nothing wanted is a deletion here, and no question there",
}


def shared_cases() -> list[Any]:
    if not SHARED.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no cases at {SHARED}: set KEDGE_SHARED"))]
    found = [case for path in sorted(SHARED.glob("*.yaml")) for case in yaml.safe_load(path.read_text())]
    return [
        pytest.param(
            case, id=case["id"], marks=[pytest.mark.skip(reason=APART[case["id"]])] if case["id"] in APART else []
        )
        for case in found
    ]


@pytest.mark.parametrize("case", shared_cases())
def test_a_case_of_argo_cd_is_modified_where_it_is_modified_there(case: dict[str, Any]) -> None:
    expected = case["expected"]
    predicted, live = expected.get("predictedLive"), expected.get("normalizedLive") or case["live"]
    some = predicted or live
    change = diff(seen(live, predicted, some["kind"]), KEY)
    assert (change is not None) is expected["modified"], change
