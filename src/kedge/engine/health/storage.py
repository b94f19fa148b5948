"""Volumes and their claims, and the namespaces that hold everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedge.engine.health.read import conditions, sentence, text
from kedge.model.health import Health, Status


def judge_claim(obj: Mapping[str, Any], now: float | None) -> Health:
    """A PersistentVolumeClaim: Bound, Lost, or still waiting (gitops-engine; kstatus for one without a phase)."""
    phase = text(obj, "status", "phase")
    if phase == "Bound":
        volume = text(obj, "spec", "volumeName")
        return Health(Status.HEALTHY, f"bound to volume {volume}" if volume else "bound")
    if phase == "Lost":
        return Health(Status.DEGRADED, "the volume it was bound to is gone, and its data with it")
    if phase in ("", "Pending"):
        kind = text(obj, "spec", "storageClassName")
        which = f"storage class {kind}" if kind else "its storage class"
        return Health(Status.PROGRESSING, f"not bound yet: {which} has made no volume, or waits for a first pod")
    return Health(Status.UNKNOWN, f"its phase is {phase}, which no Kubernetes release knows")


def judge_volume(obj: Mapping[str, Any], now: float | None) -> Health:
    """A PersistentVolume by its phase, as the Kubernetes API defines the phases."""
    phase = text(obj, "status", "phase")
    said = text(obj, "status", "message")
    if phase in ("Available", "Bound"):
        return Health(Status.HEALTHY, "in use by a claim" if phase == "Bound" else "free for a claim")
    if phase == "Released":
        return Health(Status.HEALTHY, "its claim is gone; the data stays until the volume is reclaimed or deleted")
    if phase == "Failed":
        return Health(Status.DEGRADED, sentence("reclaiming the volume failed", said))
    if phase in ("", "Pending"):
        return Health(Status.PROGRESSING, sentence("the volume is not available yet", said))
    return Health(Status.UNKNOWN, f"its phase is {phase}, which no Kubernetes release knows")


def judge_namespace(obj: Mapping[str, Any], now: float | None) -> Health:
    """A Namespace is there or goes; one that goes says what holds it in its conditions."""
    if text(obj, "status", "phase") != "Terminating":
        return Health(Status.HEALTHY, "the namespace is there")
    held = [condition.why for condition in conditions(obj) if condition.true and condition.why]
    return Health(Status.PROGRESSING, sentence("the namespace is being deleted", "; ".join(held[:2])))
