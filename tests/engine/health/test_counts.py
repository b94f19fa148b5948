from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.health.counts import judge_counts
from kedge.model.health import Status


def counted(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"replicas": 3, **spec}, "status": status}


@pytest.mark.parametrize("name", ["readyReplicas", "availableReplicas", "updatedReplicas"])
def test_too_few_replicas_are_progressing(name: str) -> None:
    found = judge_counts(counted({name: 2}))

    assert found is not None
    assert found.status is Status.PROGRESSING
    assert found.message.startswith("2 of 3 replicas are")
    assert judge_counts(counted({name: 3})) is None


@pytest.mark.parametrize(
    "spec", [{"updateStrategy": {"partition": 2}}, {"updateStrategy": {"type": "OnDelete"}}, {"replicas": None}]
)
def test_replicas_that_wait_for_an_update_on_purpose_are_not_missing(spec: dict[str, Any]) -> None:
    assert judge_counts(counted({"updatedReplicas": 1}, **spec)) is None


def test_a_fraction_is_read_as_kubectl_prints_it() -> None:
    found = judge_counts({"status": {"scale": {"statusReplicas": "1/3"}}})

    assert found is not None
    assert "1 of 3" in found.message
    assert judge_counts({"status": {"ready": "3/3", "path": "/1/2", "n": "1/3/4"}}) is None


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"keyspaces": {"a": {"desiredShards": 2, "readyShards": 1}}}, "status.keyspaces.a.readyShards: 1 of 2"),
        ({"availableNodes": 2, "expectedNodes": 3}, "status.availableNodes: 2 of 3"),
        ({"readyInstances": 1}, "status.readyInstances: 1 of 4"),
        ({"instances": 1}, "status.instances: 1 of 4"),
    ],
)
def test_what_is_ready_is_counted_against_what_is_wanted(status: dict[str, Any], told: str) -> None:
    found = judge_counts({"spec": {"instances": 4}, "status": status})

    assert found is not None
    assert found.message == told


def test_numbers_that_are_no_such_pair_say_nothing() -> None:
    assert judge_counts({"spec": {"nodes": 3}, "status": {"readyNodes": 3, "ready": 1, "desired": "x"}}) is None
