"""What a saved plan shows: changes, and what others have changed and nobody has to change back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kedge.model.errors import Invalid
from kedge.targets.opentofu.shown import shown_of


def _entry(address: str, *actions: str, **more: Any) -> dict[str, Any]:
    kind = address.split(".")[0]
    return {"address": address, "type": kind, "mode": "managed", "change": {"actions": list(actions)}, **more}


def _plan(**parts: Any) -> bytes:
    return json.dumps({"format_version": "1.2", **parts}).encode()


def test_what_others_changed_and_nothing_changes_back_is_cosmetic() -> None:
    drift = [_entry("aws_iam_role.reader", "update"), _entry("aws_sqs_queue.jobs", "update")]
    still = [_entry("aws_iam_role.reader", "no-op"), _entry("aws_sqs_queue.jobs", "no-op")]
    found = shown_of(_plan(resource_drift=drift, resource_changes=still), None)
    assert (found.pairs, found.cosmetic) == ((), ("aws_iam_role.reader", "aws_sqs_queue.jobs"))


def test_what_is_changed_back_is_drift_and_says_that_it_was_changed_outside() -> None:
    drift = [_entry("aws_iam_role.reader", "update"), _entry("aws_sqs_queue.jobs", "update")]
    changes = [_entry("aws_sqs_queue.jobs", "update"), _entry("aws_s3_bucket.a", "update")]
    found = shown_of(_plan(resource_drift=drift, resource_changes=changes), None)
    assert [(pair.ref.name, pair.outside) for pair in found.pairs] == [
        ("aws_s3_bucket.a", False),
        ("aws_sqs_queue.jobs", True),
    ]
    assert found.cosmetic == ("aws_iam_role.reader",)


def test_what_a_change_reads_is_not_cosmetic() -> None:
    found = shown_of(
        _plan(
            resource_drift=[_entry("aws_sqs_queue.jobs", "update")],
            output_changes={"address": {"actions": ["update"], "before": "a", "after": "b"}},
            relevant_attributes=[{"resource": "aws_sqs_queue.jobs", "attribute": ["url"]}],
        ),
        None,
    )
    assert ([pair.ref.name for pair in found.pairs], found.cosmetic) == (["output.address"], ())


def test_what_was_destroyed_outside_and_is_made_anew_says_so() -> None:
    gone = _plan(
        resource_drift=[_entry("aws_iam_role.reader", "delete")],
        resource_changes=[_entry("aws_iam_role.reader", "create")],
    )
    (pair,) = shown_of(gone, None).pairs
    assert (pair.actions, pair.outside) == (("create",), True)


@pytest.mark.parametrize("drift", ["text", [1], [{}], [{"address": "a"}], {"a": 1}])
def test_drift_of_another_shape_is_no_plan(drift: Any) -> None:
    with pytest.raises(Invalid, match="can not be read"):
        shown_of(_plan(resource_drift=drift), None)


def _check(name: str, status: str, *messages: str) -> dict[str, Any]:
    problems = [{"message": text} for text in messages]
    address = {"kind": "check", "to_display": f"check.{name}"}
    return {
        "address": address,
        "status": status,
        "instances": [{"address": address, "status": status, "problems": problems}],
    }


def test_a_check_that_does_not_hold_and_what_the_tool_warns_of_are_told_once() -> None:
    """Checks of the code's own were in nothing that anybody was shown."""
    checks = [_check("small", "fail", "the net\nis large"), _check("new", "fail", "it is old"), _check("good", "pass")]
    said = ("warning: main.tf line 8: Check block assertion failed: it is old", "an error is no warning")
    found = shown_of(
        _plan(checks=[*checks, _check("later", "unknown"), _check("odd", "error"), _check("mute", "fail")]), None, said
    )
    assert found.warned == (
        "check.small: the net is large",
        "check.odd: it could not be evaluated",
        "check.mute: it does not hold",
        "main.tf line 8: Check block assertion failed: it is old",
    )


@pytest.mark.parametrize("checks", ["text", [1], [{"instances": [1]}], [{"instances": [{"status": "fail"}]}], {"a": 1}])
def test_checks_of_another_shape_are_no_plan(checks: Any) -> None:
    with pytest.raises(Invalid, match="can not be read"):
        shown_of(_plan(checks=checks), None)
