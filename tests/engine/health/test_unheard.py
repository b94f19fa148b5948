from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.health import judge, judge_or_none
from kedge.engine.health.unheard import GRACE
from kedge.model.health import Status

BORN = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def silent(of: str = "example.org/v1/Thing", **rest: Any) -> dict[str, Any]:
    version, _, kind = of.rpartition("/")
    metadata = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": {"a": 1}} | rest


@pytest.mark.parametrize("status", [None, {}, {"revision": 0}, {"phase": ""}, {"phase": None, "parts": []}])
def test_a_custom_object_that_no_controller_has_reported_on_is_progressing(status: Any) -> None:
    health = judge(silent(status=status))

    assert health.status is Status.PROGRESSING
    assert "no controller has reported" in health.message


def test_the_wait_for_a_first_report_ends_since_some_kinds_never_report() -> None:
    assert judge(silent(), BORN + GRACE - 1).status is Status.PROGRESSING
    assert judge_or_none(silent(), BORN + GRACE + 1) is None


def test_an_object_of_unknown_age_is_not_waited_for_where_time_is_known() -> None:
    assert judge_or_none(silent(metadata={}), BORN) is None


@pytest.mark.parametrize(
    "of",
    [
        "v1/ConfigMap",
        "rbac.authorization.k8s.io/v1/Role",
        "storage.k8s.io/v1/StorageClass",
        "networking.k8s.io/v1/NetworkPolicy",
        "example.org/v1/ThingTemplate",
        "example.org/v1/ProviderConfig",
    ],
)
def test_nobody_reports_on_kinds_of_kubernetes_itself_nor_on_templates(of: str) -> None:
    assert judge_or_none(silent(of)) is None


@pytest.mark.parametrize("of", ["gateway.networking.k8s.io/v1/Gateway", "snapshot.storage.k8s.io/v1/VolumeSnapshot"])
def test_groups_of_the_project_that_are_defined_by_definitions_are_custom(of: str) -> None:
    assert judge(silent(of)).status is Status.PROGRESSING
