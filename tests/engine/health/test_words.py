from __future__ import annotations

import pytest

from kedge.engine.health.words import is_moving, is_negative, prose_tells_failure, tells_failure, words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("UpdateFailed", ("update", "failed")),
        ("ErrImagePull", ("err", "image", "pull")),
        ("ACK.Terminal", ("ack", "terminal")),
        ("in-progress", ("in", "progress")),
        ("EKSControlPlaneReady", ("eks", "control", "plane", "ready")),
        ("UP_TO_DATE", ("up", "to", "date")),
        ("", ()),
        ("…", ()),
    ],
)
def test_every_spelling_splits_into_the_same_words(name: str, expected: tuple[str, ...]) -> None:
    assert words(name) == expected


@pytest.mark.parametrize("reason", ["NoErrors", "NotFailed", "WithoutErrors", "Ready", "NotReady", "Default", "Terror"])
def test_denied_failures_and_other_words_are_no_failure(reason: str) -> None:
    assert not tells_failure(reason)


@pytest.mark.parametrize("kind", ["NoErrors", "NoConflicts", "Ready", "Valid", "FailedOver"])
def test_good_types_are_not_taken_for_bad_ones(kind: str) -> None:
    assert not is_negative(kind)


def test_moving_types_are_verbs_of_work() -> None:
    assert is_moving("Reconciling")
    assert is_moving("EKSControlPlaneUpdating")
    assert is_moving("Running")
    assert not is_moving("RunningLate")


def test_prose_is_read_by_whole_words() -> None:
    assert prose_tells_failure("Secret not found")
    assert not prose_tells_failure("terrors and unfailing work")
