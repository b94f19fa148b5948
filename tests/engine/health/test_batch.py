from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.health import judge
from kedge.model.health import Status

SOONER, LATER = "2025-07-30T13:42:00Z", "2025-07-30T13:46:00Z"


def job(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "m"}, "spec": spec or {}, "status": status}


def is_true(kind: str, message: str = "") -> list[dict[str, str]]:
    return [{"type": kind, "status": "True", "message": message}]


def test_a_complete_job_is_healthy_and_a_failed_one_degraded() -> None:
    assert judge(job(conditions=is_true("Complete"), succeeded=1)).status is Status.HEALTHY
    failed = judge(job(conditions=is_true("Failed", "reached its backoff limit"), failed=7))
    assert failed.status is Status.DEGRADED
    assert failed.message == "the job failed after 7 failed pods: reached its backoff limit"


def test_a_running_job_is_progressing_and_counts_its_failures() -> None:
    health = judge(job({"completions": 5, "backoffLimit": 2}, startTime=SOONER, succeeded=2, active=1, failed=1))

    assert health.status is Status.PROGRESSING
    assert health.message == "2 of 5 completions done, 1 running, 1 of at most 3 tries failed: look at its Pods"


def test_a_job_that_nobody_has_started_is_progressing() -> None:
    assert judge(job()).message == "the job has not started yet"


def test_a_suspended_job_is_suspended_until_it_is_done() -> None:
    assert judge(job({"suspend": True})).status is Status.SUSPENDED
    assert judge(job(conditions=is_true("Suspended"))).status is Status.SUSPENDED
    assert judge(job({"suspend": True}, conditions=is_true("Complete"))).status is Status.HEALTHY


def cron(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "c"},
        "spec": spec or {},
        "status": status,
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, Status.HEALTHY),
        ({"lastScheduleTime": LATER}, Status.HEALTHY),
        ({"lastScheduleTime": SOONER, "lastSuccessfulTime": LATER}, Status.HEALTHY),
        ({"lastScheduleTime": LATER, "lastSuccessfulTime": SOONER}, Status.DEGRADED),
        ({"lastScheduleTime": LATER, "lastSuccessfulTime": SOONER, "active": [{"name": "c-1"}]}, Status.HEALTHY),
    ],
)
def test_a_cron_job_is_degraded_only_by_a_last_run_that_ended_badly(status: dict[str, Any], expected: Status) -> None:
    assert judge(cron(**status)).status is expected


def test_a_suspended_cron_job_is_healthy_and_says_that_it_is_suspended() -> None:
    health = judge(cron({"suspend": True}, lastScheduleTime=LATER, lastSuccessfulTime=SOONER))

    assert health.status is Status.HEALTHY
    assert "suspended" in health.message


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("", Status.PROGRESSING),
        ("Pending", Status.PROGRESSING),
        ("Running", Status.PROGRESSING),
        ("Succeeded", Status.HEALTHY),
        ("Failed", Status.DEGRADED),
        ("Error", Status.DEGRADED),
    ],
)
def test_a_workflow_is_judged_by_its_phase(phase: str, expected: Status) -> None:
    workflow = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "status": {"phase": phase}}

    assert judge(workflow).status is expected


def test_a_suspended_workflow_is_suspended_while_it_is_not_done() -> None:
    workflow: dict[str, Any] = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": {"suspend": True}}

    assert judge(workflow).status is Status.SUSPENDED
    assert judge({**workflow, "status": {"phase": "Failed"}}).status is Status.DEGRADED
