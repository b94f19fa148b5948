"""What a unit puts out: where it is to be found, and how it is remembered. Pure."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from kedge.model.operation import Owned
from kedge.model.output import Output, OutputPlace, Published
from kedge.model.unit import Unit

LONGEST = 65_536
"""Characters of one value."""
_STEP = re.compile(r'\.?([^.\[\]]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]')


def places(unit: Unit, inventory: Sequence[Owned]) -> tuple[OutputPlace, ...]:
    """Where an application's outputs are: fields of objects that it owns. What it does not own yet is left out."""
    found = []
    for wanted in unit.outputs:
        kind, _, name = wanted.object.partition("/")
        kind, _, group = kind.partition(".")
        for entry in inventory:
            ref = entry.ref
            if (ref.kind, ref.name) == (kind, name) and group in ("", ref.group) and not entry.hook:
                found.append(OutputPlace(wanted.name, ref, wanted.path))
                break
    return tuple(found)


def at_path(value: Any, path: str) -> Any:
    """The field at `status.ingress[0].hostname`; None where there is none."""
    end = 0
    while end < len(path):
        step = _STEP.match(path, end)
        if step is None:
            return None
        end = step.end()
        if step[2] is not None:
            value = value[int(step[2])] if isinstance(value, list) and int(step[2]) < len(value) else None
        else:
            value = value.get(step[1] or step[3]) if isinstance(value, dict) else None
    return value


def published(outputs: Iterable[Output], key: bytes) -> tuple[Published, ...]:
    """What is remembered of outputs, by name. A sensitive value is not: only a stamp that moves with it."""
    return tuple(
        Published(output.name, "" if output.sensitive else output.value, _stamp(output, key), output.sensitive)
        for output in sorted(outputs, key=lambda output: output.name)
        if len(output.value) <= LONGEST
    )


def _stamp(output: Output, key: bytes) -> str:
    return hmac.new(key, f"output\0{output.name}\0{output.value}".encode(), sha256).hexdigest()[:32]
