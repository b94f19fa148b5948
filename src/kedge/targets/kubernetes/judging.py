"""Which health rules are in force, and what judging by them answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kedge.engine.actions import Brought, declared_first
from kedge.engine.health import Rulebook, excused, judge_or_none
from kedge.model.health import Health, Status
from kedge.model.ref import Ref
from kedge.model.rule import HealthRule

NO_HEALTH = Health(Status.HEALTHY, "")


class Judging:
    """Judges by the newest rules. `book(declared)` adds those that come with Kedge, and compiles."""

    def __init__(self, book: Callable[[Sequence[HealthRule]], Rulebook] = Rulebook) -> None:
        self._book = book
        self._declared: tuple[HealthRule, ...] = ()
        self._rules = book(())

    def replace(self, declared: Sequence[HealthRule]) -> tuple[HealthRule, ...]:
        """Judge by these from now on. Answers the rules that came, went or changed. Raises Invalid, and changes
        nothing, where one does not compile."""
        now = tuple(declared)
        moved = tuple(rule for rule in (*self._declared, *now) if (rule in self._declared) != (rule in now))
        if moved:
            self._declared, self._rules = now, self._book(now)
        return moved

    def actions(self, brought: Brought) -> Brought:
        """What may be done to objects of a kind: as declared just now, and as `brought`."""
        return lambda group, kind: declared_first(self._declared, brought, group, kind)

    def judged(self, obj: Mapping[str, Any], now: float, reports: bool = True) -> tuple[Health, bool]:
        """Its health, and whether anything is to be waited for. An excused object is waited for by nobody.

        `reports`: whether its kind has a status that a controller could write."""
        if excused(obj):
            return Health(Status.HEALTHY, "it asks not to be judged"), False
        health = judge_or_none(obj, now, self._rules, reports=reports)
        return (NO_HEALTH, False) if health is None else (health, True)


PLAIN = Judging()
"""By conventions alone."""


def concerns(rules: Sequence[HealthRule], ref: Ref) -> bool:
    return any(rule.covers(ref.group, ref.kind) for rule in rules)
