"""Answers for people: tables, ages, a little colour; nothing of a remote text reaches the terminal as a control."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import click

from kedge.model.source import shortened

_COLOURS = {
    "Healthy": "green",
    "Synced": "green",
    "Succeeded": "green",
    "Progressing": "cyan",
    "OutOfSync": "yellow",
    "Suspended": "yellow",
    "Missing": "yellow",
    "Superseded": "yellow",
    "Degraded": "red",
    "Failed": "red",
    "Unknown": "magenta",
}
_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
CELL = 60


def clean(text: object, *, lines: bool = False) -> str:
    """`text` with every control, format and separator character written out, so that it can not move the cursor,
    change colours or hide what stands there. `lines` lets newlines and tabs be."""
    raw = str(text)
    if raw.isascii() and raw.isprintable():
        return raw
    keep = "\n\t" if lines else ""
    return "".join(c if c in keep or unicodedata.category(c) not in _CATEGORIES else _escaped(c) for c in raw)


def one_line(text: object) -> str:
    """An error's sentences, each with what to do next below it, on one line."""
    lines = [line.rstrip() for line in str(text).split("\n")]
    return "".join(
        line if not at else f" — {line.strip()}" if line[:1] == " " else f"; {line}" for at, line in enumerate(lines)
    )


def _escaped(character: str) -> str:
    code = ord(character)
    return {10: "\\n", 9: "\\t", 13: "\\r"}.get(code) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def coloured(text: str) -> str:
    """A word of state in its colour; `click.echo` takes it away where there is no terminal or NO_COLOR is set."""
    colour = _COLOURS.get(text.strip())
    return click.style(text, fg=colour) if colour else text


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, cut: bool = True) -> None:
    """Columns as wide as their widest cell; all but the last are cut at `CELL` unless `cut` is False."""
    body = [[clean(cell) for cell in row] for row in rows]
    if cut:
        body = [[*(_cut(cell) for cell in row[:-1]), row[-1]] for row in body]
    widths = [max(_width(line[i]) for line in [list(head), *body]) for i in range(len(head))]
    for number, line in enumerate([list(head), *body]):
        cells = [cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)]
        painted = [coloured(cell) for cell in cells] if number else cells
        click.echo("  ".join(painted).rstrip())


def _cut(cell: str) -> str:
    return cell if len(cell) <= CELL else cell[: CELL - 1] + "…"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def span(seconds: float) -> str:
    """`41 s`, `5 min`, `3 h`, `12 d`."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size or (seconds >= size and unit == "min"):
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def ago(seconds: float | None) -> str:
    return "never" if seconds is None else f"{span(seconds)} ago"


def moment(epoch: float | None) -> str:
    """UTC, to the second; "" for None."""
    if epoch is None:
        return ""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "(no time)"


def commit(revision: dict[str, Any] | None) -> str:
    """`3f2a9c1 "raise replicas" by Mona`, with the version before it where one was chosen."""
    if not revision:
        return ""
    version, known = revision.get("version"), shortened(str(revision.get("commit", "")))
    text = f"{version} {known}" if version and version != known else known
    subject, author = revision.get("subject"), revision.get("author")
    return text + (f' "{subject}"' if subject else "") + (f" by {author}" if author else "")


def say(text: str) -> None:
    """Progress: to stderr, so that stdout stays data."""
    click.echo(clean(text, lines=True), err=True)
