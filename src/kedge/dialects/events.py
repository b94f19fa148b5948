"""From the C parser's events to values, without recursion, inside a budget of depth and nodes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from kedge.dialects import scalars
from kedge.model.errors import Invalid, Where

_UNFIT = re.compile("[\x00\ud800-\udfff]")
MERGE = object()
"""The key of a merge: `<<`, written without quotes."""


@dataclass(frozen=True, slots=True)
class Budget:
    """`nodes` counts what aliases and merges repeat as often as they repeat it."""

    depth: int
    nodes: int


@dataclass(slots=True)
class _Node:
    """A finished value: `size` is the number of values in it, itself included."""

    value: Any
    mark: Any
    size: int = 1
    key: Any = None


@dataclass(slots=True)
class _Frame:
    """A collection that is still open. `key` is the text (or MERGE) that waits for its value."""

    value: Any
    mark: Any
    line: int
    anchor: str | None
    size: int = 1
    key: Any = None
    key_line: int = 0
    lines: dict[Any, int] = field(default_factory=dict)
    merges: list[tuple[_Node, int]] = field(default_factory=list)


def build(text: str, where: Where, budget: Budget, mark: Callable[[int], Any]) -> tuple[Any, Any]:
    """The value of one document and its marks. `where` holds the first line's number. Raises Invalid only."""
    builder = _Builder(where, budget, mark)
    try:
        for event in yaml.parse(text, Loader=yaml.CLoader):
            builder.take(event)
    except yaml.YAMLError as error:
        builder.refuse(*_said(error))
    if builder.root is None:
        builder.refuse("there is nothing in it", 0)
    return builder.root.value, builder.root.mark


def _said(error: yaml.YAMLError) -> tuple[str, int]:
    found = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    words = [text for text in (getattr(error, "context", None), getattr(error, "problem", None)) if text]
    return f"it is not YAML: {', '.join(words) or 'it cannot be read'}", found.line if found else 0


class _Builder:
    def __init__(self, where: Where, budget: Budget, mark: Callable[[int], Any]) -> None:
        self.root: _Node | None = None
        self._where = where
        self._budget = budget
        self._mark = mark
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Node | None] = {}
        self._nodes = 0

    def refuse(self, text: str, line: int, hint: str = "") -> NoReturn:
        """`line` counts from 0 within the document's text."""
        place = Where(self._where.file, self._where.line + line, self._where.document)
        raise Invalid(text, where=place, hint=hint)

    def take(self, event: Any) -> None:
        line = event.start_mark.line
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self.refuse("a document starts in the middle of a line", line)

    def _line(self, line: int) -> int:
        return self._where.line + line

    def _count(self, size: int, line: int) -> None:
        self._nodes += size
        if self._nodes > self._budget.nodes:
            self.refuse(f"with aliases written out it has more than {self._budget.nodes} values", line)

    def _no_tag(self, event: Any, line: int) -> None:
        if event.tag is not None:
            self.refuse(f"the tag {event.tag} is not read: declarations are plain values", line)

    def _scalar(self, event: Any, line: int) -> None:
        self._no_tag(event, line)
        text = event.value
        if _UNFIT.search(text):
            self.refuse("a text holds a NUL or half a character", line)
        unquoted = event.implicit[0]
        frame = self._stack[-1] if self._stack else None
        named = unquoted and frame is not None and isinstance(frame.value, dict) and frame.key is None
        if named and frame is not None and text == "<<":
            self._key(frame, MERGE, line)
            return
        try:
            value = scalars.plain(text) if unquoted else text
        except ValueError as error:
            self.refuse(str(error), line)
        if named and scalars.ambiguous(text, value):
            read = scalars.key(value)
            said = f"the key {text} is “{read}” to Kubernetes' reader of YAML, and “{text}” to others"
            self.refuse(said, line, f'put quotes around it: "{text}"')
        self._finish(_Node(value, self._mark(self._line(line))), event.anchor, line)

    def _alias(self, anchor: str | None, line: int) -> None:
        node = self._anchors.get(anchor or "")
        if node is None:
            known = anchor in self._anchors
            self.refuse(f"*{anchor} is used inside of itself" if known else f"*{anchor} is not defined above", line)
        self._finish(node, None, line)

    def _open(self, event: Any, line: int) -> None:
        self._no_tag(event, line)
        if len(self._stack) >= self._budget.depth:
            self.refuse(f"it is nested deeper than {self._budget.depth} levels", line)
        if self._stack and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None:
            self.refuse("a key is a text, not a list or a mapping", line)
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Frame(value, self._mark(self._line(line)), line, event.anchor))

    def _close(self) -> None:
        frame = self._stack.pop()
        for node, line in frame.merges:
            self._merge(frame, node, line)
        self._finish(_Node(frame.value, frame.mark, frame.size), frame.anchor, frame.line, counted=frame.size - 1)

    def _finish(self, node: _Node, anchor: str | None, line: int, *, counted: int = 0) -> None:
        """Hand a finished value to what holds it; `counted` of its values were counted already."""
        self._count(node.size - counted, line)
        if anchor:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            frame.mark.children[len(frame.value)] = node.mark
            frame.value.append(node.value)
            frame.size += node.size
        elif frame.key is None:
            self._key(frame, self._text_key(node.value, line), line)
        else:
            self._put(frame, node, line)

    def _text_key(self, value: Any, line: int) -> str:
        if isinstance(value, dict | list):
            self.refuse("a key is a text, not a list or a mapping", line)
        try:
            return scalars.key(value)
        except ValueError as error:
            self.refuse(str(error), line)

    def _key(self, frame: _Frame, key: Any, line: int) -> None:
        first = frame.lines.setdefault(key, self._line(line))
        if key in frame.value or (key is MERGE and frame.merges):
            name = "<<" if key is MERGE else key
            self.refuse(f"the key “{name}” is already set on line {first}", line, "keep one of the two")
        frame.key, frame.key_line = key, line

    def _put(self, frame: _Frame, node: _Node, line: int) -> None:
        key, frame.key = frame.key, None
        frame.size += node.size
        if key is MERGE:
            frame.merges.append((node, line))
            return
        frame.value[key] = node.value
        place = self._mark(self._line(frame.key_line))
        place.children.update(node.mark.children)
        frame.mark.children[key] = place

    def _merge(self, frame: _Frame, node: _Node, line: int) -> None:
        """Lay merged keys under those that are written; of several mappings the first that has a key wins."""
        many = isinstance(node.value, list)
        values = node.value if many else [node.value]
        marks = [node.mark.children[index] for index in range(len(values))] if many else [node.mark]
        for value, mark in zip(values, marks, strict=True):
            if not isinstance(value, dict):
                self.refuse("<< takes a mapping, or a list of mappings", line)
            for key, part in value.items():
                if key not in frame.value:
                    frame.value[key] = part
                    frame.mark.children[key] = mark.children[key]
