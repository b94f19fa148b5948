"""The rules against what other projects expect of the same objects.

`health-builtin` comes from Argo CD's gitops-engine, `kstatus` from Flux's fork of cli-utils. They disagree in places;
these tests hold the rules that satisfy both.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from kedge.engine.health import judge
from kedge.engine.health.read import seconds
from kedge.model.health import Status

BESIDE = Path(__file__).parents[4] / "shared"
SHARED = Path(os.environ.get("KEDGE_SHARED") or BESIDE)
MEANS = {
    "Current": {Status.HEALTHY, Status.SUSPENDED},
    "InProgress": {Status.PROGRESSING, Status.MISSING},
    "Failed": {Status.DEGRADED},
}


def cases(name: str) -> list[Any]:
    folder = SHARED / "cases" / name
    files = sorted(folder.rglob("*.yaml"))
    found = [case for file in files for case in yaml.safe_load(file.read_text(encoding="utf-8"))]
    if found:
        return [pytest.param(case, id=case["id"]) for case in found]
    absent = pytest.mark.skip(reason=f"the shared cases are not here ({folder}); set KEDGE_SHARED to find them")
    return [pytest.param(None, marks=absent, id="absent")]


@pytest.mark.parametrize("case", cases("health-builtin"))
def test_a_built_in_kind_is_judged_as_in_argo_cd(case: Any) -> None:
    health = judge(case["input"])

    expected = case["expected"]
    assert health.status == (expected["status"] if expected else Status.HEALTHY), health
    if expected and expected.get("message"):
        assert health.message == expected["message"]


@pytest.mark.parametrize("case", cases("kstatus"))
def test_an_object_is_judged_as_in_kstatus(case: Any) -> None:
    health = judge(case["object"], now=seconds(case, "now"))

    assert health.status in MEANS[case["expectedStatus"]], health


@pytest.mark.parametrize("case", cases("kstatus"))
def test_whatever_is_not_healthy_says_why(case: Any) -> None:
    health = judge(case["object"], now=seconds(case, "now"))

    assert health.status is Status.HEALTHY or len(health.message) > 10


def test_conventions_alone_judge_most_third_party_kinds() -> None:
    """Argo CD has a rule for each of these kinds; Kedge has conventions. The share is a floor, not a goal."""
    found = [param.values[0] for param in cases("health") if param.id != "absent"]
    if not found:
        pytest.skip(f"the shared cases are not here ({SHARED}); set KEDGE_SHARED to find them")

    right = sum(judge(case["input"]).status == case["expected"]["status"] for case in found)

    assert right / len(found) > 0.70
