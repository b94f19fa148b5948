"""One unit as people read it: a summary on one screen, its runs, its objects, where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from kedge.cli.views.human import ago, clean, coloured, commit, moment, one_line, span, table

Row = dict[str, Any]


def summary(unit: Row, *, wide: bool) -> None:
    """The why sentence first; then what is live, when that was verified, and what waits."""
    state = f"{coloured(unit['sync'])}, {coloured(unit['health'])}"
    why = one_line(unit["why"])
    click.echo(f"{clean(unit['name'])}: {state}" + (f": {clean(why)}" if why else ""))
    for name, value in _facts(unit, wide):
        if value:
            click.echo(f"  {name:<14} {clean(value)}")


def _facts(unit: Row, wide: bool) -> Iterator[tuple[str, str]]:
    source, target = unit["source"], unit["target"]
    yield "live", commit(unit["live"]) or "nothing yet"
    if unit["head"] and unit["head"] != unit["live"]:
        yield "head", commit(unit["head"])
    yield "verified", _verified(unit)
    yield "alarm", one_line(unit.get("late", ""))
    if unit["health"] != "Healthy" and unit["healthMessage"] != unit["why"]:
        yield "health", unit["healthMessage"]
    yield "source", f"{source['repository']} {source['ref']} {source['path']}".strip()
    if unit["tool"]:
        yield "tool", f"{unit['tool']['name']} {unit['tool']['version']}".strip()
        yield "workspace", unit["tool"].get("workspace", "")
        yield "next look", _next_look(unit["tool"])
        yield "outputs", ", ".join(f"{name} = {value}" for name, value in unit["outputs"].items())
    else:
        where = f", namespace {target['namespace']}" if target["namespace"] else ""
        yield "target", f"cluster {target['cluster']}{where}"
        yield "objects", str(unit["objects"])
        yield "outputs", ", ".join(f"{name} = {value}" for name, value in unit["outputs"].items())
    yield "drifted", ", ".join(unit["drifted"])
    yield "cosmetic", _cosmetic(unit.get("cosmetic", ()))
    for warning in unit.get("warned", ()):
        yield "warning", one_line(warning)
    yield from _doings(unit)
    if wide:
        yield "labels", ", ".join(f"{key}={value}" for key, value in unit["labels"].items())
        yield "declared", f"{unit['declaredAt']} (root {unit['root']})"
        policy = unit["syncPolicy"]
        yield (
            "policy",
            f"auto {policy['auto']}, prune {policy['prune']}, heal {policy['heal']}, on removal {unit['onRemove']}",
        )
        yield "after", ", ".join(unit["after"])
        yield "inputs", ", ".join(f"{name} from {place}" for name, place in unit["inputs"].items())
        yield "notes", "; ".join(unit["notes"])


def _next_look(tool: Row) -> str:
    due = tool.get("drift")
    why = ": it is put off, for looks take half of the time at most" if tool.get("putOff") else ""
    return f"for drift, from {moment(due)} on{why}" if due is not None else ""


def _cosmetic(addresses: Sequence[str]) -> str:
    """Changed outside, and nothing that the code says: no drift."""
    return f"changed outside, of no effect on what is declared: {', '.join(addresses)}" if addresses else ""


def _doings(unit: Row) -> Iterator[tuple[str, str]]:
    run, last, plan, pin, trouble = unit["run"], unit["lastRun"], unit["plan"], unit["pin"], unit["trouble"]
    if run:
        yield "running", f"run {run['number']} ({run['cause']}) by {run['actor']}: {run['waiting'] or 'at work'}"
    if last:
        yield "last run", f"{last['number']} ({last['cause']}) by {last['actor']}: {one_line(_ended(last))}"
    if plan and not run:
        yield "pending", f"{plan['summary']}, effects {plan['effects'][:12]}"
        if plan["needs"]:
            yield "needs", _needs(plan["needs"])
            yield "", f"kedge diff {unit['name']}, then kedge approve {unit['name']} --effects {plan['effects'][:12]}"
    if pin:
        yield "pinned", f"to run {pin['run']} by {pin['actor']}: {pin['reason']} (until {moment(pin['expires'])})"
    yield "suspended", unit["suspended"]
    if unit["removed"] is not None:
        yield "removed", f"its declaration left Git at {moment(unit['removed'])}"
    if trouble:
        times = "once" if trouble["attempts"] == 1 else f"{trouble['attempts']} times"
        again = f", again at {moment(trouble['again'])}" if trouble["again"] else ""
        yield "trouble", f"{one_line(trouble['text'])} ({times}{again})"


def _ended(run: Row) -> str:
    return f"{run['result']}: {run['message']}" if run["message"] else str(run["result"])


def _verified(unit: Row) -> str:
    if unit["lastVerified"] is None:
        return "never"
    return f"{ago(unit['verifiedAge'])} ({moment(unit['lastVerified'])})"


def _needs(needs: Row) -> str:
    who = f"{needs['count']} of {', '.join(needs['by'])}" if needs["by"] else f"{needs['count']} approval"
    return f"{who}: {'; '.join(needs['reasons'])}"


def runs(items: Sequence[Row], *, wide: bool) -> None:
    """Newest first."""
    rows = [
        [
            run["number"],
            moment(run["started"]),
            _lasted(run),
            run["result"] or "Running",
            run["cause"],
            run["actor"],
            commit(run["revision"]),
            *([run["before"][:12], run["after"][:12], run["effects"][:12]] if wide else []),
            "; ".join(text for text in (run["reason"], run["message"] or run["waiting"]) if text),
        ]
        for run in items
    ]
    head = ["RUN", "STARTED", "TOOK", "RESULT", "CAUSE", "ACTOR", "COMMIT"]
    table([*head, *(["BEFORE", "AFTER", "EFFECTS"] if wide else []), "WHY"], rows, cut=not wide)


def _lasted(run: Row) -> str:
    return span(run["finished"] - run["started"]) if run["finished"] is not None else ""


def trace(found: Row) -> None:
    """Object → what made it → unit → commit → author."""
    revision, run = found["revision"], found["run"]
    click.echo(f"{clean(found['object'])} in cluster {clean(found['cluster'])}")
    for above in found["via"]:
        click.echo(f"  of      {clean(above)}")
    click.echo(f"  unit    {clean(found['unit'])}")
    click.echo(f"  source  {clean(found['source'])}")
    click.echo(f"  commit  {clean(commit(revision)) or 'none applied yet'}")
    if revision:
        click.echo(f"  author  {clean(revision['author'])} at {moment(revision['time'])}")
    if run:
        click.echo(
            f"  run     {run['number']} ({clean(run['cause'])}) by {clean(run['actor'])}: {clean(run['result'])}"
        )
