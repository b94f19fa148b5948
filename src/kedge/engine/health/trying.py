"""A health rule's own cases: tried wherever the rule is read, so that one that does not do what it says is never in
force."""

from __future__ import annotations

from typing import Any

from kedge.engine.actions import wrong_with
from kedge.engine.health.judge import judge
from kedge.engine.health.rulebook import Rulebook
from kedge.model.errors import Invalid, Problem
from kedge.model.rule import HealthCase, HealthRule

MOST_ACTIONS = 50


def problems_of(rule: HealthRule) -> tuple[Problem, ...]:
    """What is wrong with a rule: checks that do not compile, and cases that come out otherwise."""
    try:
        book = Rulebook((rule,))
    except Invalid as error:
        return error.problems
    if len(rule.actions) > MOST_ACTIONS:
        return (Problem(f"a rule has at most {MOST_ACTIONS} actions", rule.where),)
    found = [
        Problem(f"action “{action.name}”: {told}", rule.where)
        for action in rule.actions
        if (told := wrong_with(action))
    ]
    for case in rule.cases:
        health = judge(whole_of(rule, case), rules=book)
        if health.status is not case.status:
            told = f"it is {health.status.value} ({health.message}), not {case.status.value}"
            found.append(Problem(f"case “{case.name}”: {told}", rule.where))
        elif case.message not in health.message:
            told = f"it says “{health.message}”, without “{case.message}”"
            found.append(Problem(f"case “{case.name}”: {told}", rule.where))
    return tuple(found)


def whole_of(rule: HealthRule, case: HealthCase) -> dict[str, Any]:
    """A case's object, with the apiVersion and kind of the rule's first kind where it names none."""
    group, _, kind = (rule.kinds[0] if rule.kinds else "").rpartition("/")
    version = f"{group.replace('*', 'x')}/v1" if group else "v1"
    return {"apiVersion": version, "kind": kind.replace("*", "X"), **case.object}
