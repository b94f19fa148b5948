"""The table of hostile input names tests that there are, and the source has none of the doors that it calls shut."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.e2e.test_hard_cases import NAMED, ROOT, asked_for

TABLE = ROOT / "docs" / "explain" / "hostile.md"
SOURCE = ROOT / "src" / "kedge"
EVALUATED = {"eval", "exec", "compile", "__import__"}
LOADED = {("pickle", "loads"), ("pickle", "load"), ("marshal", "loads"), ("yaml", "load"), ("yaml", "unsafe_load")}
SHELLS = {("os", "system"), ("os", "popen"), ("subprocess", "getoutput"), ("asyncio", "create_subprocess_shell")}
FIXED = {("tempfile", "mktemp"), ("tempfile", "gettempdir")}


@cache
def nodes() -> tuple[tuple[Path, ast.AST], ...]:
    """Every call and text of the source."""
    files = sorted(SOURCE.rglob("*.py"))
    found = ((file, node) for file in files for node in ast.walk(ast.parse(file.read_text())))
    return tuple((file, node) for file, node in found if isinstance(node, ast.Call | ast.Constant))


def calls() -> Iterator[tuple[Path, ast.Call]]:
    return ((file, node) for file, node in nodes() if isinstance(node, ast.Call))


def named(call: ast.Call) -> tuple[str, str]:
    called = call.func
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return called.value.id, called.attr
    return "", called.id if isinstance(called, ast.Name) else ""


def test_every_threat_has_its_test() -> None:
    rows = [
        line for line in TABLE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| threat")
    ]
    assert len(rows) > 35
    for row in rows:
        tests = NAMED.findall(row)
        assert tests, row[:80]
        for _, file, name in tests:
            assert asked_for(file, name) is not None, f"{file}::{name}"


def test_nothing_in_the_source_runs_a_shell_or_evaluates_text() -> None:
    for file, call in calls():
        place = f"{file.relative_to(ROOT)}:{call.lineno}"
        assert named(call) not in LOADED | SHELLS, place
        assert named(call)[0] or named(call)[1] not in EVALUATED, place
        shell = [keyword for keyword in call.keywords if keyword.arg == "shell"]
        assert not shell, place


def test_every_temporary_folder_has_a_fresh_name() -> None:
    for file, node in nodes():
        fixed = isinstance(node, ast.Constant) and str(node.value).startswith(("/tmp", "/var/tmp"))
        assert not fixed, f"{file.relative_to(ROOT)}: {node.lineno}"
    assert not [file for file, call in calls() if named(call) in FIXED]
