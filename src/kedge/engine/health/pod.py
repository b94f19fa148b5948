"""Pods: containers, restart policies, scheduling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kedge.engine.health.read import (
    conditions,
    count,
    find,
    flag,
    listed,
    mapping,
    mappings,
    seconds,
    sentence,
    text,
    whole,
)
from kedge.model.health import Health, Status

IGNORE_RESTART_POLICY = "argocd.argoproj.io/ignore-restart-policy"
SCHEDULE_WINDOW = 15.0  # seconds a new pod may wait for a node before that is a failure (kstatus)


def judge_pod(obj: Mapping[str, Any], now: float | None) -> Health:
    """A Pod, by gitops-engine's order of questions, with kstatus's rule for pods that find no node.

    A pod that restarts always is there to serve: healthy when Ready, degraded when a container cannot start or has
    died. Any other pod is there to finish: progressing until it has, whatever its containers do meanwhile (they are
    often hooks, and a late success must not come after a reported failure).
    """
    serves = _serves(obj)
    if serves and (stuck := _stuck(obj)):
        return Health(Status.DEGRADED, stuck)
    phase = text(obj, "status", "phase")
    if phase == "Running":
        return _running(obj, serves)
    if phase == "Pending":
        return _pending(obj, now)
    if phase == "Succeeded":
        return Health(Status.HEALTHY, sentence("the pod has completed", text(obj, "status", "message")))
    if phase == "Failed":
        return Health(Status.DEGRADED, sentence("the pod has failed", _why_failed(obj)))
    if not phase:
        return Health(Status.PROGRESSING, "no scheduler or kubelet has reported on the pod yet")
    return Health(Status.UNKNOWN, sentence(f"the pod's phase is {phase}; its node may be lost", _own_words(obj)))


def _serves(obj: Mapping[str, Any]) -> bool:
    policy = text(obj, "spec", "restartPolicy") or "Always"
    return policy == "Always" or flag(obj, "metadata", "annotations", IGNORE_RESTART_POLICY)


def _running(obj: Mapping[str, Any], serves: bool) -> Health:
    if not serves:
        return Health(Status.PROGRESSING, sentence("the pod runs to its end", _waiting(obj) or _own_words(obj)))
    ready = find(conditions(obj), "Ready")
    if ready is not None and ready.true:
        return Health(Status.HEALTHY, "the pod is ready")
    died = [name for name, entry in _containers(obj) if mapping(entry, "lastState", "terminated")]
    if died:
        last = [_ended(name, mapping(entry, "lastState", "terminated")) for name, entry in _containers(obj)]
        return Health(Status.DEGRADED, sentence("the pod is not ready and was restarted", listed(filter(None, last))))
    names = listed(name for name, entry in _containers(obj) if not flag(entry, "ready"))
    which = f"waiting for containers to become ready ({names}); look at their readiness probes and logs"
    plain = "the pod is running but not ready"
    return Health(Status.PROGRESSING, which if names else sentence(plain, ready.why if ready else ""))


def _pending(obj: Mapping[str, Any], now: float | None) -> Health:
    """Unschedulable for longer than SCHEDULE_WINDOW since creation is a failure, as in kstatus."""
    scheduled = find(conditions(obj), "PodScheduled")
    if scheduled is not None and scheduled.false and scheduled.reason == "Unschedulable":
        created = seconds(obj, "metadata", "creationTimestamp")
        if now is not None and created is not None and now - created < SCHEDULE_WINDOW:
            return Health(Status.PROGRESSING, sentence("no node takes the pod yet", scheduled.message))
        return Health(Status.DEGRADED, sentence("no node can take the pod", scheduled.message))
    return Health(Status.PROGRESSING, sentence("the pod is being started", _waiting(obj) or _own_words(obj)))


def _stuck(obj: Mapping[str, Any]) -> str:
    """Containers that cannot start or keep dying, by the reasons the kubelet gives (gitops-engine's patterns).

    Init containers count as well: a pod whose init container cannot start will never be ready.
    """
    told = []
    for name, entry in _containers(obj, with_init=True):
        reason = text(entry, "state", "waiting", "reason")
        if _is_failure(reason):
            restarts = whole(entry, "restartCount")
            again = f" after {restarts} restarts" if restarts else ""
            told.append(sentence(f"container {name} is in {reason}{again}", _last_words(entry)))
    return "; ".join(told[:3]) + (f"; and {len(told) - 3} more" if len(told) > 3 else "")


def _is_failure(reason: str) -> bool:
    return reason.startswith(("Err", "Invalid")) or reason.endswith(("Error", "BackOff"))


def _waiting(obj: Mapping[str, Any]) -> str:
    told = []
    for name, entry in _containers(obj, with_init=True):
        if reason := text(entry, "state", "waiting", "reason"):
            told.append(sentence(f"container {name} waits in {reason}", text(entry, "state", "waiting", "message")))
    return listed(told, limit=2)


def _why_failed(obj: Mapping[str, Any]) -> str:
    if said := _own_words(obj):
        return said
    ended = (_ended(name, mapping(entry, "state", "terminated")) for name, entry in _containers(obj, with_init=True))
    return next(filter(None, ended), "")


def _ended(name: str, terminated: Mapping[str, Any]) -> str:
    """How a container ended, or "" where it ended well or has not ended."""
    code = count(terminated, "exitCode")
    reason = text(terminated, "reason")
    if not terminated or (code == 0 and reason in ("", "Completed")):
        return ""
    how = f"container {name} ended with exit code {code}"
    detail = text(terminated, "message") or (reason if reason != "Error" else "")
    return sentence(how, detail)


def _last_words(entry: Mapping[str, Any]) -> str:
    waited = text(entry, "state", "waiting", "message")
    died = mapping(entry, "lastState", "terminated")
    code = whole(died, "exitCode")
    if code is None:
        return waited
    reason = text(died, "reason")
    return sentence(f"last exit code {code}" + (f" ({reason})" if reason else ""), text(died, "message") or waited)


def _own_words(obj: Mapping[str, Any]) -> str:
    return text(obj, "status", "message") or text(obj, "status", "reason")


def _containers(obj: Mapping[str, Any], *, with_init: bool = False) -> Iterable[tuple[str, Mapping[str, Any]]]:
    lists = ("initContainerStatuses", "containerStatuses") if with_init else ("containerStatuses",)
    for name in lists:
        for entry in mappings(obj, "status", name):
            yield text(entry, "name") or "without a name", entry
