"""Every folder of `kinds` holds a rule that compiles, cases that come out as they say, and a page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from kedge import kinds
from kedge.compose import rulebook, shipped_rule
from kedge.dialects.kedge import read
from kedge.engine.health import judge
from kedge.engine.health.rulebook import Compiled
from kedge.engine.health.trying import whole_of
from kedge.model.health import Status
from kedge.model.rule import HealthCase, HealthRule

HOME = Path(kinds.__file__).parent
SHARED = Path(os.environ.get("KEDGE_SHARED") or Path(__file__).parents[3] / "shared")
PLACES = [pytest.param(group, kind, id=f"{group}/{kind}") for group, kind in sorted(kinds.folders())]
RULED = [pytest.param(*param.values, id=param.id) for param in PLACES if "rule.yaml" in kinds.folders()[param.values]]
RULES = rulebook()


def rule_of(group: str, kind: str) -> HealthRule:
    reading = read((HOME / group / kind / "rule.yaml").read_bytes())
    assert reading.problems == ()
    (rule,) = reading.declarations
    assert isinstance(rule, HealthRule)
    return rule


def cases_of(group: str, kind: str) -> list[HealthCase]:
    found = yaml.safe_load((HOME / group / kind / "cases.yaml").read_text("utf-8"))
    return [HealthCase(**case) for case in found]


@pytest.mark.parametrize(("group", "kind"), PLACES)
def test_a_kind_has_a_page_that_tells_what_it_is(group: str, kind: str) -> None:
    page = (HOME / group / kind / "README.md").read_text("utf-8")

    assert page.startswith("# `")
    assert len(page.splitlines()) > 2


@pytest.mark.parametrize(("group", "kind"), RULED)
def test_a_rule_compiles_and_is_found_by_the_kinds_it_names(group: str, kind: str) -> None:
    rule = rule_of(group, kind)
    compiled = Compiled(rule)

    for case in cases_of(group, kind):
        whole = whole_of(rule, case)
        found = shipped_rule(whole["apiVersion"].rpartition("/")[0], whole["kind"])
        assert found is not None, whole
        assert found.kinds == compiled.rule.kinds


@pytest.mark.parametrize(("group", "kind"), RULED)
def test_every_case_of_a_kind_comes_out_as_it_says(group: str, kind: str) -> None:
    rule = rule_of(group, kind)

    for case in cases_of(group, kind):
        health = judge(whole_of(rule, case), rules=RULES)
        assert health.status == case.status, (case.name, health)
        assert case.message in health.message, (case.name, health)


@pytest.mark.parametrize(("group", "kind"), RULED)
def test_every_check_of_a_rule_decides_one_of_its_cases(group: str, kind: str) -> None:
    rule = rule_of(group, kind)
    said = {Status(case.status) for case in cases_of(group, kind)}

    assert {check.status for check in rule.checks} <= said


@pytest.mark.parametrize(
    "name", [("..", ".."), ("a/../../x", "y"), ("", ""), ("core", "Pod"), ("x" * 5_000, "Y.." * 500)]
)
def test_a_name_that_somebody_made_up_leads_to_no_file(name: tuple[str, str]) -> None:
    assert kinds.find(*name, "rule.yaml") is None


def shared_cases() -> list[Any]:
    files = sorted((SHARED / "cases" / "health").rglob("*.yaml"))
    found = [case for file in files for case in yaml.load(file.read_text("utf-8"), yaml.CSafeLoader)]
    if found:
        return [pytest.param(case, id=case["id"]) for case in found]
    absent = pytest.mark.skip(reason=f"the shared cases are not here ({SHARED}); set KEDGE_SHARED to find them")
    return [pytest.param(None, marks=absent, id="absent")]


@pytest.mark.parametrize("case", shared_cases())
def test_a_third_party_kind_is_judged_as_in_argo_cd(case: Any) -> None:
    health = judge(case["input"], rules=RULES)

    assert health.status == case["expected"]["status"], health
