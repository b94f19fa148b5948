from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.health import judge, judge_or_none
from kedge.model.health import Status


def thing(status: Any = None, spec: Any = None, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": metadata, "spec": spec, "status": status}


def having(*conditions: dict[str, Any], generation: int = 1) -> dict[str, Any]:
    return thing({"conditions": list(conditions)}, generation=generation)


def condition(
    kind: str, status: str = "True", reason: str = "", message: str = "", seen: int | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind, "status": status, "reason": reason, "message": message}
    return found if seen is None else found | {"observedGeneration": seen}


def test_an_object_whose_status_says_nothing_of_health_is_current() -> None:
    assert judge_or_none(thing({"color": "blue"})) is None
    assert judge(thing({"color": "blue"})).status is Status.HEALTHY


def test_a_condition_of_an_unknown_type_says_nothing() -> None:
    assert judge_or_none(having(condition("LooksBlue", "False"))) is None


@pytest.mark.parametrize("kind", ["Ready", "Available", "Healthy", "Succeeded", "Synced", "Established", "Complete"])
def test_a_good_condition_is_healthy_when_true_and_progressing_when_unknown(kind: str) -> None:
    assert judge(having(condition(kind))).status is Status.HEALTHY
    assert judge(having(condition(kind, "Unknown"))).status is Status.PROGRESSING


@pytest.mark.parametrize("reason", ["", "NotReadyYet", "Creating", "DependencyNotReady", "NoErrorsYet"])
def test_not_ready_is_progressing_while_the_reason_leaves_hope(reason: str) -> None:
    assert judge(having(condition("Ready", "False", reason))).status is Status.PROGRESSING


@pytest.mark.parametrize(
    "reason", ["UpdateFailed", "ReconcileError", "SecretNotFound", "InvalidSpec", "ErrRegister", "TimedOut"]
)
def test_not_ready_is_degraded_when_the_reason_names_a_failure(reason: str) -> None:
    health = judge(having(condition("Ready", "False", reason, "see the bucket")))

    assert health.status is Status.DEGRADED
    assert health.message == f"Ready is False ({reason}): see the bucket"


def test_without_a_telling_reason_the_words_of_the_message_count() -> None:
    failed = condition("Ready", "False", "", "unable to reach the database")

    assert judge(having(failed)).status is Status.DEGRADED
    assert judge(having(failed, condition("Issuing"))).status is Status.PROGRESSING


@pytest.mark.parametrize(
    "kind", ["Stalled", "Failed", "Degraded", "FetchFailed", "HasErrors", "InvalidSpec", "NotReady"]
)
def test_a_bad_condition_is_degraded_even_beside_a_ready_one(kind: str) -> None:
    assert judge(having(condition("Ready"), condition(kind, message="boom"))).status is Status.DEGRADED
    assert judge(having(condition("Ready"), condition(kind, "False"))).status is Status.HEALTHY


def test_an_object_in_sync_no_more_is_degraded_even_if_it_is_still_ready() -> None:
    assert judge(having(condition("Ready"), condition("Synced", "False", "ReconcileError"))).status is Status.DEGRADED


def test_reconciling_is_progressing_although_ready() -> None:
    assert judge(having(condition("Ready"), condition("Reconciling"))).status is Status.PROGRESSING


def test_reconciling_is_progressing_while_nothing_has_failed() -> None:
    assert judge(having(condition("Reconciling"), condition("Ready", "False", "Waiting"))).status is Status.PROGRESSING


def test_a_retry_after_a_failure_is_degraded() -> None:
    retry = condition("Reconciling", reason="ProgressingWithRetry")

    assert judge(having(retry, condition("Ready", "False", "DependencyNotReady"))).status is Status.DEGRADED


@pytest.mark.parametrize("kind", ["Paused", "Suspended", "Stopped"])
def test_a_resting_condition_is_suspended(kind: str) -> None:
    assert judge(having(condition("Ready"), condition(kind))).status is Status.SUSPENDED


def test_work_going_on_is_progressing_where_nothing_sums_up() -> None:
    assert judge(having(condition("Progressing"))).status is Status.PROGRESSING
    assert judge(having(condition("Progressing", "False"))).status is Status.HEALTHY
    assert judge(having(condition("AllReplicasReady", "False"), condition("NoWarnings"))).status is Status.PROGRESSING


def test_progress_that_arrived_does_not_hold_anybody_up() -> None:
    arrived = condition("Progressing", reason="NewReplicaSetAvailable")

    assert judge(having(arrived, condition("Available"))).status is Status.HEALTHY


@pytest.mark.parametrize("kind", ["Accepted", "Valid", "ResolvedRefs"])
def test_a_verdict_that_is_false_is_a_refusal_unless_it_is_pending(kind: str) -> None:
    assert judge(having(condition(kind, "False", "NoMatchingParent"))).status is Status.DEGRADED
    assert judge(having(condition(kind, "False", "Pending"))).status is Status.PROGRESSING


def test_conditions_of_parents_and_listeners_count_and_are_located() -> None:
    parents = [
        {"conditions": [condition("Accepted")]},
        {"conditions": [condition("Accepted", "False", "NotAllowedByListeners")]},
    ]
    health = judge(thing({"parents": parents}))

    assert health.status is Status.DEGRADED
    assert health.message.startswith("status.parents[1]: Accepted is False")


@pytest.mark.parametrize("seen", [1, "1"])
def test_a_generation_nobody_has_looked_at_is_progressing(seen: Any) -> None:
    status = {"observedGeneration": seen, "conditions": [condition("Ready")]}

    assert judge(thing(status, generation=2)).status is Status.PROGRESSING
    assert judge(thing(status, generation=0)).status is Status.PROGRESSING
    assert judge(thing(status, generation=1)).status is Status.HEALTHY


def test_a_condition_about_an_earlier_generation_is_not_believed() -> None:
    assert judge(having(condition("Ready", seen=1), generation=2)).status is Status.PROGRESSING
    assert judge(having(condition("Ready", "False", "UpdateFailed", seen=1), generation=2)).status is Status.PROGRESSING


@pytest.mark.parametrize("name", ["suspend", "suspended", "paused", "pause"])
def test_a_spec_that_holds_the_object_back_is_suspended(name: str) -> None:
    held = thing({"conditions": [condition("Ready", "False", "UpdateFailed")]}, {name: True})

    health = judge(held)
    assert health.status is Status.SUSPENDED
    assert f"spec.{name}" in health.message
    assert judge(thing({"phase": "Running"}, {name: False})).status is Status.HEALTHY


def test_an_annotation_that_pauses_the_object_is_suspended() -> None:
    assert judge(thing(annotations={"cluster.x-k8s.io/paused": "true"})).status is Status.SUSPENDED
    assert judge(thing({"ready": True}, annotations={"cluster.x-k8s.io/paused": "false"})).status is Status.HEALTHY


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("Running", Status.HEALTHY),
        ("Bound", Status.HEALTHY),
        ("UP_TO_DATE", Status.HEALTHY),
        ("ApplyingChanges", Status.PROGRESSING),
        ("Provisioning the cluster IP", Status.PROGRESSING),
        ("in-progress", Status.PROGRESSING),
        ("DEPLOYED_NOT_READY", Status.PROGRESSING),
        ("ConfigError", Status.DEGRADED),
        ("UpdateFailed", Status.DEGRADED),
        ("NonCompliant", Status.DEGRADED),
        ("paused", Status.SUSPENDED),
        ("NotFound", Status.MISSING),
        ("Unknown", Status.UNKNOWN),
        ("Purple", Status.HEALTHY),
        ("", Status.PROGRESSING),
    ],
)
@pytest.mark.parametrize("name", ["phase", "state", "status"])
def test_phases_and_states_share_one_vocabulary(name: str, phase: str, expected: Status) -> None:
    assert judge(thing({name: phase})).status is expected


def test_the_worst_definite_word_counts_and_unknown_only_alone() -> None:
    assert judge(thing({"phase": "Failed", "conditions": [condition("Ready")]})).status is Status.DEGRADED
    assert judge(thing({"phase": "Unknown", "conditions": [condition("Ready")]})).status is Status.HEALTHY


def test_a_health_that_is_nested_is_read() -> None:
    assert judge(thing({"health": {"status": "Degraded", "message": "x"}})).status is Status.DEGRADED


def test_reported_booleans_and_failures_count() -> None:
    assert judge(thing({"healthy": False})).status is Status.DEGRADED
    assert judge(thing({"ready": False})).status is Status.PROGRESSING
    assert judge(thing({"ready": False, "failureMessage": "quota"})).message == "status.failureMessage: quota"


def test_replicas_are_counted_as_a_deployment_counts_them() -> None:
    assert judge(thing({"readyReplicas": 1}, {"replicas": 2})).message == "1 of 2 replicas are ready"
    assert judge(thing({"readyReplicas": 2}, {"replicas": 2})).status is Status.HEALTHY


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("v1", "ServiceAccount"),
        ("v1", "Endpoints"),
        ("discovery.k8s.io/v1", "EndpointSlice"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("storage.k8s.io/v1", "StorageClass"),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ],
)
def test_kinds_without_a_status_have_no_health_and_count_as_done(version: str, kind: str) -> None:
    plain = {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "webhooks": [], "rules": [], "data": {}}

    assert judge_or_none(plain) is None
    assert judge(plain).status is Status.HEALTHY


def test_a_key_of_somebody_else_cannot_bring_control_characters_into_a_message() -> None:
    parts = {"\x1b[31mparts": [{"conditions": [condition("Accepted", "False", "Refused")]}]}

    assert judge(thing(parts)).message.isprintable()
    assert judge(thing(annotations={"\x1b[31m/paused": "true"})).message.isprintable()
    assert judge(thing({"\x1bPhase": "Failed"})).message.isprintable()


@pytest.mark.parametrize("name", ["currentState", "overallStatus", "PostgresClusterStatus"])
def test_a_state_of_a_part_counts_but_suspends_the_whole_only_where_nothing_else_is_said(name: str) -> None:
    assert judge(thing({name: "UpdateFailed"})).status is Status.DEGRADED
    assert judge(thing({name: "Updating"})).status is Status.PROGRESSING
    assert judge(thing({name: "Missing"})).status is Status.HEALTHY
    assert judge(thing({name: "Paused", "phase": "Running"})).status is Status.HEALTHY
    assert judge(thing({name: "Paused", "conditions": [condition("Ready")]})).status is Status.HEALTHY
    assert judge(thing({name: "Paused"})).status is Status.SUSPENDED
    assert judge(thing({name: "Disabled"})).status is Status.HEALTHY


@pytest.mark.parametrize(
    ("severity", "expected"),
    [("Error", Status.DEGRADED), ("Warning", Status.PROGRESSING), ("Info", Status.PROGRESSING)],
)
def test_a_severity_outweighs_the_words_of_a_message(severity: str, expected: Status) -> None:
    failed = condition("Ready", "False", "", "machines failed to start") | {"severity": severity}

    assert judge(having(failed)).status is expected
