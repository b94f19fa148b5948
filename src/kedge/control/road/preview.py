"""Preview: what a rollback would do, before anybody agrees to it. Changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from kedge.control.road.doors import Doors
from kedge.control.road.propose import Proposal, propose
from kedge.engine.trust import both
from kedge.model.dossier import Dossier, Pin
from kedge.model.errors import Invalid, Planning
from kedge.model.operation import Cause, Operation, Result
from kedge.model.origin import at
from kedge.model.person import Person

PIN_SECONDS = 7 * 24 * 3600.0
"""How long a pin holds before it alerts, unless the person says otherwise."""

PATIENCE = 10.0
"""Seconds that one question for a plan waits for a tool to make it; then it is told how far that is, and whoever wants
the plan asks again."""

_AGAIN = 0.2
_SEARCHED = 200


async def rollback_pin(
    doors: Doors, dossier: Dossier, to: str, person: Person, reason: str, lasting: float = PIN_SECONDS
) -> Pin:
    """The pin that takes a unit back to run `to` (a number), to commit `to` (at least 4 hex digits) or version `to` (of
    a chart or a tag), or, for "", to the newest successful run that applied something else than the last one. Raises
    Invalid when there is none."""
    now = doors.clock.now()
    run = await _run(doors, dossier, to)
    if run is not None and run.cause is Cause.REMOVAL:
        raise Invalid(
            f"run {run.number} took {dossier.name} away: there is nothing to go back to",
            hint=f"kedge history {dossier.name}",
        )
    if run is not None:
        unit = await doors.store.frozen(str(dossier.name), run.number) or dossier.unit
        # Going back is no way around a rule that has been tightened since.
        unit = replace(unit, approve=both(unit.approve, dossier.unit.approve))
        return Pin(person.name, reason, now, now + lasting, run.number, unit, run.revision, run.rendered)
    if not to or to.isdecimal():
        raise Invalid(f"{dossier.name} has no run {to or 'to go back to'}", hint=f"kedge history {dossier.name}")
    source = dossier.unit.source
    revision = await doors.source.fetch(source.repository, at(source.ref, to))
    return Pin(person.name, reason, now, now + lasting, 0, dossier.unit, replace(revision, ref=source.ref), "")


async def _run(doors: Doors, dossier: Dossier, to: str) -> Operation | None:
    name = str(dossier.name)
    if to.isdecimal() and len(to) < 7:
        return await doors.store.operation(name, int(to))
    current = dossier.last.rendered if dossier.last is not None else ""
    for run in await doors.store.operations(name, limit=_SEARCHED):
        # A removal names the set whose hooks it ran; it never put it in force.
        if run.result is not Result.SUCCEEDED or not run.rendered or run.cause is Cause.REMOVAL:
            continue
        if run.revision is not None and run.revision.called(to) if to else run.rendered != current:
            return run
    return None


async def preview_rollback(doors: Doors, dossier: Dossier, pin: Pin) -> Proposal:
    """The exact plan that the pin would lead to now."""
    wish = replace(dossier, pin=pin, removed=None, wish=None)
    return await patiently(doors, lambda: propose(doors, wish, aside=True))


async def patiently(doors: Doors, ask: Callable[[], Awaitable[Proposal]]) -> Proposal:
    """Ask until a stack's plan is made, for a person who waits for it. Raises Planning after a while."""
    began = doors.clock.monotonic()
    while True:
        try:
            return await ask()
        except Planning:
            if doors.clock.monotonic() - began > PATIENCE:
                raise
            await doors.clock.sleep(_AGAIN)
