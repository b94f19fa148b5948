"""Health rules by kind: those that people declare in Git before those that Kedge brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kedge.engine.health.expression import MOST_EFFORT, Expression
from kedge.engine.health.generation import unobserved
from kedge.engine.health.read import clean, conditions, find, text
from kedge.engine.health.view import view_of
from kedge.model.errors import Invalid, Problem
from kedge.model.health import Health, Status
from kedge.model.rule import HealthRule

MOST_CHECKS = 40
MOST_CHARACTERS = 8_000
"""Of all conditions of a rule: each may compare two parts of an object, which takes a fifth of a millisecond."""
MOST_CASES = 200

Shipped = Callable[[str, str], HealthRule | None]
"""(group, kind) → the rule that Kedge brings for it."""


class Compiled:
    """One rule, ready to judge."""

    __slots__ = ("_checks", "_uses", "rule")

    def __init__(self, rule: HealthRule) -> None:
        """Raises Invalid, naming every check that is no CEL or asks for too much."""
        self.rule = rule
        self._checks = tuple(_compiled(rule))
        every = [part for when, _, message in self._checks for part in (when, message) if part is not None]
        self._uses = frozenset(name for part in every for name in part.uses)

    def judge(self, obj: Mapping[str, Any], now: float | None) -> Health | None:
        """What the first check that holds says; None where none does."""
        view = view_of(obj, self._uses, now)
        for when, status, message in self._checks:
            if when.holds(view):
                told = clean(message.says(view)) if message is not None else ""
                return Health(status, told or _own_words(obj) or f"{text(obj, 'kind')}: {clean(when.text)}")
        return None


class Rulebook:
    """Rules by kind, compiled when the first object of a kind is judged. Never changes; a new set is a new book."""

    def __init__(self, declared: Sequence[HealthRule] = (), shipped: Shipped | None = None) -> None:
        """Of two declared rules for one kind the first by name counts. Raises Invalid for one that does not compile."""
        judging = sorted((rule for rule in declared if rule.judges), key=lambda rule: rule.name)
        self._declared = tuple(map(Compiled, judging))
        self._shipped = shipped
        self._found: dict[tuple[str, str], Compiled | None] = {}

    def find(self, group: str, kind: str) -> Compiled | None:
        """The rule for a kind, None where there is none."""
        key = (group, kind)
        if key not in self._found:
            if len(self._found) > MOST_KINDS:
                self._found.clear()
            self._found[key] = self._look(group, kind)
        return self._found[key]

    def _look(self, group: str, kind: str) -> Compiled | None:
        for compiled in self._declared:
            if compiled.rule.covers(group, kind):
                return compiled
        rule = self._shipped(group, kind) if self._shipped is not None else None
        return None if rule is None else Compiled(rule)


MOST_KINDS = 5_000
"""Kinds that a book remembers; a cluster has some hundreds."""


def stands_before(compiled: Compiled, obj: Mapping[str, Any]) -> Health | None:
    """What comes before a rule: a generation that nobody has looked at, unless the rule asks to judge that, too."""
    return None if compiled.rule.evenStale else unobserved(obj)


def _compiled(rule: HealthRule) -> list[tuple[Expression, Status, Expression | None]]:
    if len(rule.checks) > MOST_CHECKS or len(rule.cases) > MOST_CASES:
        raise Invalid(f"a rule has at most {MOST_CHECKS} checks and {MOST_CASES} cases", where=rule.where)
    found, problems = [], []
    for number, check in enumerate(rule.checks, 1):
        try:
            when, message = Expression(check.when), Expression(check.message) if check.message else None
        except Invalid as error:
            first = error.problems[0]
            problems.append(Problem(f"check {number}: {first.text}", rule.where, first.hint))
            continue
        found.append((when, check.status, message))
    effort = sum(when.effort + (message.effort if message is not None else 0) for when, _, message in found)
    if effort > MOST_EFFORT:
        told = f"its checks come to {effort} macros, comparisons inside macros and patterns; {MOST_EFFORT} are allowed"
        problems.append(Problem(told, rule.where))
    length = sum(len(check.when) for check in rule.checks)
    if length > MOST_CHARACTERS:
        told = f"its checks have {length} characters together; {MOST_CHARACTERS} are allowed"
        problems.append(Problem(told, rule.where))
    if problems:
        raise Invalid("", problems=tuple(problems))
    return found


def _own_words(obj: Mapping[str, Any]) -> str:
    """The object's own sentence about itself."""
    ready = find(conditions(obj), "Ready")
    return (
        text(obj, "status", "message") or (ready.message if ready is not None else "") or text(obj, "status", "reason")
    )
