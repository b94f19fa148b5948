"""Kinds that no rule knows: the conventions must say what a person would say who reads the status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kedge.engine.health import judge

CASES = yaml.safe_load((Path(__file__).parent / "strangers.yaml").read_text("utf-8"))
LONG_AFTER = 1_800_000_000.0


def stranger(case: dict[str, Any]) -> dict[str, Any]:
    group, version, kind = case["of"].split("/")
    metadata = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}
    metadata |= {name: case[name] for name in ("generation", "annotations") if name in case}
    found = {"apiVersion": f"{group}/{version}", "kind": kind, "metadata": metadata}
    return found | {name: case[name] for name in ("spec", "status") if name in case}


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{i}-{case['of']}") for i, case in enumerate(CASES)])
def test_a_stranger_is_judged_as_a_person_would(case: dict[str, Any]) -> None:
    now = LONG_AFTER if case.get("silent") else None

    health = judge(stranger(case), now)

    assert health.status == case["is"], health
