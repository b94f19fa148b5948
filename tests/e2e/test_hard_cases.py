"""The table of hard cases names tests that there are, told where it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "explain" / "hard-cases.md"
NAMED = re.compile(r"([SR]*) ?`(tests/[\w/.]+\.py)::(test_\w+)`")
PLACES = {"S": {"access", "place"}, "R": {"access", "place", "real_cluster"}}


def asked_for(file: str, name: str) -> set[str] | None:
    """The fixtures of a test, None where there is no such test."""
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return {argument.arg for argument in node.args.args}
    return None


def test_every_hard_case_has_its_test_where_the_table_says() -> None:
    rows = [line.split(" | ") for line in TABLE.read_text().splitlines() if NAMED.search(line)]
    assert len(rows) > 15
    for row in rows:
        places = ""
        for told, file, name in NAMED.findall(row[2]):
            places = told or places
            fixtures = asked_for(file, name)
            assert places, row[0]
            assert fixtures is not None, f"{file}::{name}"
            assert all(fixtures & PLACES[place] for place in places), f"{name} is not told on {places}"
