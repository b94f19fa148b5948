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
SIZE = 64 * 1024
_MOST = 1_000
_PARTS = 32
_LONGEST = 250
_STARS = 8
"""Stars in one name of a pattern: each is a walk over the name it is matched with."""
_EFFORT = 5_000_000
"""Names that patterns are matched with, for one listing."""

Places = tuple[frozenset[int], ...]
"""For each pattern, how many of its parts a folder's path may have used up."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """`parts` are matched against the names of a path; None stands for any number of names (`**`)."""

    parts: tuple[re.Pattern[str] | None, ...]
    again: bool
    folders: bool


class Rules:
    """A path is judged name by name, and what was found of its folder is kept for the next one in it: neither depth nor
    number of the names before it is paid for again."""

    def __init__(self, patterns: tuple[Pattern, ...]) -> None:
        self.patterns = patterns
        self._start: Places = tuple(_spread(pattern.parts, {0}) for pattern in patterns)
        self._last: tuple[str, bool, Places] = ("", False, self._start)

    def ignores(self, path: str, *, folder: bool = False) -> bool:
        """Whether a path, or a folder that it is in, is ignored."""
        above, _, name = path.rpartition("/")
        ignored, places = self._folder(above)
        return ignored or self._says(self._after(places, name), folder=folder)

    def seen(self, paths: Iterable[str]) -> list[str]:
        return [path for path in paths if not self.ignores(path)]

    def too_many(self, entries: int) -> bool:
        """Whether to judge so many entries would take too long."""
        return entries * len(self.patterns) > _EFFORT

    def _folder(self, path: str) -> tuple[bool, Places]:
        """Whether a folder is ignored, and where the patterns are after its path."""
        if path == self._last[0]:
            return self._last[1:]
        ignored, places = False, self._start
        for name in path.split("/") if path else ():
            places = self._after(places, name)
            if self._says(places, folder=True):
                ignored, places = True, ()
                break
        self._last = (path, ignored, places)
        return ignored, places

    def _after(self, places: Places, name: str) -> Places:
        return tuple(_step(pattern.parts, at, name) for pattern, at in zip(self.patterns, places, strict=True))

    def _says(self, places: Places, *, folder: bool) -> bool:
        """The last pattern that matches is right."""
        for pattern, at in zip(reversed(self.patterns), reversed(places), strict=True):
            if len(pattern.parts) in at and (folder or not pattern.folders):
                return not pattern.again
        return False


@lru_cache(maxsize=64)
def read(raw: bytes) -> Rules:
    """The rules of a file. Raises Invalid for one that is too large."""
    lines = raw.decode("utf-8", "replace").splitlines()
    if len(raw) > SIZE or len(lines) > _MOST:
        raise too_large()
    return Rules(tuple(pattern for line in lines if (pattern := _pattern(line)) is not None))


def too_large() -> Invalid:
    return Invalid(f"more than {_MOST} lines, or {SIZE} bytes, are not read", where=Where(FILE))


def _pattern(line: str) -> Pattern | None:
    text = line.rstrip()
    if not text or text.startswith("#"):
        return None
    again = text.startswith("!")
    text = text[1:] if again else text.removeprefix("\\")
    folders, text = text.endswith("/"), text.rstrip("/")
    anchored = "/" in text
    names = [name for name in text.split("/") if name]
    if not names or len(names) > _PARTS or len(text) > _LONGEST or any(name.count("*") > _STARS for name in names):
        return None
    # What ends in `**` is what is below a folder, not the folder itself: at least one name more.
    written = [*names, "*"] if names[-1] == "**" else names
    parts = tuple(None if name == "**" else _name(name) for name in written)
    return Pattern(parts if anchored else (None, *parts), again, folders)


def _name(text: str) -> re.Pattern[str]:
    """One name with `*`, `?` and `[…]`. Python's translation gives back nothing that it has matched (atomic)."""
    return re.compile(fnmatch.translate(re.sub(r"\*+", "*", text)))


def _step(parts: Sequence[re.Pattern[str] | None], places: frozenset[int], name: str) -> frozenset[int]:
    """Each part takes one name, `**` any number: the places that a match can have got to after one name more."""
    after: set[int] = set()
    for place in places:
        if place == len(parts):
            continue
        part = parts[place]
        if part is None:
            after.add(place)
        elif part.match(name):
            after.add(place + 1)
    return _spread(parts, after)


def _spread(parts: Sequence[re.Pattern[str] | None], places: set[int]) -> frozenset[int]:
    """With the places that are reached by having `**` take nothing."""
    found = set(places)
    for place in places:
        while place < len(parts) and parts[place] is None:
            place += 1
            found.add(place)
    return frozenset(found)
