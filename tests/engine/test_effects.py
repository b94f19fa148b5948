"""Effects: the same deed has the same effect, and nothing else has."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kedge.engine.diff import diff
from kedge.engine.effects import canonical, covered, difference, effects
from kedge.model.change import Act, Change
from kedge.model.manifest import Manifest
from kedge.model.pair import Along, Seen
from kedge.model.ref import Ref

KEY = b"k" * 32
WEB = Ref("apps", "Deployment", "web", "web")
small = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2) | st.text(max_size=2), max_size=3)


def change_of(live: Any, predicted: Any, ref: Ref = WEB, key: bytes = KEY) -> Change:
    change = diff(Seen(ref, live, predicted), key)
    assert change is not None
    return change


def effect_of(live: Any, predicted: Any, ref: Ref = WEB, key: bytes = KEY) -> str:
    return change_of(live, predicted, ref, key).effect


def created(ref: Ref, body: dict[str, Any]) -> Change:
    manifest = Manifest(ref, "v1", json.dumps(body).encode(), "d")
    change = diff(Seen(ref, None, body, manifest), KEY)
    assert change is not None
    return change


@given(small, small, small, small)
def test_two_updates_have_one_effect_just_when_they_change_the_same_fields_alike(
    a: dict[str, Any], b: dict[str, Any], c: dict[str, Any], d: dict[str, Any]
) -> None:
    first, second = diff(Seen(WEB, {"spec": a}, {"spec": b}), KEY), diff(Seen(WEB, {"spec": c}, {"spec": d}), KEY)
    if first and second:
        assert (first.effect == second.effect) is (first.fields == second.fields)


@given(st.permutations([change_of({"spec": {"a": n}}, {"spec": {"a": n + 1}}) for n in range(4)]))
def test_the_order_of_changes_does_not_matter(changes: list[Change]) -> None:
    assert effects(changes) == effects(changes[::-1]) == effects([*changes, changes[0]])


@given(st.binary(min_size=1, max_size=8), st.binary(min_size=1, max_size=8))
def test_another_key_gives_another_effect(one: bytes, two: bytes) -> None:
    same_key = one.ljust(64, b"\0") == two.ljust(64, b"\0")
    effect, other = (effect_of({"spec": {"a": 1}}, {"spec": {"a": 2}}, key=key) for key in (one, two))
    assert (effect == other) is same_key


def test_noise_is_no_part_of_an_effect() -> None:
    live, predicted = {"spec": {"a": 1}}, {"spec": {"a": 2}}
    noisy = {"metadata": {"resourceVersion": "7", "managedFields": [1]}, "status": {"x": 1}, **predicted}
    assert effect_of(live, predicted) == effect_of(live, noisy)


def test_the_object_and_the_act_are_part_of_an_effect() -> None:
    there = {"spec": {"a": 1}}
    assert len({effect_of(there, None), effect_of(None, there), effect_of(there, None, Ref("", "Pod", "", "web"))}) == 3


def test_two_secret_values_have_two_effects() -> None:
    ref = Ref("", "Secret", "web", "db")
    first, second = (effect_of({"data": {"a": "eA=="}}, {"data": {"a": value}}, ref) for value in ("eQ==", "eg=="))
    assert first != second


def test_what_lies_behind_the_cut_of_a_long_value_is_part_of_the_effect() -> None:
    ref, page = Ref("", "ConfigMap", "web", "page"), "x" * 9_000
    first, second = (effect_of({"data": {"p": "y"}}, {"data": {"p": page + end}}, ref) for end in "ab")
    assert first != second


def generated(content: str) -> Ref:
    return Ref("", "ConfigMap", "web", f"settings-{content}")


def test_the_hash_in_a_generated_name_is_no_part_of_an_effect_but_its_content_is() -> None:
    old, new = generated("9h2t7fb4kc"), generated("m6k2bd5f7c")
    assert effect_of({"data": {}}, None, old) == effect_of({"data": {}}, None, new)
    body = {"data": {"a": "1"}, "metadata": {"name": "x"}}
    assert created(old, body).effect == created(new, body).effect
    assert created(old, body).effect != created(new, {**body, "data": {"a": "2"}}).effect


def test_a_reference_to_a_generated_name_is_the_same_whatever_the_hash() -> None:
    def pod(name: str, image: str = "web") -> dict[str, Any]:
        source = {"configMapRef": {"name": name}}
        return {"spec": {"containers": [{"name": "a", "image": image, "envFrom": [source]}]}}

    first = effect_of(pod("settings-9h2t7fb4kc"), pod("settings-m6k2bd5f7c"))
    assert first == effect_of(pod("settings-9h2t7fb4kc"), pod("settings-7fb4kc9h2t"))
    assert first != effect_of(pod("settings-9h2t7fb4kc"), pod("others-m6k2bd5f7c"))


def test_an_image_that_ends_like_a_generated_name_is_told_apart() -> None:
    def pod(image: str) -> dict[str, Any]:
        return {"spec": {"containers": [{"name": "a", "image": image}]}}

    assert effect_of(pod("web-9h2t7fb4kc"), pod("web-m6k2bd5f7c")) != effect_of(
        pod("web-9h2t7fb4kc"), pod("web-7fb4kc9h2t")
    )


def test_what_is_not_approved_is_left_over() -> None:
    one, two = change_of({"spec": {"a": 1}}, None), change_of({"spec": {"a": 1}}, {"spec": {"a": 2}})
    assert covered([one, two], [one.effect, "other"]) == (two,)
    assert covered([one], [one.effect, two.effect]) == ()
    assert covered([], []) == ()


def test_the_difference_between_two_plans_tells_what_came_went_and_turned() -> None:
    same, turned, now = Change(WEB, Act.UPDATE, effect="1"), Ref("", "Service", "web", "a"), Ref("", "Pod", "web", "b")
    gone = Change(Ref("", "Pod", "web", "c"), Act.DELETE, effect="2")
    then_turned, now_turned = Change(turned, Act.UPDATE, effect="3"), Change(turned, Act.DELETE, effect="4")
    came = Change(now, Act.CREATE, effect="5")
    found = difference((same, gone, then_turned), (same, now_turned, came))
    assert (found.added, found.dropped, found.altered) == ((came,), (gone,), ((then_turned, now_turned),))


def test_json_too_deep_for_python_is_still_written() -> None:
    value: Any = [{"b": 1, "a": "é"}]
    shallow = canonical(value)
    assert shallow == '[{"a":"é","b":1}]'
    for _ in range(5_000):
        value = [value]
    assert canonical(value) == f"{'[' * 5_000}{shallow}{']' * 5_000}"


def test_who_agreed_to_a_deletion_did_not_agree_to_the_data_that_came_into_it_since() -> None:
    """An approval of an empty namespace's deletion counted for the database that somebody had put there meanwhile."""
    space = Ref("", "Namespace", "", "web")
    some = tuple(Ref("", "ConfigMap", "web", name) for name in "abc")
    claim = Ref("", "PersistentVolumeClaim", "web", "data")

    def agreed(along: Along | None) -> str:
        change = diff(Seen(space, {"kind": "Namespace"}, None, along=along), KEY)
        assert change is not None
        return change.effect

    nothing, strangers, data = Along(own=3), Along(others=2, named=some[:2]), Along(others=2, named=(claim, some[0]))
    assert len({agreed(nothing), agreed(strangers), agreed(data)}) == 3
    assert agreed(nothing) == agreed(None) == agreed(Along(own=1))
    assert agreed(strangers) == agreed(Along(others=3, named=some)), "what comes and goes does not ask again"


def test_who_agreed_to_a_deletion_with_all_in_it_agreed_to_it_when_that_is_gone() -> None:
    """Of two units that go together, the one had agreed to what the other took away first, and was asked again."""
    space = Ref("", "Namespace", "", "web")
    with_it = diff(Seen(space, {"kind": "Namespace"}, None, along=Along(others=1, named=(space,))), KEY)
    empty = diff(Seen(space, {"kind": "Namespace"}, None), KEY)
    assert with_it is not None
    assert empty is not None
    assert (with_it.alone, empty.alone) == (empty.effect, "")
