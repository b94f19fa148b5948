"""A stack's resource, as a plan says what would become of it, and the effect that an approval is bound to."""

from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.diff import diff
from kedge.model.change import Act, Change, FieldAct
from kedge.model.pair import Planned
from kedge.model.ref import STACKS, Ref

KEY = b"key"
DISK = Ref(STACKS, "aws_ebs_volume", "", "aws_ebs_volume.data[0]")


def changed(actions: tuple[str, ...], before: Any = None, after: Any = None, **more: Any) -> Change:
    found = diff(Planned(DISK, None, actions, before, after, **more), KEY)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("actions", "act"),
    [
        (("create",), Act.CREATE),
        (("update",), Act.UPDATE),
        (("delete",), Act.DELETE),
        (("delete", "create"), Act.REPLACE),
        (("create", "delete"), Act.REPLACE),
        (("forget",), Act.FORGET),
    ],
)
def test_the_words_of_the_tool_are_acts(actions: tuple[str, ...], act: Act) -> None:
    assert changed(actions, {"a": 1}, {"a": 2}).act is act
    assert str(changed(actions, {"a": 1}, {"a": 2}).ref) == "aws_ebs_volume.data[0]"


@pytest.mark.parametrize("actions", [("no-op",), ("read",), ("open",)])
def test_what_stays_or_is_only_read_is_no_change(actions: tuple[str, ...]) -> None:
    assert diff(Planned(DISK, None, actions, {"a": 1}, {"a": 1}), KEY) is None


def test_attributes_are_told_one_by_one() -> None:
    before = {"size": 10, "tags": {"a": "1", "b": "2"}, "zones": ["a", "b"], "same": True, "gone": "x"}
    after = {"size": 20, "tags": {"a": "1", "b": "3"}, "zones": ["a", "c"], "same": True, "new": None}
    fields = {
        field.path: (field.act, field.before, field.after) for field in changed(("update",), before, after).fields
    }
    assert fields == {
        "size": (FieldAct.CHANGE, "10", "20"),
        "tags.b": (FieldAct.CHANGE, '"2"', '"3"'),
        "zones[1]": (FieldAct.CHANGE, '"b"', '"c"'),
        "gone": (FieldAct.LOSE, '"x"', ""),
    }


def test_what_is_known_after_the_apply_only_says_so() -> None:
    found = changed(("create",), None, {"size": 1}, unknown={"id": True, "nested": {"arn": True}})
    assert {field.path: field.after for field in found.fields} == {
        "size": "1",
        "id": "(known after apply)",
        "nested": "(known after apply)",
    }


def test_a_sensitive_value_is_never_shown_and_still_decides_the_effect() -> None:
    one = changed(("update",), {"password": "old"}, {"password": "hunter2"}, secret_after={"password": True})
    two = changed(("update",), {"password": "old"}, {"password": "hunter3"}, secret_after={"password": True})
    assert "hunter" not in repr(one)
    assert "old" not in one.fields[0].before
    assert one.effect != two.effect


def test_a_whole_value_that_is_sensitive_is_not_looked_into() -> None:
    found = changed(("update",), {"a": 1}, {"a": 2}, secret_before=True)
    assert [(field.path, "1" in field.before) for field in found.fields] == [("", False)]


def test_equal_plans_have_equal_effects_and_any_other_has_another() -> None:
    plain = {"actions": ("update",), "before": {"a": 1}, "after": {"a": 2}}
    same = changed(**plain).effect
    assert same == changed(**plain).effect
    others = [
        {**plain, "after": {"a": 3}},
        {**plain, "before": {"a": 0}},
        {**plain, "actions": ("delete", "create")},
        {**plain, "replaces": ("a",)},
        {**plain, "unknown": {"b": True}},
        {**plain, "previous": "aws_ebs_volume.old"},
        {**plain, "importing": "vol-1"},
    ]
    effects = [changed(**other).effect for other in others]
    assert len({same, *effects}) == len(others) + 1


def test_a_replacement_says_what_forces_it() -> None:
    found = changed(("delete", "create"), {"zone": "a"}, {"zone": "b"}, replaces=("zone",))
    assert found.why == "zone can not be changed in place"
    tainted = changed(("delete", "create"), {}, {}, why="replace_because_tainted")
    assert tainted.why == "it was left half made by an apply that failed"


def test_a_move_and_an_import_are_changes_of_the_state() -> None:
    assert changed(("no-op",), {"a": 1}, {"a": 1}, previous="x.old").why == "moved from x.old"
    assert changed(("no-op",), {"a": 1}, {"a": 1}, importing="vol-1").why == "imported as vol-1"
