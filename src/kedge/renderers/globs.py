"""Globs over paths, as Argo CD's directory source reads them. Pure, and linear in the path for any pattern.

`*` and `**` match any text, also across `/`; `?` one character; `[abc]`, `[a-z]`, `[!abc]` one of a
set; `{a,b}` either.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from kedge.model.errors import Invalid

_MOST_ALTERNATIVES = 256

Piece = str | tuple[bool, frozenset[str], tuple[tuple[str, str], ...]] | None
"""A literal character, a set (negated, members, ranges), `""` for any one character, None for any text."""


@lru_cache(maxsize=512)
def compile_glob(pattern: str) -> tuple[tuple[Piece, ...], ...]:
    """The alternatives of a pattern. Raises Invalid when it is malformed or has too many."""
    return tuple(_pieces(text, pattern) for text in _alternatives(pattern))


def matches(pattern: str, path: str) -> bool:
    return any(_matches(pieces, path) for pieces in compile_glob(pattern))


def _alternatives(pattern: str) -> list[str]:
    """Expand `{a,b}`, innermost groups first."""
    done, waiting = [], [pattern]
    while waiting:
        text = waiting.pop()
        group = _innermost(text, pattern)
        if group is None:
            done.append(text)
        else:
            start, end = group
            waiting.extend(text[:start] + choice + text[end + 1 :] for choice in _split(text[start + 1 : end]))
        if len(done) + len(waiting) > _MOST_ALTERNATIVES:
            raise Invalid(f"the glob “{pattern}” has more than {_MOST_ALTERNATIVES} alternatives")
    return done


def _innermost(text: str, pattern: str) -> tuple[int, int] | None:
    start, index = -1, 0
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == "{":
            start = index
        elif text[index] == "}" and start >= 0:
            return start, index
        index += 1
    if start >= 0:
        raise Invalid(f"the glob “{pattern}” opens a {{ that it does not close")
    return None


def _split(text: str) -> list[str]:
    parts, start, index = [], 0, 0
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == ",":
            parts.append(text[start:index])
            start = index + 1
        index += 1
    return [*parts, text[start:]]


def _pieces(text: str, pattern: str) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    index = 0
    while index < len(text):
        char = text[index]
        if char == "*":
            if not pieces or pieces[-1] is not None:
                pieces.append(None)
        elif char == "?":
            pieces.append("")
        elif char == "[":
            end = text.find("]", index + 2)
            if end < 0:
                raise Invalid(f"the glob “{pattern}” opens a [ that it does not close")
            pieces.append(_set(text[index + 1 : end]))
            index = end
        elif char == "\\" and index + 1 < len(text):
            index += 1
            pieces.append(text[index])
        else:
            pieces.append(char)
        index += 1
    return tuple(pieces)


def _set(text: str) -> Piece:
    negated = text[0] in "!^"
    body, members, ranges, index = text[negated:], set(), [], 0
    while index < len(body):
        if body[index + 1 : index + 2] == "-" and index + 2 < len(body):
            ranges.append((body[index], body[index + 2]))
            index += 3
        else:
            members.add(body[index])
            index += 1
    return negated, frozenset(members), tuple(ranges)


def _one(piece: Piece, char: str) -> bool:
    if isinstance(piece, str):
        return piece in ("", char)
    if piece is None:
        return True
    negated, members, ranges = piece
    return (char in members or any(low <= char <= high for low, high in ranges)) != negated


def _matches(pieces: Sequence[Piece], text: str) -> bool:
    """Two pointers and one memory of the last `*`: never worse than pattern times text."""
    at = piece = 0
    star, resume = -1, 0
    while at < len(text):
        if piece < len(pieces) and pieces[piece] is None:
            star, resume = piece, at
            piece += 1
        elif piece < len(pieces) and _one(pieces[piece], text[at]):
            at, piece = at + 1, piece + 1
        elif star >= 0:
            resume += 1
            at, piece = resume, star + 1
        else:
            return False
    return all(rest is None for rest in pieces[piece:])
