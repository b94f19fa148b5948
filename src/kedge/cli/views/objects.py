"""What runs of a unit, for people: its tree, the cluster's events about it, and lines of its Pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from kedge.cli.views.human import clean, coloured, moment, one_line, say, table

Row = Mapping[str, Any]
_OLD = ("ReplicaSet", "ControllerRevision")
"""Kinds of which each rollout leaves one behind: those that nothing hangs from are told in one line."""
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue")


def tree(name: str, answer: Row, *, wide: bool) -> None:
    """The unit, its objects in the order of waves, and below each what was made from it; `wide` shows every one."""
    below: dict[str, list[Row]] = {}
    for child in answer["children"]:
        below.setdefault(child["owner"], []).append(child)
    click.echo(clean(name))
    for line in _lines(answer["items"], below, "", wide=wide):
        click.echo(line)
    for note in answer["notes"]:
        say(f"note: {one_line(note)}")


def _lines(items: Sequence[Row], below: Mapping[str, Sequence[Row]], indent: str, *, wide: bool) -> Iterator[str]:
    folded = [] if wide else [item for item in items if item["kind"] in _OLD and _idle(item, below)]
    folded = folded if len(folded) > 1 else []
    shown = [item for item in items if item not in folded]
    for number, item in enumerate(shown):
        last = number == len(shown) - 1 and not folded
        yield f"{indent}{'└─' if last else '├─'} {_told(item)}"
        yield from _lines(below.get(item["key"], ()), below, f"{indent}{'   ' if last else '│  '}", wide=wide)
    for kind in dict.fromkeys(item["kind"] for item in folded):
        count = sum(item["kind"] == kind for item in folded)
        yield f"{indent}└─ {count} {kind}s of before (-o wide shows them)"


def _idle(item: Row, below: Mapping[str, Sequence[Row]]) -> bool:
    return "owner" in item and not below.get(item["key"]) and item["status"] in ("Healthy", "Suspended")


def _told(item: Row) -> str:
    kind = f"{item['group']}/{item['kind']}" if item["group"] else item["kind"]
    place = f"{item['namespace']}/{item['name']}" if item["namespace"] else item["name"]
    marks = [f"wave {item['wave']}" if item.get("wave") else "", "hook" if item.get("hook") else ""]
    marks += ["" if item.get("managed", True) else "not managed", "being deleted" if item["terminating"] else ""]
    extra = ", ".join(mark for mark in marks if mark)
    text = f"{clean(kind)} {clean(place)}  {coloured(item['status'])}" + (f" ({extra})" if extra else "")
    return text + (f": {clean(one_line(item['message']))}" if item["message"] else "")


def events(answer: Row, *, wide: bool) -> None:
    """The cluster's events, newest last."""
    rows = [
        [
            moment(event["last"] if event["last"] is not None else event["first"]),
            event["kind"],
            event["object"],
            event["reason"],
            *([event["source"], moment(event["first"])] if wide else []),
            one_line(event["message"]) + (f" (×{event['count']})" if event["count"] > 1 else ""),
        ]
        for event in answer["items"]
    ]
    more = ["SOURCE", "FIRST"] if wide else []
    if rows:
        table(["TIME", "TYPE", "OBJECT", "REASON", *more, "MESSAGE"], rows, cut=not wide)
    else:
        say("the cluster has no events about it; Kubernetes forgets them after an hour")
    for note in answer["notes"]:
        say(f"note: {one_line(note)}")


class Lines:
    """Lines of containers as they come. Each begins with its Pod and container as soon as there are several; `prefix`
    True or False: always or never."""

    def __init__(self, *, prefix: bool | None) -> None:
        self._prefix = prefix
        self._several = False
        self._colours: dict[tuple[str, str], str] = {}

    def take(self, line: Row) -> None:
        """Text to stdout, our own notes to stderr; nothing of either reaches the terminal as a control."""
        if "several" in line:
            self._several = bool(line["several"])
            return
        source = (str(line.get("pod", "")), str(line.get("container", "")))
        place = clean("/".join(part for part in source if part))
        if "note" in line:
            note = one_line(line["note"])
            say(f"{place}: {note}" if place else note)
            return
        colour = self._colours.setdefault(source, _COLOURS[len(self._colours) % len(_COLOURS)])
        text = clean(str(line.get("text", "")).expandtabs(8))
        several = self._several or len(self._colours) > 1
        shown = several if self._prefix is None else self._prefix
        click.echo(f"{click.style(place, fg=colour)} {text}" if shown else text)
