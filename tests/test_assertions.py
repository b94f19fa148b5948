"""Every test says what has to be true, and none sleeps."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
SLEEPS = re.compile(r"^\s*time\.sleep\(", re.MULTILINE)
"""Not in the text of a program that a test runs."""
PATIENT = TESTS / "parts" / "patience.py"


def silent(test: ast.stmt) -> bool:
    """Whether it neither asserts nor expects an error."""
    return not any(
        isinstance(one, ast.Assert) or (isinstance(one, ast.Attribute) and one.attr in ("raises", "fail"))
        for one in ast.walk(test)
    )


def sentences(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for one in ast.parse(text).body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_"):
            yield one


def test_every_test_asserts_in_sight_and_none_sleeps() -> None:
    """A test without an assertion passes when what it looks at has gone; one that sleeps is late or too early."""
    found: list[str] = []
    for path in sorted(TESTS.rglob("*.py")):
        text = path.read_text()
        if path.name.startswith("test_"):
            found += [f"{path}: {one.name} asserts nothing" for one in sentences(text) if silent(one)]
        if SLEEPS.search(text) and path != PATIENT:
            found.append(f"{path}: sleeps; tests.parts.patience waits for a condition")
    assert found == []
