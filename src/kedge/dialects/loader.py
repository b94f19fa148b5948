"""The one guarded YAML loader: text that somebody wrote → plain values that remember their lines.

A value means what Kubernetes' own reader would take it to mean (`scalars`), so a declaration and a manifest never
disagree about `on` or `0644`. Everything that makes a parser dangerous or a text ambiguous is refused: duplicate keys,
tags, control characters, endless nesting, alias bombs. Bounds on size and depth hold before the C parser sees a byte;
the tree is built from its events without recursion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kedge.dialects.events import Budget, build
from kedge.model.errors import Invalid, Problem, Where

Step = str | int


@dataclass(frozen=True, slots=True)
class Limits:
    """`size` in bytes of a file; `depth` of nesting; `nodes` of a document with every alias written out."""

    size: int = 1 << 20
    depth: int = 100
    nodes: int = 100_000
    documents: int = 1_000


LIMITS = Limits()

_OPENERS = 10_000
"""Upper bound of nesting that the C parser is trusted with; it fails between 20,000 and 200,000 levels."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_MARKER = re.compile(r"^(---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
_NOTHING = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n|%[^\n]*\n)*[ \t]*(?:#[^\n]*|%[^\n]*)?\Z")
_BLOCK_PREFIX = re.compile(r"^[ \t?-]+", re.MULTILINE)
_FLOW_OPENER = re.compile(r"[\[{]")


@dataclass(frozen=True, slots=True)
class Piece:
    """The text of one document, from its `---` on, with the line and the character that it begins at."""

    line: int
    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Mark:
    """The line of a value (of its key, in a mapping) and the marks of what is in it."""

    line: int
    children: dict[Step, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """One document: `value` is made of dict, list, str, int, float, bool and None. `number` counts from 1.

    Values that the text shares by an alias are shared here too: treat them as read-only.
    """

    value: Any
    file: str
    number: int
    mark: Mark

    def where(self, path: Sequence[Step] = ()) -> Where:
        """The place of a path; the line is that of the nearest part that was written."""
        mark = self.mark
        for step in path:
            child = mark.children.get(step)
            if child is None:
                break
            mark = child
        return Where(self.file, mark.line, self.number, path_text(path))


@dataclass(frozen=True, slots=True)
class Stream:
    """The documents of one file that could be read, and what is wrong with the others."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...] = ()


def path_text(path: Sequence[Step]) -> str:
    """`("spec", "after", 0)` → `spec.after[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def read(raw: bytes, file: str = "", limits: Limits = LIMITS) -> Stream:
    """Every document of a file. One that is broken is a problem and hides none of its neighbours. Never raises."""
    try:
        found = pieces(text_of(raw, file, limits))
    except Invalid as error:
        return Stream((), error.problems)
    documents: list[Document] = []
    problems: list[Problem] = []
    for number, piece in enumerate(found, 1):
        if number > limits.documents:
            problems.append(Problem(f"there are more than {limits.documents} documents", Where(file, piece.line)))
            break
        try:
            documents.append(_document(piece.text, Where(file, piece.line, number), limits))
        except Invalid as error:
            problems.extend(error.problems)
    return Stream(tuple(documents), tuple(problems))


def load(raw: bytes, file: str = "", limits: Limits = LIMITS) -> tuple[Document, ...]:
    """Every document of a file. Raises Invalid with all that is wrong, each with its file, document and line."""
    stream = read(raw, file, limits)
    if stream.problems:
        raise Invalid("", problems=stream.problems)
    return stream.documents


def text_of(raw: bytes, file: str = "", limits: Limits = LIMITS) -> str:
    """A file's text. Raises Invalid for what is too long, no UTF-8, or holds control characters."""
    if len(raw) > limits.size:
        raise Invalid(f"the file has {len(raw)} bytes, more than the {limits.size} allowed", where=Where(file))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Invalid(
            f"byte {error.start + 1} is not UTF-8", where=Where(file, line), hint="save the file as UTF-8"
        ) from None
    text = text.removeprefix("\ufeff")
    found = _CONTROL.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise Invalid(f"there is a control character (U+{ord(found[0]):04X})", where=Where(file, line))
    return text


def pieces(text: str) -> Iterator[Piece]:
    """Cut a stream at its `---` and `...` lines, which YAML allows nowhere else. Empty documents are none."""
    cuts = [(0, 0), *((found.start(), found.end() if found[1] == "..." else found.start()) for found in _marks(text))]
    line = 1
    for (_, start), (end, _) in zip(cuts, [*cuts[1:], (len(text), 0)], strict=True):
        chunk = text[start:end]
        body = chunk[3:] if chunk.startswith("---") else chunk
        if not _NOTHING.match(body):
            yield Piece(line, start, chunk)
        line += chunk.count("\n")


def _marks(text: str) -> Iterator[re.Match[str]]:
    return _MARKER.finditer(text)


def _document(chunk: str, where: Where, limits: Limits) -> Document:
    prefix = max((len(found[0]) for found in _BLOCK_PREFIX.finditer(chunk)), default=0)
    if sum(1 for _ in _FLOW_OPENER.finditer(chunk)) + 2 * prefix > _OPENERS:
        raise Invalid(
            f"it could nest deeper than {_OPENERS} levels (brackets, braces and indentation are counted)", where=where
        )
    value, mark = build(chunk, where, Budget(limits.depth, limits.nodes), Mark)
    return Document(value, where.file, where.document, mark)
