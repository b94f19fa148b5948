from __future__ import annotations

from typing import Any

from kedge.engine.health import judge
from kedge.model.health import Status


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def definition(*conditions: dict[str, str]) -> dict[str, Any]:
    status = {"conditions": list(conditions)}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "status": status}


NAMED = condition("NamesAccepted", "True")
SERVED = condition("Established", "True")


def test_an_established_definition_is_healthy() -> None:
    assert judge(definition(NAMED, SERVED)).status is Status.HEALTHY


def test_a_definition_is_progressing_while_it_is_installed() -> None:
    assert judge(definition()).status is Status.PROGRESSING
    assert judge(definition(NAMED, condition("Established", "False", "Installing"))).status is Status.PROGRESSING


def test_a_definition_with_taken_names_is_degraded_and_says_which() -> None:
    health = judge(
        definition(condition("NamesAccepted", "False", "ListKindConflict", "“Gears” is already in use"), SERVED)
    )

    assert health.status is Status.DEGRADED
    assert "“Gears” is already in use" in health.message


def test_a_definition_that_is_refused_is_degraded() -> None:
    assert judge(definition(NAMED, condition("Established", "False", "NotAccepted"))).status is Status.DEGRADED


def test_a_definition_with_a_schema_that_is_not_structural_is_degraded() -> None:
    loose = condition("NonStructuralSchema", "True", "Violations", "must be false")

    assert judge(definition(NAMED, SERVED, loose)).status is Status.DEGRADED


def test_a_definition_that_is_being_deleted_is_progressing() -> None:
    assert judge(definition(NAMED, SERVED, condition("Terminating", "True"))).status is Status.PROGRESSING


def test_an_api_service_waits_for_the_service_behind_it() -> None:
    service: dict[str, Any] = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}

    assert judge(service).status is Status.PROGRESSING
    missing = judge(
        {**service, "status": {"conditions": [condition("Available", "False", "MissingEndpoints", "no addresses")]}}
    )
    assert missing.status is Status.PROGRESSING
    assert "no addresses" in missing.message
    assert judge({**service, "status": {"conditions": [condition("Available", "True")]}}).status is Status.HEALTHY
