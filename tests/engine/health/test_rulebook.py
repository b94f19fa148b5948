from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.health import Rulebook, judge, judge_or_none
from kedge.engine.health.rulebook import MOST_CHECKS
from kedge.engine.health.trying import problems_of
from kedge.model.errors import Invalid
from kedge.model.health import Status
from kedge.model.rule import HealthCase, HealthCheck, HealthRule

FAILED = HealthCheck("status.color == 'red'", Status.DEGRADED, "'it is ' + status.color")
FINE = HealthCheck("status.color == 'green'", Status.HEALTHY)


def rule(
    *checks: HealthCheck, name: str = "things", kinds: tuple[str, ...] = ("example.org/Thing",), **rest: Any
) -> HealthRule:
    return HealthRule(name, kinds, checks or (FAILED, FINE), **rest)


def thing(status: Any = None, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": metadata, "spec": {}, "status": status}


def test_the_first_check_that_holds_decides_and_says_why() -> None:
    book = Rulebook([rule()])

    health = judge(thing({"color": "red"}), rules=book)
    assert (health.status, health.message) == (Status.DEGRADED, "it is red")
    assert (
        judge(thing({"color": "green", "conditions": [{"type": "Ready", "status": "False"}]}), rules=book).status
        is Status.HEALTHY
    )


def test_where_no_check_holds_the_conventions_decide() -> None:
    found = judge(thing({"color": "blue", "phase": "Failed"}), rules=Rulebook([rule()]))

    assert found.status is Status.DEGRADED
    assert "phase" in found.message


def test_a_check_without_a_sentence_speaks_in_the_objects_words_or_in_its_own() -> None:
    book = Rulebook([rule(HealthCheck("status.color == 'red'", Status.DEGRADED))])

    assert judge(thing({"color": "red", "message": "too hot"}), rules=book).message == "too hot"
    assert "status.color" in judge(thing({"color": "red"}), rules=book).message


def test_a_rule_speaks_of_the_present_generation_unless_it_asks_otherwise() -> None:
    stale = thing({"color": "green", "observedGeneration": 1}, generation=2)

    assert judge(stale, rules=Rulebook([rule()])).status is Status.PROGRESSING
    assert judge(stale, rules=Rulebook([rule(evenStale=True)])).status is Status.HEALTHY


def test_an_object_that_is_being_deleted_is_progressing_unless_its_rule_asks_otherwise() -> None:
    going = thing({"color": "red"}, deletionTimestamp="2026-01-01T00:00:00Z")

    assert judge(going, rules=Rulebook([rule()])).status is Status.PROGRESSING
    assert judge(going, rules=Rulebook([rule(evenDeleting=True)])).status is Status.DEGRADED


def test_nobody_waits_for_a_silent_kind_but_what_it_says_counts() -> None:
    book = Rulebook([HealthRule("things", ("example.org/*",), silent=True)])

    assert judge_or_none(thing(), rules=book) is None
    assert judge(thing({"phase": "Failed"}), rules=book).status is Status.DEGRADED


def test_a_declared_rule_goes_before_one_that_kedge_brings() -> None:
    brought = rule(HealthCheck("true", Status.HEALTHY))

    assert judge(thing({"color": "red"}), rules=Rulebook([], lambda group, kind: brought)).status is Status.HEALTHY
    assert judge(thing({"color": "red"}), rules=Rulebook([rule()], lambda *_: brought)).status is Status.DEGRADED


def test_a_rule_may_be_for_a_kind_of_kubernetes_itself() -> None:
    always = rule(
        HealthCheck("spec.type == 'LoadBalancer'", Status.HEALTHY, "'no address is needed'"), kinds=("Service",)
    )
    service = {"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {}}}

    assert judge(service).status is Status.PROGRESSING
    assert judge(service, rules=Rulebook([always])).message == "no address is needed"


def test_a_rule_that_does_not_compile_names_every_check() -> None:
    broken = rule(HealthCheck("status.", Status.HEALTHY), FAILED, HealthCheck("true", Status.HEALTHY, "nope"))

    with pytest.raises(Invalid) as wrong:
        Rulebook([broken])

    assert [problem.text.partition(":")[0] for problem in wrong.value.problems] == ["check 1", "check 3"]


@pytest.mark.parametrize(
    "checks", [[FAILED] * (MOST_CHECKS + 1), [HealthCheck("status.l.exists(x, x == 1)", Status.HEALTHY)] * 13]
)
def test_a_rule_that_asks_for_too_much_is_refused(checks: list[HealthCheck]) -> None:
    with pytest.raises(Invalid):
        Rulebook([rule(*checks)])


def test_a_rules_own_cases_are_tried() -> None:
    wrong = HealthCase("red is bad", {"status": {"color": "red"}}, Status.HEALTHY)
    quiet = HealthCase("red is said", {"status": {"color": "red"}}, Status.DEGRADED, "crimson")
    right = HealthCase("green is fine", {"status": {"color": "green"}}, Status.HEALTHY)
    tried = rule(cases=(wrong, quiet, right))

    found = problems_of(tried)

    assert ["red is bad" in found[0].text, "crimson" in found[1].text, len(found)] == [True, True, 2]


@pytest.mark.parametrize("message", ["'a\\nb'", "'\\u202e'", "'x' + status.long"])
def test_a_rules_sentence_is_one_clean_line(message: str) -> None:
    book = Rulebook([rule(HealthCheck("true", Status.DEGRADED, message))])

    told = judge(thing({"long": "y" * 5_000}), rules=book).message
    assert told.isprintable() or told == ""
    assert len(told) <= 300


def test_a_rule_of_endless_comparisons_is_refused() -> None:
    whole = HealthCheck(" && ".join(["status == status"] * 45), Status.HEALTHY)

    with pytest.raises(Invalid, match="characters together"):
        Rulebook([rule(*[whole] * 12)])
