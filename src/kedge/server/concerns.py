"""What no unit can tell of itself: that nothing is written down, and what is wrong with roots and sources."""

from __future__ import annotations

from collections.abc import Sequence

from kedge.model.enlistment import Head, RootState
from kedge.model.errors import Where
from kedge.model.origin import spoken
from kedge.model.unit import Unit
from kedge.server import views

CONFIG = "kedge.yaml"


def problems(states: Sequence[RootState], heads: Sequence[Head], memory: str = "") -> tuple[views.ProblemView, ...]:
    """What no unit can tell of: that nothing is written down (`memory`), then what is wrong with roots and sources."""
    store = (_problem(memory, "store"),) if memory else ()
    roots = (
        views.ProblemView(problem.text, f"root {state.name}, {problem.where}".rstrip(", "), problem.hint)
        for state in states
        for problem in state.problems
    )
    return (*store, *roots, *_source_problems(heads))


def concerning(
    unit: Unit, states: Sequence[RootState], heads: Sequence[Head], memory: str = ""
) -> tuple[views.ProblemView, ...]:
    """Those of a unit's own declaration (its file, or what its whole root hangs on), and of its source."""
    mine = tuple(
        RootState(state.name, None, False, tuple(p for p in state.problems if _covers(p.where, unit.where)))
        for state in states
        if state.name == unit.root
    )
    source = (unit.source.repository, unit.source.ref)
    return problems(mine, [head for head in heads if (head.repository, head.ref) == source], memory)


def _covers(problem: Where, declared: Where) -> bool:
    whole = not problem.file or problem.file.rpartition("/")[2] == CONFIG
    return whole or problem.file == declared.file or declared.file.startswith(f"{problem.file}/")


def _source_problems(heads: Sequence[Head]) -> tuple[views.ProblemView, ...]:
    wrong = sorted((head for head in heads if head.problem), key=lambda head: (head.repository, head.ref))
    return tuple(
        _problem(head.problem, f"source {views.public_url(head.repository)} {spoken(head.ref)}".rstrip())
        for head in wrong
    )


def _problem(told: str, where: str) -> views.ProblemView:
    text, _, hint = told.partition("\n")
    return views.ProblemView(text, where, hint.strip())
