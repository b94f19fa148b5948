"""A value that nobody knows yet is a hole with a name: shown, bound by approvals, and filled without anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from tests.doors.json_renderer import of_body

from kedge.engine.diff import diff
from kedge.engine.effects import effects
from kedge.engine.gate import gate
from kedge.engine.holes import StandIn, carried, stand_in, with_holes
from kedge.engine.overruled import laid
from kedge.engine.plan import Draft, make_plan
from kedge.model.change import Act
from kedge.model.declaration import ApproveSection, TargetSection, ValueType, When
from kedge.model.dossier import Approval, Dossier
from kedge.model.manifest import Desired, Manifest, digest_of
from kedge.model.pair import Pair, Presumed, Seen
from kedge.model.plan import Plan
from kedge.model.ref import UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import Input, Unit

KEY = b"a key"
DB = UnitName("shop", "db")
UNIT = Unit(
    UnitName("shop", "web"), "admin", SourceSpec("r", "main"), TargetSection(), approve=ApproveSection(When.ALWAYS)
)
Files = Callable[[Any], list[dict[str, Any]]]
"""What some files make of a value."""


def config(data: Any, name: str = "web", kind: str = "ConfigMap", **notes: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, "namespace": "web", **({"annotations": notes} if notes else {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, "data": data}


def given(type: ValueType = ValueType.ANY, output: str = "endpoint") -> Input:
    return Input(output, DB, output, type)


def rendered(files: list[dict[str, Any]]) -> Desired:
    manifests = tuple(map(of_body, files))
    return Desired(manifests, digest_of(manifests))


def opened(files: Files, type: ValueType = ValueType.ANY) -> Desired | None:
    stand = stand_in(given(type), KEY)
    assert stand is not None
    return with_holes(rendered(files(stand.first)), rendered(files(stand.second)), [stand], KEY)


def body(desired: Desired | None, number: int = 0) -> Any:
    assert desired is not None
    return json.loads(desired.manifests[number].body)


def test_a_value_is_shown_by_its_name_wherever_it_stands() -> None:
    desired = opened(lambda v: [config({"url": f"http://{v}:80", "host": v, "else": "x"}), config({}, "other")])
    assert desired is not None
    assert desired.holes == ("shop/db.endpoint",)
    assert body(desired)["data"] == {
        "url": "http://‹shop/db.endpoint›:80",
        "host": "‹shop/db.endpoint›",
        "else": "x",
    }
    assert sorted(desired.manifests[0].holes) == [("data", "host"), ("data", "url")]
    assert desired.manifests[1].holes == ()


def test_what_stands_for_a_value_is_in_nothing_that_is_shown() -> None:
    stand = stand_in(given(), KEY)
    assert stand is not None
    desired = opened(lambda v: [config({"a": v, "b": sha256(v.encode()).hexdigest()}, **{"an/annotation": v})])
    assert desired is not None
    for text in (stand.first, stand.second):
        assert text not in repr(desired)
    assert desired.manifests[0].annotations == (("an/annotation", "‹shop/db.endpoint›"),)
    assert stand_in(given(), b"another key") != stand, "who has not the key can not foresee it"


@pytest.mark.parametrize(
    ("type", "value"),
    [(ValueType.NUMBER, 5432), (ValueType.BOOL, True), (ValueType.LIST, ["10.0.0.0/16"]), (ValueType.STRING, "db")],
)
def test_a_value_of_each_type_has_a_hole_of_its_own_type(type: ValueType, value: Any) -> None:
    stand = stand_in(given(type), KEY)
    assert stand is not None
    assert {type_of(stand.first), type_of(stand.second)} == {type_of(value)}
    assert body(opened(lambda v: [config({"is": v})], type))["data"] == {"is": "‹shop/db.endpoint›"}


def type_of(value: Any) -> type:
    return type(value)


def test_a_map_is_named_and_not_shown() -> None:
    assert stand_in(given(ValueType.MAP), KEY) is None


def test_what_the_files_make_of_a_value_is_a_hole_that_moves_with_what_else_they_put_in() -> None:
    def summed(salt: str) -> Any:
        return body(opened(lambda v: [config({"sum": sha256(f"{salt}{v}".encode()).hexdigest()})]))["data"]["sum"]

    assert summed("a").startswith("‹made of shop/db.endpoint, ")
    assert summed("a") == summed("a")
    assert summed("a") != summed("b"), "an approval binds what stays in the dark, too"


def test_a_text_that_is_read_as_a_number_is_a_hole_and_no_made_up_number() -> None:
    told = body(opened(lambda v: [config({"port": int(v) if v.isdigit() else 0})]))["data"]["port"]
    assert told.startswith("‹made of shop/db.endpoint, ")


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(lambda v: [config({"a": 1})], id="the value leaves no trace"),
        pytest.param(lambda v: [config({}, name=v)], id="a name is made of it"),
        pytest.param(lambda v: [config({v: 1})], id="a field is named by it"),
        pytest.param(lambda v: [config({"a": v})] * (2 if v.isdigit() else 1), id="it decides what there is"),
        pytest.param(lambda v: [config({"a": v, **({"b": 1} if v.isdigit() else {})})], id="it decides on a field"),
        pytest.param(lambda v: [config({"a": [{}] * (2 if v.isdigit() else 1)})], id="it decides on objects in a list"),
        pytest.param(lambda v: [config({"a": [{}] if v.isdigit() else v})], id="it decides on a shape"),
        pytest.param(lambda v: [config({"a": 1}, **{"kedge.dev/sensitive": v})], id="Kedge itself would act on it"),
    ],
)
def test_where_the_set_itself_hangs_on_the_value_nothing_is_shown(files: Files) -> None:
    assert opened(files) is None


def test_two_values_are_told_apart() -> None:
    stands = [stand for name in ("host", "port") if (stand := stand_in(given(output=name), KEY)) is not None]

    def files(one: bool) -> Desired:
        host, port = ((stand.first if one else stand.second) for stand in stands)
        return rendered([config({"url": f"{host}:{port}"})])

    desired = with_holes(files(True), files(False), stands, KEY)
    assert body(desired)["data"] == {"url": "‹shop/db.host›:‹shop/db.port›"}


def test_one_of_two_values_that_leaves_no_trace_hides_both() -> None:
    stands = [StandIn("shop/db.a", "a1", "a2"), StandIn("shop/db.b", "b1", "b2")]
    sets = (rendered([config({"x": f"{stands[0].first}"})]), rendered([config({"x": f"{stands[0].second}"})]))
    assert with_holes(*sets, stands, KEY) is None


def plan(desired: Desired | None, live: dict[str, Any] | None, **more: Any) -> tuple[Plan, Desired]:
    """What would be done about the first object of a set; `more` is said of it by the target."""
    assert desired is not None
    manifest = desired.manifests[0]
    found = diff(_pair(manifest, live, more), KEY)
    changes = (found,) if found is not None else ()
    draft = Draft(UNIT, None, desired, changes, effects(changes), ())
    return make_plan(draft), desired


def _pair(manifest: Manifest, live: dict[str, Any] | None, more: dict[str, Any]) -> Pair:
    wish = json.loads(manifest.body)
    if manifest.holes and live is None:
        return Presumed(manifest.ref, manifest, "it holds what is not known yet")
    if manifest.holes and live is not None:  # nothing is tried: the wish is laid over what lives
        return Seen(manifest.ref, live, laid(live, wish), manifest, untried="it holds what is not known yet")
    return Seen(manifest.ref, live, wish, manifest, **more)


def yes(plan: Plan) -> Approval:
    return Approval(plan.effects, tuple(c.effect for c in plan.changes), "mona", (), "", 0.0, holes=plan.holes)


def goes(files: Files, *, live: dict[str, Any] | None = None, value: Any = "db.local", **filled: Any) -> bool:
    """Whether what was approved with a hole is applied with the value."""
    shown, now = plan(opened(files), live), plan(rendered(files(value)), live, **filled)
    agreed = carried([yes(shown[0])], shown, now)
    return gate(Dossier(UNIT.name, UNIT, approvals=agreed), now[0], 0.0).go


def test_a_hole_is_seen_in_what_is_to_be_created() -> None:
    (change,) = plan(opened(lambda v: [config({"url": f"http://{v}"})]), None)[0].changes
    assert [(field.path, field.after) for field in change.fields] == [("data.url", '"http://‹shop/db.endpoint›"')]
    assert change.why == "as rendered: it holds what is not known yet"


def test_a_hole_in_a_secret_stays_masked() -> None:
    (change,) = plan(opened(lambda v: [config({"url": v}, kind="Secret")]), None)[0].changes
    assert change.fields[0].after.startswith("++++++++")


def test_a_plan_with_a_hole_waits_whoever_agrees_and_names_it() -> None:
    made, _ = plan(opened(lambda v: [config({"a": v})]), None)
    assert (made.holes, made.rendered) == (("shop/db.endpoint",), "")
    asked = gate(Dossier(UNIT.name, UNIT), made, 0.0)
    assert (asked.go, asked.approval) == (False, True)
    assert asked.waiting.startswith("waits for shop/db.endpoint, which is not there yet; waits for 1 approval")
    agreed = gate(Dossier(UNIT.name, UNIT, approvals=(yes(made),)), made, 0.0)
    assert (agreed.go, agreed.approval) == (False, False)
    assert agreed.waiting == "waits for shop/db.endpoint, which is not there yet"


def test_an_approval_with_a_hole_counts_when_it_is_filled_and_nothing_else_has_moved() -> None:
    assert goes(lambda v: [config({"url": f"http://{v}:80", "n": 1, "sum": sha256(v.encode()).hexdigest()})])


def test_it_counts_for_a_change_of_what_is_live_too() -> None:
    live = config({"url": "http://old", "n": 1})
    assert goes(lambda v: [config({"url": f"http://{v}", "n": 2})], live=live)


def test_it_does_not_count_where_the_value_leads_elsewhere_than_its_hole() -> None:
    assert not goes(lambda v: [config({"a": v, "size": "large" if v == "db.local" else "small"})])
    assert not goes(lambda v: [config({"url": f"http://{v}" if v != "db.local" else "ftp://db.local"})])
    assert not goes(lambda v: [config({"a": v, **({"more": 1} if v == "db.local" else {})})])


def test_it_does_not_count_for_a_field_that_was_not_shown() -> None:
    """Git states it no longer, which only a dry run sees."""
    files: Files = lambda v: [config({"a": v})]  # noqa: E731 - as the other files of this page
    assert goes(files, live=config({"a": "old"}))
    assert not goes(files, live=config({"a": "old", "gone": "x"}))


def test_it_does_not_count_for_a_replacement() -> None:
    live = config({"a": "old"}, **{"kedge.dev/replace": "true"})
    files: Files = lambda v: [config({"a": v}, **{"kedge.dev/replace": "true"})]  # noqa: E731
    assert goes(files, live=live)
    shown, now = plan(opened(files), live), plan(rendered(files("new")), live, rejection="immutable", immutable=True)
    assert now[0].changes[0].act is Act.REPLACE
    agreed = carried([yes(shown[0])], shown, now)
    held = gate(Dossier(UNIT.name, UNIT, approvals=agreed), now[0], 0.0)
    assert not held.go
    assert held.waiting.endswith("; not what was approved: replace ConfigMap web/web")


def test_it_does_not_count_when_the_plan_with_the_hole_is_another_by_now() -> None:
    first: Files = lambda v: [config({"a": v, "n": 1})]  # noqa: E731
    later: Files = lambda v: [config({"a": v, "n": 2})]  # noqa: E731
    given, shown, now = plan(opened(first), None), plan(opened(later), None), plan(rendered(later("db")), None)
    agreed = carried([yes(given[0])], shown, now)
    assert not gate(Dossier(UNIT.name, UNIT, approvals=agreed), now[0], 0.0).go


def test_where_two_are_asked_each_has_to_have_agreed() -> None:
    files: Files = lambda v: [config({"a": v})]  # noqa: E731
    shown, now = plan(opened(files), None), plan(rendered(files("db")), None)
    assert now[0].needs is not None
    wanted = replace(now[0], needs=replace(now[0].needs, count=2))
    mona, pia = yes(shown[0]), replace(yes(shown[0]), person="pia")
    for approvals, go in (([mona], False), ([mona, pia], True)):
        agreed = carried(approvals, shown, (wanted, now[1]))
        assert gate(Dossier(UNIT.name, UNIT, approvals=agreed), wanted, 0.0).go is go


def test_an_approval_with_other_holes_says_nothing_of_these() -> None:
    files: Files = lambda v: [config({"a": v})]  # noqa: E731
    shown, now = plan(opened(files), None), plan(rendered(files("db")), None)
    other = replace(yes(shown[0]), holes=("shop/net.range",))
    assert carried([other], shown, now) == (other,)
