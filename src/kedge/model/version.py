"""Versions and ranges of them: semantic versioning 2.0, and the ranges that Helm and Flux users write.

Ranges mean what Masterminds' semver for Go takes them to mean, prereleases included: one only fits where the range
names a prerelease itself, in the same alternative (`>=1.2.0-0`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import total_ordering
from typing import TypeVar

from kedge.model.errors import Invalid

_LONGEST = 256
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_STRICT = re.compile(
    rf"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?\Z", re.ASCII
)
_LOOSE = re.compile(rf"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?\Z", re.ASCII)
_ANY = "xX*"
_PART = r"(?:\d+|[xX*])"
_BOUND = re.compile(
    rf"\s*(=|!=|>=|=>|<=|=<|>|<|~>|~|\^|)\s*v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?"
    rf"(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?\s*(?:,|(?=\s|[=!<>~^]|\Z))",
    re.ASCII,
)
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*\Z")
PESSIMISTIC = "~>"
_SPELLED = {"=>": ">=", "=<": "<=", "~>": "~", "": "="}
_DIGITS = 18

Key = tuple[int, tuple[tuple[int, int, str], ...]]
T = TypeVar("T")


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """Ordered by precedence; `build` does not count, and makes no two versions different either."""

    major: int
    minor: int = 0
    patch: int = 0
    pre: str = ""
    build: str = ""

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        return text + (f"-{self.pre}" if self.pre else "") + (f"+{self.build}" if self.build else "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[int, int, int, Key]:
        return self.major, self.minor, self.patch, _precedence(self.pre)


def _precedence(pre: str) -> Key:
    """A release is after its prereleases; numbers are before words, and compare as numbers."""
    if not pre:
        return 1, ()
    return 0, tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in pre.split("."))


def read(text: str, *, loose: bool = False) -> Version | None:
    """A version such as `v1.2.3`, None for anything else. `loose`: `1.2` and `1` too, as Helm reads those of charts."""
    match = (_LOOSE if loose else _STRICT).match(text) if len(text) <= _LONGEST else None
    if match is None or any(len(part) > _DIGITS for part in re.findall(r"\d+", text)):
        return None
    major, minor, patch, pre, build = match.groups()
    return Version(int(major), int(minor or 0), int(patch or 0), pre or "", build or "")


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison. `told` says how many of major, minor and patch were written out, the others being any."""

    operator: str
    version: Version
    told: int

    def admits(self, version: Version) -> bool:
        ours, theirs = self._cut(self.version), self._cut(version)
        match self.operator:
            case ">=":
                return version >= self.version
            case ">":
                return theirs > ours if self.told < 3 else version > self.version
            case "<":
                return version < self.version
            case "<=":
                return theirs <= ours if self.told < 3 else version <= self.version
            case "!=":
                return theirs != ours if self.told < 3 else version != self.version
            case "=":
                return theirs == ours if self.told < 3 else version == self.version
        return version >= self.version and self._same(version)

    def _same(self, version: Version) -> bool:
        """`~` holds the minor version, where one was told; `^` the first number that is not zero; `~>` all numbers but
        the last that was told."""
        ours, theirs = self.version, version
        if self.operator == PESSIMISTIC:
            kept = max(0, self.told - 1)
        elif self.operator == "~":
            kept = min(self.told, 2)
        elif ours.major or self.told < 2:
            kept = min(self.told, 1)
        else:
            kept = 2 if ours.minor or self.told < 3 else 3
        return (ours.major, ours.minor, ours.patch)[:kept] == (theirs.major, theirs.minor, theirs.patch)[:kept]

    def _cut(self, version: Version) -> tuple[int, ...]:
        return (version.major, version.minor, version.patch)[: self.told]


@dataclass(frozen=True, slots=True)
class Range:
    """Alternatives, each of which is a row of bounds that hold together."""

    text: str
    alternatives: tuple[tuple[Bound, ...], ...]

    def admits(self, version: Version) -> bool:
        return any(_admits(bounds, version) for bounds in self.alternatives)


def _admits(bounds: Sequence[Bound], version: Version) -> bool:
    if version.pre and not any(bound.version.pre for bound in bounds):
        return False
    return all(bound.admits(version) for bound in bounds)


def parse(text: str, *, tool: bool = False) -> Range:
    """The range that `text` writes: bounds with `=`, `!=`, `>`, `<`, `>=`, `<=`, `~`, `^`, wildcards (`1.x`, `*`) and
    hyphens (`1.2 - 1.4`), together by comma or space, alternatives by `||`. `tool`: of OpenTofu or Terraform, whose
    users mean by `~> 1.2` anything below 2, and by `~> 1.2.3` anything below 1.3; to Masterminds' semver it is another
    `~`. Raises Invalid for anything else."""
    if not text.strip() or len(text) > _LONGEST:
        raise Invalid("a range of versions is wanted, such as “>=1.2 <2”, “~1.4” or “1.x”")
    return Range(text, tuple(_row(part, text, tool) for part in text.split("||")))


def _row(part: str, text: str, tool: bool) -> tuple[Bound, ...]:
    hyphen = _HYPHEN.match(part)
    if hyphen is not None:
        part = f">={hyphen[1]} <={hyphen[2]}"
    found, place = [], 0
    while place < len(part.rstrip()):
        match = _BOUND.match(part, place)
        if match is None:
            break
        found.append(_bound(match, tool))
        place = match.end()
    if not found or place < len(part.rstrip()) or part.rstrip().endswith(","):
        shown = text[:60]
        raise Invalid(f"“{shown}” is not a range of versions", hint="write one such as “>=1.2 <2”, “~1.4” or “1.x”")
    return tuple(found)


def _bound(match: re.Match[str], tool: bool) -> Bound:
    operator, *parts, pre, build = match.groups()
    told = next((index for index, part in enumerate(parts) if part is None or part in _ANY), 3)
    major, minor, patch = [int(part[:_DIGITS]) for part in parts[:told]] + [0] * (3 - told)
    spelled = operator if tool and operator == PESSIMISTIC else _SPELLED.get(operator, operator)
    return Bound(spelled, Version(major, minor, patch, pre or "", build or ""), told)


def newest(wanted: Range, named: Iterable[tuple[str, T]], *, loose: bool = False) -> tuple[str, T] | None:
    """The newest (name, anything) whose name is a version in the range; a name written exactly as the range wins, and
    of names of one precedence (`1.2.3`, `v1.2.3`) the last in order. None where nothing fits."""
    chosen: tuple[Version, str, T] | None = None
    for name, thing in named:
        if name == wanted.text:
            return name, thing
        version = read(name, loose=loose)
        if version is None or not wanted.admits(version):
            continue
        if chosen is None or (version, name) > (chosen[0], chosen[1]):
            chosen = version, name, thing
    return chosen and (chosen[1], chosen[2])
