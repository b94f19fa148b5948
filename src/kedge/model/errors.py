"""Errors: the class says what happens next, the text says what, where, why, and what to do.

KedgeError
├── Invalid      wait for a new revision: the input is wrong and will stay wrong until somebody changes it
├── Denied       wait for a person: an approval or a right is missing
├── Conflict     look again now: the world moved between looking and acting
└── Unavailable  look again later, with backoff: the other side is down, slow or refuses to answer
    └── Awaited  the same, but nothing is wrong: something that others bring is not there yet
        └── Planning  a tool is at work on a stack's plan, and rings when it is done

Anything else that is raised is a bug of ours. Only `kedge.control.shift` turns a class into a retry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

LONGEST = 2_000
"""Characters of a problem's text, and of each part of its place: what a stranger's words may take in the store and on a
page. The end is cut off."""

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What would move a terminal's cursor, turn a text around, or be no text to a database."""


def shown(text: str) -> str:
    """A text that may be a stranger's, fit to be shown and kept: bounded, with control characters written out, so that
    a name is told from one that looks like it."""
    written = _UNSEEN.sub(_escaped, text[: LONGEST + 1].replace("\r\n", "\n"))
    return written if len(written) <= LONGEST else f"{written[:LONGEST]} …"


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in what somebody wrote. `line` and `document` count from 1; 0 or "" means unknown."""

    file: str = ""
    line: int = 0
    document: int = 0
    path: str = ""

    def __str__(self) -> str:
        parts = [self.file] if self.file else []
        if self.document > 1:
            parts.append(f"document {self.document}")
        if self.line:
            parts.append(f"line {self.line}")
        if self.path:
            parts.append(self.path)
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it is, and what to do next. `text` is one sentence; whatever it quotes, it is
    `shown`."""

    text: str
    where: Where = Where()
    hint: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", shown(self.text))
        object.__setattr__(self, "hint", shown(self.hint))
        where = self.where
        if len(where.file) > LONGEST or len(where.path) > LONGEST or _UNSEEN.search(where.file + where.path):
            object.__setattr__(self, "where", replace(where, file=shown(where.file), path=shown(where.path)))

    def __str__(self) -> str:
        place = str(self.where)
        sentence = f"{place}: {self.text}" if place else self.text
        return f"{sentence}\n  {self.hint}" if self.hint else sentence


class KedgeError(Exception):
    """Base of every error that Kedge raises on purpose. Carries one or more problems."""

    def __init__(
        self, text: str, *, where: Where = Where(), hint: str = "", problems: tuple[Problem, ...] = ()
    ) -> None:
        self.problems = problems or (Problem(text, where, hint),)
        super().__init__("\n".join(map(str, self.problems)))


class Invalid(KedgeError):
    """The input is wrong. Waits for a new revision."""


class Denied(KedgeError):
    """Not allowed, or not yet approved. Waits for a person."""


class Conflict(KedgeError):
    """The world moved. Look again now."""


class Unavailable(KedgeError):
    """The other side cannot answer. Look again later; `retry_after` is in seconds when the other side named one."""

    def __init__(self, text: str, *, where: Where = Where(), hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(text, where=where, hint=hint)
        self.retry_after = retry_after


class Absent(Unavailable):
    """A file of a repository that is fetched in pieces is not here yet: bring it and do the same again. `path` is from
    the repository's root."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} has not been fetched yet", where=Where(path), hint="it is fetched when it is read")
        self.path = path


class Awaited(Unavailable):
    """What somebody else has to bring, such as a kind's definition, is not there yet. A run waits for it."""


class Planning(Awaited):
    """A tool is at work on a stack's plan."""
