from __future__ import annotations

import json
from typing import Any

import pytest

from kedge.engine.health import judge
from kedge.engine.health.scaling import V1_CONDITIONS, V1_LIMIT
from kedge.model.health import Status


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def autoscaler(*conditions: dict[str, str], version: str = "v2") -> dict[str, Any]:
    status = {"currentReplicas": 2, "desiredReplicas": 3, "conditions": list(conditions)}
    return {"apiVersion": f"autoscaling/{version}", "kind": "HorizontalPodAutoscaler", "status": status}


def old_autoscaler(note: str) -> dict[str, Any]:
    metadata = {"annotations": {V1_CONDITIONS: note}}
    return {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": metadata}


ABLE = condition("AbleToScale", "True", "ReadyForNewScale")
BLIND = condition("ScalingActive", "False", "FailedGetResourceMetric", "no metrics returned")


def test_an_autoscaler_that_can_scale_is_healthy_and_tells_its_numbers() -> None:
    health = judge(autoscaler(ABLE))

    assert health == judge(autoscaler(ABLE, condition("ScalingLimited", "False", "DesiredWithinRange")))
    assert health.status is Status.HEALTHY
    assert health.message.startswith("at 2 replicas, 3 desired")


def test_an_autoscaler_without_metrics_is_degraded_even_if_it_could_scale() -> None:
    health = judge(autoscaler(ABLE, BLIND))

    assert health.status is Status.DEGRADED
    assert "no metrics returned" in health.message


def test_an_autoscaler_switched_off_by_zero_replicas_is_not_broken() -> None:
    assert judge(autoscaler(ABLE, condition("ScalingActive", "False", "ScalingDisabled"))).status is Status.HEALTHY


def test_an_autoscaler_that_has_decided_nothing_is_progressing() -> None:
    assert judge(autoscaler()).status is Status.PROGRESSING


def test_the_first_version_keeps_its_conditions_in_an_annotation() -> None:
    assert judge(old_autoscaler(json.dumps([ABLE]))).status is Status.HEALTHY
    assert judge(old_autoscaler(json.dumps([ABLE, BLIND]))).status is Status.DEGRADED


@pytest.mark.parametrize(
    "note", ["", "{", "[" * 60_000, json.dumps([ABLE]) + " " * V1_LIMIT, '{"type": 1}', "1" * 9_000]
)
def test_an_unreadable_annotation_says_nothing(note: str) -> None:
    assert judge(old_autoscaler(note)).status is Status.PROGRESSING


def budget(status: Any) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"generation": 1}, "status": status}


def test_a_budget_waits_for_the_disruption_controller() -> None:
    assert judge(budget(None)).status is Status.PROGRESSING


def test_a_computed_budget_is_healthy_whatever_it_allows() -> None:
    counts = {"observedGeneration": 1, "currentHealthy": 2, "desiredHealthy": 2}
    tight = judge(budget({**counts, "disruptionsAllowed": 0}))

    assert tight.status is Status.HEALTHY
    assert tight.message == "no pod may be evicted now: 2 healthy, 2 needed"
    assert judge(budget({**counts, "disruptionsAllowed": 1})).status is Status.HEALTHY


def test_a_budget_that_cannot_be_computed_is_degraded() -> None:
    failed = condition("DisruptionAllowed", "False", "SyncFailed", "found no controllers for pod")

    assert judge(budget({"conditions": [failed]})).status is Status.DEGRADED
