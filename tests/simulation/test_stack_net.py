"""The net is held to faults put into the house on purpose: each must be caught within a few seeds, by its invariant."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.simulation.run import Failed
from tests.simulation.stack_run import run_stacks

from kedge.control.road import follow, perform, propose, reconcile
from kedge.engine import gate
from kedge.engine.gate import GO
from kedge.model.execution import Ending
from kedge.model.output import Published
from kedge.model.pair import Comparison, Known
from kedge.model.ref import stack_ref
from kedge.targets.opentofu import OpenTofuTarget, target

SEEDS = 100

_approved, _gate, _act = gate.approved, gate.gate, OpenTofuTarget.act


def _by_parts(plan: Any, needs: Any, approvals: Any) -> bool:
    """As of an application: who agreed to more has agreed to this."""
    wanted = {change.effect for change in plan.changes}
    return _approved(
        plan, needs, [replace(a, effects=plan.effects) if wanted <= set(a.changes) else a for a in approvals]
    )


async def _oldest_plan(self: Any, scope: Any, step: Any, manifest: Any) -> Any:
    reports = [each for each in self._exec.reports() if each.unit == scope.unit and each.task.plans]
    oldest = next(each for each in reports if each.ending is Ending.SUCCEEDED)
    digest = target.sha256((await self._exec.result(oldest.id)).plan).hexdigest()
    return await _act(self, scope, replace(step, artifact=f"{oldest.id}:{digest}"), manifest)


async def _nothing_moves(*_: Any) -> follow.Behind:
    return follow.Behind()


async def _at_once(*_: Any) -> bool:
    return True


def _in_clear(outputs: Any, key: bytes) -> tuple[Published, ...]:
    return tuple(Published(output.name, output.value, output.value) for output in outputs)


async def _never_compared(self: Any, scope: Any, desired: Any, known: Any, extra: Any) -> Comparison:
    ref = stack_ref(scope.unit)
    return Comparison((), (ref,), tuple(Known(ref, each.digest, "seen") for each in desired.manifests))


async def _left_open(self: Any, report: Any) -> None:
    return None


def _whole_anyway(dossier: Any, plan: Any, now: float, upstream: str = "") -> Any:
    return _gate(dossier, replace(plan, holes=(), needs=None) if plan.holes else plan, now, upstream)


def _always_well(scope: Any, ref: Any, report: Any, fingerprint: str) -> Any:
    good = replace(report, ending=Ending.SUCCEEDED) if report is not None and report.ending is not None else report
    return _sight(scope, ref, good, fingerprint)


_sight = target._sight


_sabotage: dict[str, tuple[Any, str, Callable[..., Any] | Any, str]] = {
    "any approval will do": (gate, "approved", lambda plan, needs, approvals: bool(approvals), "S[13]"),
    "who agreed to more has agreed to less": (gate, "approved", _by_parts, "S[13]"),
    "what holds state goes unasked": (propose, "destructive_to_stack", lambda changes: (), "S3"),
    "drift is repaired although healing is off": (gate, "_automation", lambda *_: GO, "S1"),
    "the oldest plan is applied, whichever was judged": (OpenTofuTarget, "act", _oldest_plan, "S1"),
    "a hole is nothing to wait for": (reconcile, "gate", _whole_anyway, "S2"),
    "values that are about to move are taken": (follow, "_moving", _nothing_moves, "S4"),
    "what comes before is not waited for": (reconcile, "upstream", _nothing_moves, "S5"),
    "what comes before is taken for what it was": (follow, "abreast", _at_once, "S[45]"),
    "an apply has no time to end": (reconcile, "PATIENCE", -600.0, "S6"),
    "secret outputs are kept in clear": (perform, "published", _in_clear, "S7"),
    "no plan is made": (OpenTofuTarget, "compare", _never_compared, "S8"),
    "an apply that died is taken for done": (target, "_sight", _always_well, "S8"),
    "the lock of a dead run stays": (OpenTofuTarget, "_close", _left_open, "I10"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", sorted(_sabotage))
def test_a_fault_in_how_stacks_are_handled_is_caught(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, fault, invariant = _sabotage[what]
    monkeypatch.setattr(module, name, fault)
    caught = []
    for seed in range(SEEDS):
        try:
            run_stacks(seed)
        except Failed as failed:
            caught.append(str(failed).partition("\n")[0])
            if re.search(rf": {invariant} ", caught[-1]):
                return
    pytest.fail(f"not caught by {invariant} in {SEEDS} seeds, but by {caught[:3]}")
