"""`.kedgeignore`: what of a repository Kedge does not see. Patterns as in `.gitignore`; pure, and bounded in time.

Only the file in the root counts. What is ignored is not there: it is neither rendered nor listed, and a commit that
touches nothing else moves nobody.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kedge.model.errors import Invalid, Where

FILE = ".kedgeignore"
_SIZE = 64 * 1024
_MOST = 1_000
_PARTS = 32
_LONGEST = 250


@dataclass(frozen=True, slots=True)
class Pattern:
    """`parts` are matched against the names of a path; None stands for any number of names (`**`)."""

    parts: tuple[re.Pattern[str] | None, ...]
    again: bool
    folders: bool


@dataclass(frozen=True, slots=True)
class Rules:
    patterns: tuple[Pattern, ...]

    def ignores(self, path: str, *, folder: bool = False) -> bool:
        """Whether a path, or a folder that it is in, is ignored."""
        names = path.split("/")
        return any(self._says(names[:end], folder=folder or end < len(names)) for end in range(1, len(names) + 1))

    def seen(self, paths: Iterable[str]) -> list[str]:
        return [path for path in paths if not self.ignores(path)]

    def _says(self, names: Sequence[str], *, folder: bool) -> bool:
        """The last pattern that matches is right."""
        for pattern in reversed(self.patterns):
            if (folder or not pattern.folders) and _matches(pattern.parts, names):
                return not pattern.again
        return False


@lru_cache(maxsize=64)
def read(raw: bytes) -> Rules:
    """The rules of a file. Raises Invalid for one that is too large."""
    lines = raw.decode("utf-8", "replace").splitlines()
    if len(raw) > _SIZE or len(lines) > _MOST:
        raise Invalid(f"more than {_MOST} lines, or {_SIZE} bytes, are not read", where=Where(FILE))
    return Rules(tuple(pattern for line in lines if (pattern := _pattern(line)) is not None))


def _pattern(line: str) -> Pattern | None:
    text = line.rstrip()
    if not text or text.startswith("#"):
        return None
    again = text.startswith("!")
    text = text[1:] if again else text.removeprefix("\\")
    folders, text = text.endswith("/"), text.rstrip("/")
    anchored = "/" in text
    names = [name for name in text.split("/") if name]
    if not names or len(names) > _PARTS or len(text) > _LONGEST:
        return None
    # What ends in `**` is what is below a folder, not the folder itself: at least one name more.
    written = [*names, "*"] if names[-1] == "**" else names
    parts = tuple(None if name == "**" else _name(name) for name in written)
    return Pattern(parts if anchored else (None, *parts), again, folders)


def _name(text: str) -> re.Pattern[str]:
    """One name with `*`, `?` and `[…]`. Python's translation gives back nothing that it has matched (atomic)."""
    return re.compile(fnmatch.translate(re.sub(r"\*+", "*", text)))


def _matches(parts: Sequence[re.Pattern[str] | None], names: Sequence[str]) -> bool:
    """Each part takes one name, `**` any number: the places that a match can have got to, name by name."""
    places = _spread(parts, {0})
    for name in names:
        after = {place for place in places if place < len(parts) and parts[place] is None}
        for place in places:
            part = parts[place] if place < len(parts) else None
            if part is not None and part.match(name):
                after.add(place + 1)
        places = _spread(parts, after)
        if not places:
            return False
    return len(parts) in places


def _spread(parts: Sequence[re.Pattern[str] | None], places: set[int]) -> set[int]:
    """With the places that are reached by having `**` take nothing."""
    found = set(places)
    for place in sorted(places):
        while place < len(parts) and parts[place] is None:
            place += 1
            found.add(place)
    return found
