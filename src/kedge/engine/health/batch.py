"""Work that ends: Job, CronJob, Workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedge.engine.health.read import conditions, count, find, flag, mappings, seconds, sentence, text
from kedge.model.health import Health, Status

_WORKFLOW = {"Succeeded": Status.HEALTHY, "Failed": Status.DEGRADED, "Error": Status.DEGRADED}


def judge_job(obj: Mapping[str, Any], now: float | None) -> Health:
    """A Job: its conditions decide; a job that runs is progressing (gitops-engine).

    kstatus calls a started job current, since it asks whether the controller has caught up; a change that waits for
    a migration must wait for its end.
    """
    found = conditions(obj)
    failed, complete, suspended = (find(found, kind) for kind in ("Failed", "Complete", "Suspended"))
    done, active, broken = (count(obj, "status", name) for name in ("succeeded", "active", "failed"))
    if failed is not None and failed.true:
        return Health(Status.DEGRADED, sentence(f"the job failed after {_failures(broken)}", failed.why))
    if complete is not None and complete.true:
        return Health(Status.HEALTHY, sentence("the job is complete", complete.message))
    if flag(obj, "spec", "suspend") or (suspended is not None and suspended.true):
        return Health(Status.SUSPENDED, "the job is suspended: it runs once spec.suspend is false")
    if not text(obj, "status", "startTime") and not (done or active or broken):
        return Health(Status.PROGRESSING, "the job has not started yet")
    limit = count(obj, "spec", "backoffLimit", default=6)
    tries = f", {broken} of at most {limit + 1} tries failed: look at its Pods" if broken else ""
    wanted = count(obj, "spec", "completions", default=count(obj, "spec", "parallelism", default=1))
    return Health(Status.PROGRESSING, f"{done} of {wanted} completions done, {active} running{tries}")


def judge_cron_job(obj: Mapping[str, Any], now: float | None) -> Health:
    """A CronJob is healthy by being there; degraded when its last run ended without success (Argo CD's rule).

    A suspended one has nothing to wait for, so it is healthy too, as in Argo CD and kstatus; the message tells.
    """
    if flag(obj, "spec", "suspend"):
        return Health(Status.HEALTHY, "the schedule is suspended: no run starts until spec.suspend is false")
    last = seconds(obj, "status", "lastScheduleTime")
    if last is None:
        return Health(Status.HEALTHY, "no run was due yet")
    if mappings(obj, "status", "active"):
        return Health(Status.HEALTHY, "a run is going on")
    success = seconds(obj, "status", "lastSuccessfulTime")
    if success is None:
        return Health(Status.HEALTHY, "no run has succeeded yet: look at its Jobs")
    if success < last:
        return Health(Status.DEGRADED, "the last run did not succeed: look at its newest Job")
    return Health(Status.HEALTHY, "the last run succeeded")


def judge_workflow(obj: Mapping[str, Any], now: float | None) -> Health:
    """An Argo Workflow by its phase, in its own words (gitops-engine)."""
    phase = text(obj, "status", "phase")
    said = text(obj, "status", "message")
    ended = _WORKFLOW.get(phase)
    if ended is not None:
        return Health(ended, said or f"the workflow ended as {phase}")
    if flag(obj, "spec", "suspend"):
        return Health(Status.SUSPENDED, said or "the workflow is suspended: it goes on once spec.suspend is false")
    waiting = f"the workflow is {phase.lower()}" if phase else "the workflow controller has not looked at it yet"
    return Health(Status.PROGRESSING, said or waiting)


def _failures(number: int) -> str:
    return "1 failed pod" if number == 1 else f"{number} failed pods"
