"""The deletion guard: what a person must agree to first."""

from __future__ import annotations

import pytest

from kedge.model.change import Act, Change
from kedge.model.pair import Along
from kedge.model.ref import Ref
from kedge.policy.guard import destructive, taken_along


def deletions(count: int, kind: str = "ConfigMap", **more: bool) -> list[Change]:
    return [Change(Ref("", kind, "web", f"n{place}"), Act.DELETE, **more) for place in range(count)]  # type: ignore[arg-type]


def judged(changes: list[Change], owned: int, *, removal: bool = False, empty: bool = False) -> tuple[str, ...]:
    return destructive(changes, owned, removal=removal, empty=empty)


def test_updating_and_creating_destroys_nothing() -> None:
    refs = [Ref("apps", "StatefulSet", "web", "db"), Ref("", "Namespace", "", "web")]
    assert judged([Change(ref, act) for ref in refs for act in (Act.UPDATE, Act.CREATE)], 2) == ()


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        ("apps", "StatefulSet"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ],
)
def test_deleting_what_holds_other_things_is_destructive(group: str, kind: str) -> None:
    (sentence,) = judged([Change(Ref(group, kind, "", "x"), Act.DELETE)], 100)
    assert kind in sentence


def test_a_kind_of_the_same_name_in_another_group_is_not_precious() -> None:
    assert judged([Change(Ref("example.com", "StatefulSet", "web", "x"), Act.DELETE)], 100) == ()


def test_any_replacement_is_destructive() -> None:
    (sentence,) = judged([Change(Ref("batch", "Job", "web", "x"), Act.REPLACE)], 100)
    assert sentence == "batch/Job web/x is deleted and created anew"


@pytest.mark.parametrize(("deleted", "owned", "held"), [(5, 10, False), (6, 30, False), (6, 29, True), (7, 30, True)])
def test_pruning_is_destructive_beyond_five_objects_and_a_fifth(deleted: int, owned: int, held: bool) -> None:
    assert bool(judged(deletions(deleted), owned)) is held


def test_names_with_a_content_hash_do_not_count() -> None:
    assert judged(deletions(20, generated=True), 21) == ()
    assert judged([*deletions(3), *deletions(20, generated=True)], 24) == ()


def test_deleting_everything_is_destructive_however_little_it_is() -> None:
    assert judged(deletions(1), 1) == ("everything the unit has is deleted: 1 object",)


def test_the_only_object_may_change_its_hash() -> None:
    assert judged(deletions(1, generated=True), 1) == ()


def test_an_empty_set_and_a_removal_are_always_told() -> None:
    assert judged([], 0, empty=True) == ("the rendered set is empty: everything would be deleted",)
    assert judged(deletions(2), 2, removal=True) == ("the whole unit is removed: 2 objects deleted",)


OTHERS = Along(2, 7, (Ref("", "PersistentVolumeClaim", "web", "data"), Ref("", "ConfigMap", "web", "theirs")))


def taking(along: Along, kind: str = "Database", group: str = "example.com") -> Change:
    return Change(Ref(group, kind, "web", "main"), Act.DELETE, along=along)


def test_what_a_namespace_takes_with_it_is_counted_and_named() -> None:
    (sentence,) = judged([Change(Ref("", "Namespace", "", "web"), Act.DELETE, along=OTHERS)], 100)
    assert sentence == (
        "Namespace web is deleted, with everything in it: 7 objects beside the unit's own "
        "(PersistentVolumeClaim web/data, ConfigMap web/theirs and 5 more)"
    )
    alone = Change(Ref("", "Namespace", "", "web"), Act.DELETE, along=Along(3, why="pods can not be listed"))
    (sentence,) = judged([alone], 100)
    assert sentence.endswith("with everything in it: nothing beside the unit's own, 3 objects; pods can not be listed")


def test_a_deletion_that_takes_data_with_it_is_destructive() -> None:
    (sentence,) = judged([taking(Along(0, 1, OTHERS.named[:1]))], 100)
    assert "example.com/Database web/main is deleted, and what it owns with it" in sentence
    assert judged([taking(Along(0, 1, OTHERS.named[1:]))], 100) == ()


@pytest.mark.parametrize(("along", "held"), [(4, False), (5, True)])
def test_what_goes_along_counts_as_deleted(along: int, held: bool) -> None:
    found = judged([taking(Along(0, along, OTHERS.named[1:]))], 10)
    assert found == (("1 of 10 objects are deleted, and 5 objects with them",) if held else ())


def test_others_objects_are_asked_about_where_a_whole_unit_goes() -> None:
    space = Change(Ref("", "Namespace", "", "web"), Act.DELETE, along=OTHERS)
    assert len(taken_along([space, *deletions(3)])) == 1
    assert taken_along([Change(space.ref, Act.DELETE, along=Along(2)), *deletions(3)]) == ()
