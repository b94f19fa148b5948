"""The fleet, sources, events, clusters and projects as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from kedge.cli.views.human import ago, commit, moment, one_line, say, table
from kedge.model.source import shortened

Row = dict[str, Any]
_MOST = 5


def apps(answer: Row, *, wide: bool) -> None:
    """Worst first, as the server orders them; the last column is the why sentence."""
    items = answer["items"]
    if not items:
        say("there are no applications here; kedge create app NAME prints the YAML of one")
        problems(answer.get("problems", ()))
        return
    head = ["UNIT", "SYNC", "HEALTH", "LIVE", "VERIFIED", "WHY"]
    if wide:
        head[3:3] = ["CLUSTER", "NAMESPACE", "PATH", "CHANGED"]
    table(head, [_app(row, wide) for row in items], cut=not wide)
    if answer.get("next"):
        say(f"{len(items)} of {answer.get('total', '?')} shown: --limit shows more")
    problems(answer.get("problems", ()))


def problems(items: Sequence[Row]) -> None:
    """What is wrong with roots and sources, below what it may keep from being news; on stderr."""
    for problem in items[:_MOST]:
        _tell(problem)
    if len(items) > _MOST:
        say(f"and {len(items) - _MOST} more: kedge get source")


def _tell(problem: Row) -> None:
    say(f"{problem['where']}: {problem['text']}" if problem["where"] else problem["text"])
    if problem["hint"]:
        say(f"  {problem['hint']}")


def _app(row: Row, wide: bool) -> list[object]:
    cells: list[object] = [row["name"], row["sync"], row["health"]]
    if wide:
        cells += [row["cluster"], row["namespace"], row["path"], moment(row["changed"])]
    why = one_line(row["why"]) or row["waiting"]
    marks = [word for word in ("pinned", "suspended") if row[word] and word not in why]
    why = "; ".join(text for text in (one_line(row.get("late", "")), *marks, why) if text)
    live = {name: row[name] for name in ("commit", "subject", "author")}  # its `version` counts its records
    return [*cells, commit(live), ago(row["verifiedAge"]), why]


def sources(items: Sequence[Row], roots: Sequence[Row], *, wide: bool) -> None:
    rows = [
        [
            row["repository"],
            row["ref"],
            commit(row["revision"]),
            ago(row["age"]),
            _answered(row),
            one_line(row["problem"]) or "ok",
        ]
        for row in items
    ]
    table(["REPOSITORY", "REF", "HEAD", "ASKED", "ANSWERED", "PROBLEM"], rows, cut=not wide)
    for root in roots:
        for problem in root["problems"]:
            place = f"root {root['name']}, {problem['where']}" if problem["where"] else f"root {root['name']}"
            _tell({**problem, "where": place})


def _answered(row: Row) -> str:
    return "not yet" if row.get("answeredAge") is None else ago(row["answeredAge"])


def events(items: Sequence[Row], *, wide: bool) -> None:
    head = ["TIME", "EVENT", "UNIT", "ACTOR", "COMMIT", "MESSAGE"]
    rows = [
        [
            moment(event["time"]),
            event["kind"],
            event["unit"],
            event["actor"],
            shortened(event["commit"]),
            _message(event),
            *([event["id"], event["before"][:12], event["after"][:12]] if wide else []),
        ]
        for event in items
    ]
    table([*head, *(["ID", "BEFORE", "AFTER"] if wide else [])], rows, cut=not wide)


def _message(event: Row) -> str:
    message = one_line(event["message"])
    return f"{message} ({event['reason']})" if event["reason"] else message


def clusters(items: Sequence[Row]) -> None:
    rows = [[row["name"], row["units"], _fresh(row), *_trouble(row)] for row in items]
    table(["CLUSTER", "UNITS", "FRESH", "SINCE", "REASON"], rows)


def _fresh(row: Row) -> str:
    return ago(row["age"]) if row["age"] is not None else "not watched"


def _trouble(row: Row) -> tuple[str, str]:
    """Since when something is wrong, and what; a dash and nothing while all is well."""
    reason = one_line(row.get("reason", ""))
    return (ago(row.get("reasonAge")), reason) if reason else ("-", "")


def secrets(names: Sequence[str]) -> None:
    if not names:
        say("no secrets are kept; kedge create secret NAME keeps one")
        return
    table(["SECRET"], [[name] for name in names])


def projects(items: Sequence[Row]) -> None:
    if not items:
        click.echo("there are no units yet", err=True)
        return
    rows = [[row["name"], row["units"], row["synced"], row["healthy"]] for row in items]
    table(["PROJECT", "UNITS", "SYNCED", "HEALTHY"], rows)
