"""States of stacks as tables and lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from kedge.cli.views.human import ago, clean, moment, one_line, say, table

Row = dict[str, Any]
_SIGNS = {"create": "+", "update": "~", "delete": "-", "replace": "±"}
_VALUE = 80


def lines(items: Sequence[Row]) -> None:
    if not items:
        say("there are no states here")
        return
    head = ["UNIT", "VERSION", "SERIAL", "RESOURCES", "SIZE", "WRITTEN", "LOCKED BY"]
    table(head, [[row["unit"], *_version(row["newest"]), _holder(row["lock"])] for row in items])


def _version(row: Row) -> list[object]:
    return [row["number"], row["serial"], row["resources"], _size(row["size"]), ago(row["age"])]


def versions(found: Row) -> None:
    _locked(found["lock"])
    if not found["items"]:
        say(f"{found['unit']} has no state")
        return
    head = ["VERSION", "SERIAL", "RESOURCES", "SIZE", "WRITTEN", "HOW", "BY", "REASON"]
    rows = [
        [
            row["number"],
            row["serial"],
            row["resources"],
            _size(row["size"]),
            moment(row["at"]),
            row["origin"],
            row["actor"] or row["execution"],
            one_line(row["reason"]),
        ]
        for row in found["items"]
    ]
    table(head, rows)
    if found["next"]:
        say(f"{len(rows)} shown: --limit shows more")


def one(found: Row) -> None:
    """Outputs to values, and addresses."""
    version = found["version"]
    say(
        f"{found['unit']}: version {version['number']} ({version['origin']}), serial {version['serial']}, "
        f"lineage {clean(version['lineage'])}, {ago(version['age'])}"
    )
    _locked(found["lock"])
    for output in found["outputs"]:
        click.echo(f"output.{clean(output['address'])} = {_json(output['values'])}")
    for address in found["resources"]:
        click.echo(clean(address))


def attributes(items: Sequence[Row]) -> None:
    for item in items:
        click.echo(clean(item["address"]))
        values = item["values"]
        for name, value in sorted(values.items()) if isinstance(values, dict) else ():
            click.echo(f"  {clean(name)} = {_json(value)}")


def differences(found: Row) -> None:
    before, after = found["before"], found["after"]
    since = f"version {before['number']} (serial {before['serial']})" if before is not None else "nothing"
    say(f"{found['unit']}: from {since} to version {after['number']} (serial {after['serial']})")
    if not found["items"]:
        say("no resource and no output differs")
    for item in found["items"]:
        click.echo(f"{_SIGNS.get(item['act'], '~')} {clean(item['address'])}")
        if item["act"] != "update":
            continue
        for field in item["fields"]:
            moved = f"{_cut(field['before']) or 'nothing'} → {_cut(field['after']) or 'nothing'}"
            click.echo(f"    {clean(field['path'])}{': ' if field['path'] else ''}{moved}")


def _locked(lock: Row | None) -> None:
    if lock is not None:
        say(f"locked by {_holder(lock)} ({clean(lock['operation'])}, {clean(lock['who'])}), {ago(lock['age'])}")


def _holder(lock: Row | None) -> str:
    return clean(lock["execution"]) if lock is not None else ""


def _json(value: object) -> str:
    return clean(json.dumps(value, ensure_ascii=False, sort_keys=True))


def _cut(text: str) -> str:
    shown = clean(text)
    return shown if len(shown) <= _VALUE else f"{shown[: _VALUE - 1]}…"


def _size(size: int) -> str:
    for unit, name in ((1024 * 1024, "MiB"), (1024, "KiB")):
        if size >= unit:
            return f"{size / unit:.0f} {name}"
    return f"{size} B"
