from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.health import judge
from kedge.model.health import Status


def core(kind: str, spec: Any = None, **status: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "data"}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("Bound", Status.HEALTHY),
        ("Pending", Status.PROGRESSING),
        ("", Status.PROGRESSING),
        ("Lost", Status.DEGRADED),
        ("Odd", Status.UNKNOWN),
    ],
)
def test_a_claim_is_judged_by_its_phase(phase: str, expected: Status) -> None:
    assert judge(core("PersistentVolumeClaim", phase=phase)).status is expected


def test_an_unbound_claim_names_its_storage_class() -> None:
    assert "storage class fast" in judge(core("PersistentVolumeClaim", {"storageClassName": "fast"})).message


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("Available", Status.HEALTHY),
        ("Bound", Status.HEALTHY),
        ("Released", Status.HEALTHY),
        ("Failed", Status.DEGRADED),
        ("Pending", Status.PROGRESSING),
        ("Odd", Status.UNKNOWN),
    ],
)
def test_a_volume_is_judged_by_its_phase(phase: str, expected: Status) -> None:
    assert judge(core("PersistentVolume", phase=phase)).status is expected


def test_a_namespace_that_goes_says_what_holds_it() -> None:
    held = {"type": "NamespaceContentRemaining", "status": "True", "message": "pods. has 2 resource instances"}
    health = judge(core("Namespace", phase="Terminating", conditions=[held]))

    assert health.status is Status.PROGRESSING
    assert "pods. has 2 resource instances" in health.message
    assert judge(core("Namespace", phase="Active")).status is Status.HEALTHY
