"""Workloads that keep pods running: Deployment, ReplicaSet, ReplicationController, StatefulSet, DaemonSet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedge.engine.health.read import conditions, count, field, find, flag, sentence, text, whole
from kedge.model.health import Health, Status

NO_DEADLINE = 2**31 - 1  # with this value of progressDeadlineSeconds the controller reports no progress at all


def judge_deployment(obj: Mapping[str, Any], now: float | None) -> Health:
    """A Deployment: paused, past its deadline (gitops-engine), then pods and conditions (kstatus).

    kstatus asks for the Progressing condition only where a deadline is set, since the controller writes it only then.
    """
    found = conditions(obj)
    progress, available = find(found, "Progressing"), find(found, "Available")
    failure = find(found, "ReplicaFailure")
    refused = failure.message if failure is not None and failure.true else ""
    if progress is not None and progress.reason == "ProgressDeadlineExceeded":
        why = refused or progress.message
        return Health(Status.DEGRADED, sentence("the rollout made no progress before its deadline", why))
    wanted = count(obj, "spec", "replicas", default=1)
    have, updated, ready, able = _status(obj, "replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    if updated < wanted:
        return _waiting(f"{_pods(wanted - updated, wanted)} not updated to the new revision yet", refused)
    if have > wanted:
        return _waiting(f"{_pods(have - wanted, have)} of an old revision or scale still to be removed")
    if (unready := wanted - min(have, able, ready)) > 0:
        return _waiting(f"{_pods(unready, wanted)} not available", refused or _look("Pods"))
    if _watches_progress(obj) and not (progress and progress.true and progress.reason == "NewReplicaSetAvailable"):
        return _waiting("the new replica set is not reported available", progress.why if progress else "")
    if available is None or not available.true:
        return _waiting("the deployment is not reported available", available.why if available else "")
    return Health(Status.HEALTHY, _all(wanted, "available"))


def judge_replica_set(obj: Mapping[str, Any], now: float | None) -> Health:
    """A ReplicaSet or ReplicationController: pods that cannot be made (gitops-engine), then counts (kstatus)."""
    failure = find(conditions(obj), "ReplicaFailure")
    if failure is not None and failure.true:
        return Health(Status.DEGRADED, sentence("pods cannot be created", failure.why))
    wanted = count(obj, "spec", "replicas", default=1)
    have, labelled, ready, able = _status(obj, "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    if (missing := wanted - min(labelled, ready, able)) > 0:
        return _waiting(f"{_pods(missing, wanted)} not available", _look("Pods"))
    if have > wanted:
        return _waiting(f"{_pods(have - wanted, have)} still to be removed")
    return Health(Status.HEALTHY, _all(wanted, "available"))


def judge_stateful_set(obj: Mapping[str, Any], now: float | None) -> Health:
    """A StatefulSet: observed, ready, no extra pods, then its update strategy (gitops-engine and kstatus agree).

    A partition asks only for the pods from that ordinal on; OnDelete leaves the update to a person.
    """
    if not whole(obj, "status", "observedGeneration"):
        return _unobserved(obj)
    wanted = count(obj, "spec", "replicas", default=1)
    have, ready = _status(obj, "replicas", "readyReplicas")
    if ready < wanted:
        return _waiting(f"{_pods(wanted - ready, wanted)} not ready", _look("Pods and PersistentVolumeClaims"))
    if have > wanted:
        return _waiting(f"{_pods(have - wanted, have)} still to be removed")
    if text(obj, "spec", "updateStrategy", "type") == "OnDelete":
        return Health(Status.HEALTHY, f"{_all(wanted, 'ready')}; updates wait until pods are deleted (OnDelete)")
    return _stateful_rollout(obj, wanted)


def _stateful_rollout(obj: Mapping[str, Any], wanted: int) -> Health:
    updated, current = _status(obj, "updatedReplicas", "currentReplicas")
    partition = whole(obj, "spec", "updateStrategy", "rollingUpdate", "partition")
    if partition is not None:
        share = max(wanted - max(partition, 0), 0)
        if updated < share:
            return _waiting(f"{_pods(share - updated, share)} from ordinal {partition} on not updated yet")
        held = f"; pods below ordinal {partition} keep the old revision" if partition > 0 else ""
        return Health(Status.HEALTHY, _all(wanted, "ready") + held)
    if isinstance(field(obj, "spec", "updateStrategy", "rollingUpdate"), Mapping):
        # A block without a partition is what older servers stored for a finished default; ready pods decide.
        return Health(Status.HEALTHY, _all(wanted, "ready"))
    if current < wanted:
        return _waiting(f"{_pods(wanted - current, wanted)} not at the current revision yet")
    if text(obj, "status", "currentRevision") != text(obj, "status", "updateRevision"):
        return _waiting("the rolling update is not finished", f"{updated} of {wanted} pods are updated")
    return Health(Status.HEALTHY, _all(wanted, "ready"))


def judge_daemon_set(obj: Mapping[str, Any], now: float | None) -> Health:
    """A DaemonSet: the controller must have looked (kstatus), then scheduled, updated, available.

    OnDelete leaves the update to a person (gitops-engine), but its pods must still be available.
    """
    wanted = whole(obj, "status", "desiredNumberScheduled")
    if wanted is None or whole(obj, "status", "observedGeneration") is None:
        return _unobserved(obj)
    placed, updated = _status(obj, "currentNumberScheduled", "updatedNumberScheduled")
    able, ready = _status(obj, "numberAvailable", "numberReady")
    by_hand = text(obj, "spec", "updateStrategy", "type") == "OnDelete"
    if placed < wanted:
        return _waiting(f"{_pods(wanted - placed, wanted)} not scheduled yet")
    if updated < wanted and not by_hand:
        return _waiting(f"{_pods(wanted - updated, wanted)} not updated yet")
    if (missing := wanted - min(able, ready)) > 0:
        return _waiting(f"{_pods(missing, wanted)} not available", _look("Pods"))
    return Health(Status.HEALTHY, _all(wanted, "available"))


def suspended_deployment(obj: Mapping[str, Any]) -> Health | None:
    """A paused Deployment is Suspended before anything else is asked, as in gitops-engine."""
    if not flag(obj, "spec", "paused"):
        return None
    return Health(Status.SUSPENDED, "the deployment is paused: changes are not rolled out until spec.paused is false")


def _watches_progress(obj: Mapping[str, Any]) -> bool:
    deadline = whole(obj, "spec", "progressDeadlineSeconds")
    return deadline is not None and deadline != NO_DEADLINE


def _unobserved(obj: Mapping[str, Any]) -> Health:
    return _waiting(f"the {text(obj, 'kind')} controller has not looked at it yet")


def _status(obj: Mapping[str, Any], *names: str) -> list[int]:
    return [count(obj, "status", name) for name in names]


def _waiting(what: str, why: str = "") -> Health:
    return Health(Status.PROGRESSING, sentence(what, why))


def _pods(some: int, total: int) -> str:
    verb = "is" if some == 1 else "are"
    return f"{some} of {total} {'pod' if total == 1 else 'pods'} {verb}"


def _all(total: int, how: str) -> str:
    if total == 0:
        return "no pods are wanted"
    return f"its one pod is {how}" if total == 1 else f"all {total} pods are {how}"


def _look(where: str) -> str:
    return f"look at its {where}"
