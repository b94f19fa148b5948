from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.health import judge
from kedge.model.health import Status


def workload(
    kind: str, spec: dict[str, Any], status: dict[str, Any] | None = None, generation: int = 2
) -> dict[str, Any]:
    observed = {"observedGeneration": generation, **status} if status is not None else None
    metadata = {"name": "web", "namespace": "shop", "generation": generation}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec, "status": observed}


def condition(kind: str, status: str = "True", reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


ARRIVED = [condition("Progressing", reason="NewReplicaSetAvailable"), condition("Available")]


def deployment(wanted: int = 3, conditions: Any = ARRIVED, **counts: int) -> dict[str, Any]:
    full = dict.fromkeys(["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"], wanted)
    spec = {"replicas": wanted, "progressDeadlineSeconds": 600}
    return workload("Deployment", spec, {**full, **counts, "conditions": conditions})


def test_a_deployment_with_all_pods_available_is_healthy() -> None:
    assert judge(deployment()).status is Status.HEALTHY


def test_a_deployment_scaled_to_zero_is_healthy() -> None:
    assert judge(deployment(0)).status is Status.HEALTHY


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"updatedReplicas": 1}, "2 of 3 pods are not updated"),
        ({"replicas": 4}, "1 of 4 pods is of an old revision"),
        ({"availableReplicas": 2}, "1 of 3 pods is not available"),
        ({"readyReplicas": 0}, "3 of 3 pods are not available"),
    ],
)
def test_a_deployment_on_its_way_counts_the_pods_that_are_missing(counts: dict[str, int], words: str) -> None:
    health = judge(deployment(**counts))

    assert health.status is Status.PROGRESSING
    assert health.message.startswith(words)


def test_a_deployment_past_its_deadline_is_degraded() -> None:
    late = [condition("Progressing", "False", "ProgressDeadlineExceeded", "ReplicaSet “web-1” has timed out")]
    health = judge(deployment(conditions=late, availableReplicas=0))

    assert health.status is Status.DEGRADED
    assert "has timed out" in health.message


def test_a_deployment_past_its_deadline_says_who_refused_its_pods() -> None:
    """The quota was named until the deadline, and from then on only that there had been one."""
    late = [condition("Progressing", "False", "ProgressDeadlineExceeded", "ReplicaSet “web-1” has timed out")]
    health = judge(
        deployment(conditions=[*late, condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota")])
    )

    assert health.status is Status.DEGRADED
    assert health.message.endswith("exceeded quota")


def test_a_paused_deployment_is_suspended_even_past_its_deadline() -> None:
    late = deployment(conditions=[condition("Progressing", "False", "ProgressDeadlineExceeded")])
    late["spec"]["paused"] = True

    assert judge(late).status is Status.SUSPENDED


def test_a_deployment_whose_pods_are_refused_says_by_whom() -> None:
    refused = condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota: shop")
    health = judge(deployment(conditions=[*ARRIVED, refused], replicas=0, updatedReplicas=0, availableReplicas=0))

    assert health.status is Status.PROGRESSING
    assert "exceeded quota: shop" in health.message


def test_a_deployment_without_a_deadline_needs_no_progress_condition() -> None:
    quiet = deployment(conditions=[condition("Available")])
    assert judge(quiet).status is Status.PROGRESSING
    quiet["spec"]["progressDeadlineSeconds"] = 2**31 - 1
    assert judge(quiet).status is Status.HEALTHY
    del quiet["spec"]["progressDeadlineSeconds"]
    assert judge(quiet).status is Status.HEALTHY


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"])
def test_a_change_nobody_has_looked_at_is_progressing(kind: str) -> None:
    changed = workload(kind, {"replicas": 0}, {"desiredNumberScheduled": 0})
    changed["metadata"]["generation"] = 3
    health = judge(changed)

    assert health.status is Status.PROGRESSING
    assert "generation 3" in health.message


def stateful(spec: dict[str, Any] | None = None, **counts: Any) -> dict[str, Any]:
    full = {"replicas": 3, "readyReplicas": 3, "currentReplicas": 3, "updatedReplicas": 3}
    return workload("StatefulSet", {"replicas": 3, **(spec or {})}, {**full, **counts})


def test_a_stateful_set_with_all_pods_at_one_revision_is_healthy() -> None:
    assert judge(stateful(currentRevision="a", updateRevision="a")).status is Status.HEALTHY


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"readyReplicas": 1}, "2 of 3 pods are not ready"),
        ({"replicas": 5}, "2 of 5 pods are still to be removed"),
        ({"currentReplicas": 2}, "1 of 3 pods is not at the current revision"),
        ({"currentRevision": "a", "updateRevision": "b"}, "the rolling update is not finished"),
    ],
)
def test_a_stateful_set_on_its_way_says_how_far(counts: dict[str, Any], words: str) -> None:
    health = judge(stateful(**counts))

    assert health.status is Status.PROGRESSING
    assert health.message.startswith(words)


def test_a_partition_asks_only_for_the_pods_from_its_ordinal_on() -> None:
    strategy = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}
    revisions = {"currentReplicas": 2, "currentRevision": "a", "updateRevision": "b"}

    assert judge(stateful(strategy, updatedReplicas=0, **revisions)).status is Status.PROGRESSING
    held = judge(stateful(strategy, updatedReplicas=1, **revisions))
    assert held.status is Status.HEALTHY
    assert "below ordinal 2" in held.message


def test_on_delete_leaves_the_update_of_a_stateful_set_to_a_person() -> None:
    by_hand = {"updateStrategy": {"type": "OnDelete"}}

    assert judge(stateful(by_hand, currentRevision="a", updateRevision="b")).status is Status.HEALTHY
    assert judge(stateful(by_hand, readyReplicas=2)).status is Status.PROGRESSING


def test_a_stateful_set_nobody_has_seen_is_progressing() -> None:
    assert judge(workload("StatefulSet", {"replicas": 0})).status is Status.PROGRESSING


def daemon(spec: dict[str, Any] | None = None, **counts: int) -> dict[str, Any]:
    names = ["desired", "current", "updated"]
    full = {f"{name}NumberScheduled": 4 for name in names} | {"numberAvailable": 4, "numberReady": 4}
    return workload("DaemonSet", spec or {}, {**full, **counts})


def test_a_daemon_set_is_healthy_when_every_node_has_its_pod() -> None:
    assert judge(daemon()).status is Status.HEALTHY


@pytest.mark.parametrize(
    "missing", ["currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady"]
)
def test_a_daemon_set_on_its_way_is_progressing(missing: str) -> None:
    health = judge(daemon(**{missing: 1}))

    assert health.status is Status.PROGRESSING
    assert health.message.startswith("3 of 4 pods are not")


def test_on_delete_leaves_the_update_of_a_daemon_set_to_a_person() -> None:
    assert judge(daemon({"updateStrategy": {"type": "OnDelete"}}, updatedNumberScheduled=0)).status is Status.HEALTHY


def test_a_daemon_set_that_fits_no_node_is_healthy() -> None:
    assert (
        judge(daemon(**{name: 0 for name in daemon()["status"] if name != "observedGeneration"})).status
        is Status.HEALTHY
    )


def replicas(kind: str = "ReplicaSet", **counts: Any) -> dict[str, Any]:
    full = dict.fromkeys(["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"], 2)
    return workload(kind, {"replicas": 2}, {**full, **counts})


def test_a_replica_set_counts_what_it_lacks() -> None:
    assert judge(replicas()).status is Status.HEALTHY
    assert judge(replicas(availableReplicas=1)).message.startswith("1 of 2 pods is not available")
    assert judge(replicas(replicas=3)).status is Status.PROGRESSING


def test_a_replica_set_that_cannot_create_pods_is_degraded() -> None:
    failure = condition("ReplicaFailure", "True", "FailedCreate", "forbidden: exceeded quota")

    assert judge(replicas(conditions=[failure])).status is Status.DEGRADED


def test_a_replication_controller_is_judged_as_a_replica_set() -> None:
    old = {**replicas("ReplicationController", readyReplicas=0), "apiVersion": "v1"}

    assert judge(old).status is Status.PROGRESSING


def test_kinds_of_the_retired_extensions_group_keep_their_rules() -> None:
    assert judge({**deployment(availableReplicas=0), "apiVersion": "extensions/v1beta1"}).status is Status.PROGRESSING
