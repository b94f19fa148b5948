"""An execution as a Job: what is asked of Kubernetes, and what its answers mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kedge.executions.job import START, Facts, Judgement, Place, job, judge, name_of, secret
from kedge.model.execution import BundleFile, Ending, Execution, StateAccess, Task, Tool

PLACE = Place("default", "runs", "kedge@sha256:" + "0" * 64, "http://kedge.kedge.svc:7420")
APPLY = Execution(
    "apply-1",
    "shop/db",
    Task.APPLY,
    Tool.OPENTOFU,
    "",
    "infra",
    (BundleFile("infra/main.tf", b"hunter2"),),
    variables=b'{"password": "hunter2"}',
    environment=(("AWS_SECRET", "hunter2"),),
    state=StateAccess("http://x", "u", "hunter2"),
    plan=b"hunter2",
    memory=1 << 30,
)
MADE = job(APPLY, "kedge-apply-1", PLACE, "inst")
JOB: dict[str, Any] = {"spec": {"suspend": False}, "status": {}}
RUNNING: dict[str, Any] = {"status": {"phase": "Running"}}
FACTS = Facts(JOB, [RUNNING], claimed=True, since=1.0)


def ended(kind: str = "Failed", **more: str) -> dict[str, Any]:
    return {**JOB, "status": {"conditions": [{"type": kind, "status": "True", **more}]}}


def test_it_begins_nothing_by_itself_and_is_tried_once() -> None:
    spec = MADE["spec"]
    assert (spec["suspend"], spec["backoffLimit"]) == (True, 0)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_it_is_given_the_time_that_a_runner_needs_to_end_and_to_come_home() -> None:
    spec = MADE["spec"]
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 420
    assert spec["activeDeadlineSeconds"] > START + APPLY.timeout + 420
    assert spec["ttlSecondsAfterFinished"] == 3600


def test_a_pod_has_no_account_no_environment_and_the_memory_of_its_stack() -> None:
    spec = MADE["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in spec
    assert "env" not in container
    assert container["resources"]["limits"]["memory"] == str((1 << 30) + (256 << 20))


def test_no_secret_is_in_a_job() -> None:
    assert "hunter" not in str(MADE)


def test_what_a_pod_is_given_belongs_to_its_job() -> None:
    made = {**MADE, "metadata": {**MADE["metadata"], "uid": "u1"}}
    given = secret(made, "http://kedge/executions/apply-1", "token")
    (owner,) = given["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", "kedge-apply-1", "u1")
    assert set(given["data"]) == {"address", "token"}


@pytest.mark.parametrize("id", ["plan-1", "Plan_1.A", "x" * 128, "-", "a" * 39 + "-b"])
def test_any_id_has_a_name_of_its_own_in_every_installation(id: str) -> None:
    name = name_of("inst", id)
    assert len(name) <= 63
    assert name == name.lower().strip("-")
    assert len({name, name_of("inst", id + "1"), name_of("other", id)}) == 3


def test_one_at_work_is_left_at_work() -> None:
    assert judge(FACTS) == Judgement()


def test_a_pod_whose_end_is_not_proven_is_no_loss() -> None:
    for over in (None, ended(), {"spec": {"suspend": True}}):
        assert judge(replace(FACTS, job=over)).ending is None
    assert judge(replace(FACTS, job=None, pods=[{"status": {"phase": "Unknown"}}])).ending is None


def test_a_job_between_two_pods_is_no_loss() -> None:
    assert judge(replace(FACTS, pods=[])).ending is None


def test_a_loss_is_told_in_the_words_of_the_cluster() -> None:
    killed = {"containerStatuses": [{"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}
    found = judge(
        replace(FACTS, job=ended(reason="DeadlineExceeded"), pods=[{"status": {"phase": "Failed", **killed}}])
    )
    assert found.ending is Ending.LOST
    assert found.told == "its runner ended with 137; OOMKilled; DeadlineExceeded"


def test_a_job_that_was_suspended_by_hand_is_lost_if_its_pod_had_begun_and_waits_if_not() -> None:
    suspended = replace(FACTS, job={"spec": {"suspend": True}}, pods=[])
    assert judge(suspended).ending is Ending.LOST
    assert judge(replace(suspended, claimed=False)).ending is None


def test_what_never_began_has_done_nothing_and_failed() -> None:
    found = judge(replace(FACTS, job=None, pods=[], claimed=False))
    assert (found.ending, found.told) == (Ending.FAILED, "its pod never began: its Job was deleted")


def test_one_that_is_not_wanted_is_deleted_and_stopped_when_its_pod_is_gone() -> None:
    asked = replace(FACTS, stop="a person", claimed=False)
    assert judge(asked).delete
    assert not judge(replace(asked, job=None)).delete
    assert judge(replace(asked, job=None, pods=[])) == Judgement("a person", Ending.STOPPED)


def test_one_that_can_not_begin_says_why_and_is_given_up_in_time() -> None:
    unschedulable = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3\x1b[1m nodes",
    }
    waits = replace(FACTS, claimed=False, pods=[{"status": {"phase": "Pending", "conditions": [unschedulable]}}])
    assert judge(waits) == Judgement("its pod waits: Unschedulable: 0/3 nodes")
    late = judge(replace(waits, since=START + 1))
    assert (late.delete, late.late) == (True, f"its pod did not begin within 600 s: {judge(waits).told}")
    assert judge(replace(waits, job=None, pods=[], late=late.late)) == Judgement(late.late, Ending.FAILED)


def test_a_pod_that_runs_and_does_not_reach_kedge_says_so() -> None:
    assert "KEDGE_JOBS_ADDRESS" in judge(replace(FACTS, claimed=False)).told


@pytest.mark.parametrize(
    "hostile",
    [{}, {"status": None}, {"status": {"containerStatuses": [None]}}, {"status": {"conditions": [1], "reason": ["x"]}}],
)
def test_a_pod_of_any_shape_is_taken_for_one_that_may_be_at_work(hostile: dict[str, Any]) -> None:
    assert judge(replace(FACTS, job=None, pods=[hostile], claimed=False)).ending is None
