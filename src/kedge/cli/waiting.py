"""Wait for a unit: follow the event stream, look again at each sign of it, until one answer stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kedge.cli.client import Server, unit_path
from kedge.cli.exits import Exit
from kedge.cli.views.human import say
from kedge.model.errors import Denied, Invalid, Planning, Unavailable
from kedge.ports import Clock

LOOK_SECONDS = 5.0
"""How long nothing need be heard before the unit is looked at anyway: health moves without an event."""


@dataclass(frozen=True, slots=True)
class Goal:
    """`what` is synced or healthy; `since` the version of the unit at which the wish was made, 0 for none."""

    what: str = "healthy"
    since: int = 0
    run: int = 0


def standing(unit: dict[str, Any], goal: Goal) -> Exit | None:
    """The answer, or None while it is still open. A fresh wish is judged by the run that came after it."""
    run, last, plan = unit["run"], unit["lastRun"], unit["plan"]
    if run is not None or unit["turnDue"]:
        return None
    if plan is not None and plan["needs"] is not None:
        return Exit.APPROVAL
    if _stuck(unit):
        return Exit.DEGRADED
    if goal.run and (last is None or last["number"] < goal.run):
        return None if unit["version"] <= goal.since or not unit["applied"] else _calm(unit, goal)
    if last is not None and last["result"] == "Failed" and unit["sync"] != "Synced":
        return Exit.DEGRADED
    return _calm(unit, goal)


def _stuck(unit: dict[str, Any]) -> bool:
    """Whether only another commit helps: the plan is refused, or there is none because nothing renders."""
    plan, trouble = unit["plan"], unit["trouble"]
    return (plan is not None and bool(plan["blocked"])) or (trouble is not None and trouble["again"] is None)


def _calm(unit: dict[str, Any], goal: Goal) -> Exit | None:
    if not unit["applied"]:
        return None
    if goal.what == "synced" or unit["health"] in ("Healthy", "Suspended"):
        return Exit.OK
    return Exit.DEGRADED if unit["health"] in ("Degraded", "Unknown") else None


def wait_for(server: Server, name: str, goal: Goal, seconds: float, clock: Clock) -> Exit:
    """At most `seconds`. Says what it waits for on stderr, once for each new sentence. Raises the server's errors."""
    end = clock.monotonic() + seconds
    last, told = "", ""
    while True:
        unit = server.get(unit_path(name))["unit"]
        told = _tell(unit, told)
        answer = standing(unit, goal)
        if answer is not None:
            return answer
        left = end - clock.monotonic()
        if left <= 0:
            return Exit.TIMEOUT
        last = _next_sign(server, name, last, min(left, LOOK_SECONDS))


def planned(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Ask for a plan for as long as a tool is at work on it, until it is there or the person has enough (Ctrl-C: the
    plan is made all the same, and is there for the next question). Says on stderr how far it is. Raises as `Server`."""
    told = ""
    while True:
        try:
            return ask()
        except Planning as error:
            if str(error) != told:
                told = str(error)
                say(told)


def _tell(unit: dict[str, Any], told: str) -> str:
    now = f"{unit['sync']}, {unit['health']}" + (f": {unit['why']}" if unit["why"] else "")
    if now != told:
        say(f"{unit['name']}: {now}")
    return now


def _next_sign(server: Server, name: str, last: str, seconds: float) -> str:
    """Listen until something is heard of the unit, or for `seconds`; the id to resume from."""
    try:
        for message in server.stream("/api/v1/stream", last, silence=max(0.05, seconds), unit=name):
            if message.kind:
                return message.id or last
    except (TimeoutError, Unavailable):
        return last
    except Invalid:  # the id is from before a restart with another store: listen from now on
        return ""
    except Denied:
        raise
    return last
