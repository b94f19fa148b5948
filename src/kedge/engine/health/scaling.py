"""HorizontalPodAutoscaler and PodDisruptionBudget."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kedge.engine.health.read import Condition, conditions, count, field, find, sentence, whole
from kedge.model.health import Health, Status

V1_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
V1_LIMIT = 65_536  # characters of the annotation that are parsed; four conditions take about two thousand

_BROKEN = ("Failed", "Invalid")  # how the controller begins the reason of every condition it could not fulfil


def judge_autoscaler(obj: Mapping[str, Any], now: float | None) -> Health:
    """A HorizontalPodAutoscaler (gitops-engine): a failed reason is degraded whatever the condition's status says.

    autoscaling/v1 keeps its conditions in an annotation. Able to scale, or scaling at a limit, is healthy.
    """
    found = conditions(obj) or _v1_conditions(obj)
    for condition in found:
        if condition.type in ("AbleToScale", "ScalingActive") and condition.reason.startswith(_BROKEN):
            return Health(Status.DEGRADED, sentence(f"it cannot scale ({condition.reason})", condition.message))
    able = next((c for c in found if c.type in ("AbleToScale", "ScalingLimited") and c.true), None)
    if able is None:
        asked = find(found, "AbleToScale")
        return Health(Status.PROGRESSING, sentence("waiting for a first decision", asked.why if asked else ""))
    now_at, wanted = count(obj, "status", "currentReplicas"), count(obj, "status", "desiredReplicas")
    return Health(Status.HEALTHY, sentence(f"at {now_at} replicas, {wanted} desired", able.message))


def judge_disruption_budget(obj: Mapping[str, Any], now: float | None) -> Health:
    """A PodDisruptionBudget: computed is healthy, whatever the result (kstatus); a failed computation is degraded.

    Until the controller has written any status there is no budget to rely on (Argo CD).
    """
    if not isinstance(field(obj, "status"), Mapping):
        return Health(Status.PROGRESSING, "the disruption controller has not looked at it yet")
    failed = next((c for c in conditions(obj) if c.type == "DisruptionAllowed" and c.reason == "SyncFailed"), None)
    if failed is not None:
        return Health(Status.DEGRADED, sentence("allowed disruptions cannot be computed", failed.message))
    allowed = whole(obj, "status", "disruptionsAllowed")
    able, wanted = count(obj, "status", "currentHealthy"), count(obj, "status", "desiredHealthy")
    if not allowed:
        return Health(Status.HEALTHY, f"no pod may be evicted now: {able} healthy, {wanted} needed")
    return Health(Status.HEALTHY, f"{allowed} pods may be evicted: {able} healthy, {wanted} needed")


def _v1_conditions(obj: Mapping[str, Any]) -> tuple[Condition, ...]:
    note = field(obj, "metadata", "annotations", V1_CONDITIONS)
    if not isinstance(note, str) or len(note) > V1_LIMIT:
        return ()
    try:
        return conditions({"conditions": json.loads(note)}, "conditions")
    except (ValueError, RecursionError):
        return ()
