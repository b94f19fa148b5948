"""Actions of a kind, from the YAML list in its folder."""

from __future__ import annotations

from kedge.dialects import loader
from kedge.dialects.shape import MISSING, Shape
from kedge.model.action import Action
from kedge.model.errors import Invalid


def read_actions(raw: bytes, file: str = "") -> tuple[Action, ...]:
    """Raises Invalid with every problem."""
    stream = loader.read(raw, file)
    if stream.problems:
        raise Invalid("", problems=stream.problems)
    (document,) = stream.documents
    shape = Shape(document.where)
    read = shape.value(tuple[Action, ...], document.value, ())
    if shape.problems or read is MISSING:
        raise Invalid("", problems=tuple(shape.problems))
    found: tuple[Action, ...] = read
    return found
