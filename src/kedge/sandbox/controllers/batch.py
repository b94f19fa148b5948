"""Jobs run to their end. CronJobs only stand there: a sandbox has no use for jobs by the clock."""

from __future__ import annotations

from kedge.sandbox.cluster import Cluster, epoch_of
from kedge.sandbox.controllers.making import (
    FAIL,
    asked,
    condition,
    end,
    event,
    is_active,
    is_ready,
    make_pod,
    phase_of,
    room,
)
from kedge.sandbox.store import Place, Stored
from kedge.sandbox.wire import Object

JOBS, PODS = "jobs.batch", "pods."


def job(cluster: Cluster, place: Place, stored: Stored) -> None:
    """One step of a Job."""
    status, spec = stored.obj.get("status") or {}, stored.obj["spec"]
    if stored.meta.get("deletionTimestamp"):
        return
    ended = next((item for item in status.get("conditions") or () if item["type"] in ("Complete", "Failed")), None)
    if ended is not None:
        _expire(cluster, place, stored, ended)
        return
    pods = cluster.store.owned_by(stored.uid, PODS)
    active = [pod for pod in pods if is_active(pod)]
    if spec.get("suspend"):
        _suspend(cluster, stored, active)
        return
    succeeded = sum(1 for pod in pods if phase_of(pod) == "Succeeded")
    failed = sum(1 for pod in pods if phase_of(pod) == "Failed")
    started = status.get("startTime") or cluster.stamp()
    wanted = spec.get("completions") or spec.get("parallelism", 1)
    why = _why_failed(cluster, place, stored, failed, started)
    if not why and succeeded < wanted:
        lacking = min(spec.get("parallelism", 1), wanted - succeeded) - len(active)
        for _ in range(room(cluster, place, stored, lacking)):
            active.append(make_pod(cluster, JOBS, stored))
    if why:
        for pod in active:
            end(cluster, PODS, pod)
        active = []
    made: Object = {"startTime": started, "uncountedTerminatedPods": {}, "terminating": 0}
    made["ready"] = sum(map(is_ready, active))
    for key, value in (("active", len(active)), ("succeeded", succeeded), ("failed", failed)):
        if value:
            made[key] = value
    conditions = [item for item in status.get("conditions") or () if item["type"] != "Suspended"]
    if why:
        conditions += [_told(cluster, "FailureTarget", *why), _told(cluster, "Failed", *why)]
    elif succeeded >= wanted:
        told = ("CompletionsReached", "Reached expected number of succeeded pods")
        conditions += [_told(cluster, "SuccessCriteriaMet", *told), _told(cluster, "Complete", *told)]
        made["completionTime"] = cluster.stamp()
        event(cluster, stored, "Completed", "Job completed")
    if conditions:
        made["conditions"] = conditions
    cluster.write(stored, JOBS, status=made)


def _told(cluster: Cluster, type_: str, reason: str, message: str) -> Object:
    return {**condition(cluster, (), type_, "True", reason, message), "lastProbeTime": cluster.stamp()}


def _why_failed(cluster: Cluster, place: Place, stored: Stored, failed: int, started: str) -> tuple[str, str] | None:
    spec = stored.obj["spec"]
    asked_to = (
        asked(cluster, stored, FAIL) == "JobFailed"
        or ((spec["template"].get("metadata") or {}).get("annotations") or {}).get(FAIL) == "JobFailed"
    )
    if failed > spec.get("backoffLimit", 6) or (failed and asked_to):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    limit = spec.get("activeDeadlineSeconds")
    if limit is not None:
        left = epoch_of(started) + limit - cluster.now()
        if left <= 0:
            return "DeadlineExceeded", "Job was active longer than specified deadline"
        cluster.wake(place, left)
    return None


def _suspend(cluster: Cluster, stored: Stored, active: list[Stored]) -> None:
    for pod in active:
        end(cluster, PODS, pod)
    before = (stored.obj.get("status") or {}).get("conditions")
    told = condition(cluster, before, "Suspended", "True", "JobSuspended", "Job suspended")
    told.setdefault("lastProbeTime", told["lastTransitionTime"])
    cluster.write(
        stored, JOBS, status={"ready": 0, "terminating": 0, "uncountedTerminatedPods": {}, "conditions": [told]}
    )


def _expire(cluster: Cluster, place: Place, stored: Stored, ended: Object) -> None:
    keep = stored.obj["spec"].get("ttlSecondsAfterFinished")
    if keep is None:
        return
    left = epoch_of(ended["lastTransitionTime"]) + keep - cluster.now()
    if left <= 0:
        end(cluster, JOBS, stored)
    else:
        cluster.wake(place, left)
