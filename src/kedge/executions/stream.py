"""What a tool says, line by line: events in JSON to what people read, how far it is, and what is wrong.

Pure. The events are those of `-json` (both tools document them as their machine-readable UI); lines that are none of
them are taken as text. Secrets are masked here, before anything is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

HIDDEN = "(hidden)"
_SHORTEST_SECRET = 4
_LONGEST_LINE = 2_000
_LONGEST_PROBLEM = 4_000
_MOST_PROBLEMS = 50
_NAMED = 5
_UNSHOWN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Mask:
    """Takes secrets and control characters out of text. Values shorter than four characters are too common to hide."""

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value) if len(form) >= _SHORTEST_SECRET}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        plain = _UNSHOWN.sub("", text)
        return self._secrets.sub(HIDDEN, plain) if self._secrets is not None else plain


def _forms(value: str) -> Iterable[str]:
    """A secret as it can appear: whole, by its lines, within JSON or HCL, and within a URL."""
    stripped = value.strip()
    yield from (value, stripped, json.dumps(stripped)[1:-1], quote(stripped, safe=""))
    if "\n" in stripped:
        yield from (line.strip() for line in stripped.splitlines() if len(line.strip()) >= 2 * _SHORTEST_SECRET)


@dataclass(slots=True)
class Heard:
    """What a stage has said so far: `errors` and `warnings` as sentences, and how far it is. `places` are the file,
    line and address of errors that have one."""

    mask: Mask
    errors: list[str] = field(default_factory=list)
    places: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    planned: int = 0
    done: int = 0
    refreshed: int = 0
    last: str = ""
    errored: list[str] = field(default_factory=list)
    reading: list[str] = field(default_factory=list)

    def hear(self, raw: bytes) -> list[str]:
        """The lines that people read for one line of the stream."""
        text = raw.decode("utf-8", "replace").rstrip()
        event = _event(text)
        if event is None:
            return self._shown(text)
        self._count(event)
        diagnostic = event.get("diagnostic")
        if isinstance(diagnostic, dict):
            return self._diagnosed(diagnostic)
        return self._shown(str(event.get("@message", "")))

    @property
    def problems(self) -> tuple[str, ...]:
        """Errors first, without repetition, by file and line: a tool looks at many places at once, and names what it
        finds in another order each time."""
        errors = sorted(self.errors, key=lambda text: (*self.places.get(text, ("", 0, "")), text))
        return tuple(dict.fromkeys([*errors, *self.warnings]))[:_MOST_PROBLEMS]

    @property
    def told(self) -> str:
        """How far it is, in one sentence; "" where there is nothing to tell."""
        if self.done or (self.planned and self.last):
            return f"{self.done} of {self.planned} changes done" + (f", at {self.last}" if self.last else "")
        return f"{self.refreshed} objects read" if self.refreshed else ""

    def failed(self, text: str, place: tuple[str, int, str] = ("", 0, "")) -> None:
        """Something went wrong, at a `place` or, where the tool itself could not say it, at none."""
        told = self.mask(text)[:_LONGEST_PROBLEM]
        self.errors.append(told)
        self.places[told] = place

    def warned(self, text: str) -> None:
        self.warnings.append(f"warning: {self.mask(text)[:_LONGEST_PROBLEM]}")

    def _shown(self, text: str) -> list[str]:
        return [line[:_LONGEST_LINE] for line in self.mask(text).splitlines() if line.strip()]

    def _count(self, event: Mapping[str, Any]) -> None:
        hook = event.get("hook")
        resource = hook.get("resource") if isinstance(hook, dict) else None
        address = self.mask(str(resource.get("addr", "")))[:200] if isinstance(resource, dict) else ""
        match event.get("type"):
            case "planned_change":
                self.planned += 1
            case "apply_start" | "apply_progress":
                self.last = address
            case "apply_complete":
                self.done += 1
                self.last = ""
            case "apply_errored":
                self.errored.append(address)
            case "refresh_start":
                self.reading.append(address)
            case "refresh_complete":
                self.refreshed += 1
                if address in self.reading:
                    self.reading.remove(address)

    def _diagnosed(self, diagnostic: Mapping[str, Any]) -> list[str]:
        text = _sentence(diagnostic)
        busy = self.errored or self.reading
        if busy and not diagnostic.get("address") and not diagnostic.get("range"):
            # A provider that dies leaves the tool no more to say than that.
            more = f" and {len(busy) - _NAMED} more" if len(busy) > _NAMED else ""
            text += f" (at {', '.join(sorted(busy)[:_NAMED])}{more})"
        if diagnostic.get("severity") == "error":
            self.failed(text, (*_start(diagnostic), str(diagnostic.get("address") or "")))
            return self._shown(f"Error: {text}")
        self.warned(text)
        return self._shown(f"Warning: {text}")


def _event(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "@message" in event else None


def _sentence(diagnostic: Mapping[str, Any]) -> str:
    """`main.tf line 3: Unsupported argument: An argument named … (aws_db.main)`"""
    file, line = _start(diagnostic)
    where = f"{file}{f' line {line}' if line else ''}: " if isinstance(diagnostic.get("range"), dict) else ""
    summary, detail = (" ".join(str(diagnostic.get(name, "")).split()) for name in ("summary", "detail"))
    address = diagnostic.get("address")
    words = f"{summary}{f': {detail}' if detail else ''}{f' ({address})' if address else ''}"
    return where + words


def _start(diagnostic: Mapping[str, Any]) -> tuple[str, int]:
    """File and line, "" and 0 where it has none."""
    place = diagnostic.get("range")
    start = place.get("start") if isinstance(place, dict) else None
    line = start.get("line") if isinstance(start, dict) else None
    return str(place.get("filename", "")) if isinstance(place, dict) else "", line if isinstance(line, int) else 0
