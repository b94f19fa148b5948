from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.health import judge
from kedge.model.health import Status

BORN = "2024-06-12T12:34:00Z"
BIRTH = 1718195640.0


def pod(phase: str = "Running", *, policy: str | None = None, **status: Any) -> dict[str, Any]:
    spec = {"restartPolicy": policy} if policy else {}
    metadata = {"name": "web", "creationTimestamp": BORN}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": phase, **status}}


def container(name: str = "main", **state: Any) -> dict[str, Any]:
    return {"name": name, "state": state}


def ready(status: str) -> dict[str, str]:
    return {"type": "Ready", "status": status}


@pytest.mark.parametrize(
    "reason",
    [
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerError",
        "CreateContainerConfigError",
        "RunContainerError",
    ],
)
def test_a_container_that_cannot_start_degrades_the_pod_and_is_named(reason: str) -> None:
    waiting = {"reason": reason, "message": "secret “web” not found"}
    health = judge(pod("Pending", containerStatuses=[container("proxy", waiting=waiting)]))

    assert health.status is Status.DEGRADED
    assert f"container proxy is in {reason}" in health.message
    assert "secret “web” not found" in health.message


def test_an_init_container_that_cannot_start_degrades_the_pod_as_well() -> None:
    stuck = container("migrate", waiting={"reason": "CrashLoopBackOff"})

    assert judge(pod("Pending", initContainerStatuses=[stuck])).status is Status.DEGRADED


@pytest.mark.parametrize("policy", ["OnFailure", "Never"])
def test_a_pod_that_is_to_end_is_progressing_whatever_its_containers_wait_for(policy: str) -> None:
    stuck = container(waiting={"reason": "ImagePullBackOff"})

    assert judge(pod("Pending", policy=policy, containerStatuses=[stuck])).status is Status.PROGRESSING


@pytest.mark.parametrize("policy", ["OnFailure", "Never"])
def test_a_pod_that_is_to_end_is_not_healthy_by_being_ready(policy: str) -> None:
    assert judge(pod(policy=policy, conditions=[ready("True")])).status is Status.PROGRESSING


def test_a_crash_loop_tells_the_last_exit_code_and_the_restarts() -> None:
    died = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    looping = {**container("web", waiting={"reason": "CrashLoopBackOff"}), "restartCount": 7, "lastState": died}

    message = judge(pod(containerStatuses=[looping])).message

    assert message == "container web is in CrashLoopBackOff after 7 restarts: last exit code 137 (OOMKilled)"


def test_a_ready_pod_is_healthy_even_if_it_was_restarted_before() -> None:
    restarted = {**container(running={}), "ready": True, "lastState": {"terminated": {"exitCode": 1}}}

    assert judge(pod(conditions=[ready("True")], containerStatuses=[restarted])).status is Status.HEALTHY


def test_a_pod_that_runs_but_is_not_ready_yet_is_progressing_and_names_its_containers() -> None:
    health = judge(
        pod(conditions=[ready("False")], containerStatuses=[{**container("web", running={}), "ready": False}])
    )

    assert health.status is Status.PROGRESSING
    assert "(web)" in health.message


def test_a_pod_that_died_and_is_not_ready_again_is_degraded() -> None:
    died = {**container(running={}), "ready": False, "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}}}
    health = judge(pod(conditions=[ready("False")], containerStatuses=[died]))

    assert health.status is Status.DEGRADED
    assert "exit code 2" in health.message


def test_a_pod_without_a_node_is_excused_for_fifteen_seconds() -> None:
    homeless = pod(
        "Pending",
        conditions=[
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
        ],
    )

    assert judge(homeless, now=BIRTH + 14).status is Status.PROGRESSING
    late = judge(homeless, now=BIRTH + 16)
    assert late.status is Status.DEGRADED
    assert late.message == "no node can take the pod: 0/3 nodes are available"


def test_a_pending_pod_says_what_its_containers_wait_for() -> None:
    health = judge(pod("Pending", containerStatuses=[container(waiting={"reason": "ContainerCreating"})]))

    assert health.status is Status.PROGRESSING
    assert "ContainerCreating" in health.message


def test_a_failed_pod_tells_why_in_its_own_words_or_its_containers() -> None:
    evicted = judge(pod("Failed", reason="Evicted", message="The node was low on resource: memory."))
    crashed = judge(pod("Failed", containerStatuses=[container("job", terminated={"exitCode": 3})]))

    assert (evicted.status, crashed.status) == (Status.DEGRADED, Status.DEGRADED)
    assert "low on resource" in evicted.message
    assert "container job ended with exit code 3" in crashed.message


def test_a_completed_pod_is_healthy() -> None:
    assert judge(pod("Succeeded", policy="Never")).status is Status.HEALTHY


def test_a_pod_on_a_lost_node_is_unknown() -> None:
    assert judge(pod("Unknown")).status is Status.UNKNOWN
