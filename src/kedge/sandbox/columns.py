"""Server-side printing: the columns of every kind, and of custom ones as their definitions name them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from kedge.sandbox.cells import CELLS, USUAL, Cell
from kedge.sandbox.kinds import Kind
from kedge.sandbox.tables import age, at, json_path
from kedge.sandbox.wire import Object

Cells = Callable[[Object, float], list[Any]]
COLUMN = re.compile(r"(?P<wide>\*?)(?P<name>[^:=]+)(?::(?P<type>\w+))?(?:=(?P<path>[\w.]+)(?:\?(?P<missing>.*))?)?")

MISSING: dict[str, Any] = {"integer": 0, "0": 0, "boolean": False, "false": False}


def printer(kind: Kind) -> tuple[list[Object], Cells]:
    """Column definitions and the function that fills a row."""
    return _custom(kind) if kind.custom else _built_in(kind.key)


@cache
def _table() -> dict[str, str]:
    lines = files("kedge.sandbox").joinpath("columns.txt").read_text("utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if not line.startswith("#"))


def _built_in(key: str) -> tuple[list[Object], Cells]:
    columns, cells = [], []
    for text in _table().get(key, "Name|Age").split("|"):
        found = COLUMN.fullmatch(text)
        if found is None:
            raise ValueError(f"columns.txt: {text!r} of {key} is no column")
        columns.append(_column(found["name"], found["type"] or "string", bool(found["wide"])))
        cells.append(_cell(key, found))
    if key == "volumeattachments.storage.k8s.io":
        columns[1]["format"] = "name"
    return columns, lambda obj, now: [cell(obj, now) for cell in cells]


def _cell(key: str, column: re.Match[str]) -> Cell:
    name, path = column["name"], column["path"]
    if path is None:
        return CELLS.get((key, name)) or USUAL[name]
    missing = MISSING.get(column["missing"] or column["type"] or "", column["missing"] or "")
    return lambda obj, now: at(obj, path, missing)


def _column(name: str, type_: str = "string", wide: bool = False) -> Object:
    shown = "name" if name == "Name" else ""
    return {"name": name, "type": type_, "format": shown, "description": "", "priority": int(wide)}


def _custom(kind: Kind) -> tuple[list[Object], Cells]:
    extra = list(kind.columns) or [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
    columns = [_column("Name")]
    for item in extra:
        columns.append({**_column(item["name"], item.get("type", "string")), "priority": item.get("priority", 0)})

    def fill(obj: Object, now: float) -> list[Any]:
        row: list[Any] = [obj["metadata"]["name"]]
        for item in extra:
            value = json_path(obj, item["jsonPath"])
            row.append(age(value, now) if item.get("type") == "date" else value)
        return row

    return columns, fill
