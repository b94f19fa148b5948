"""One document of several, put back as another version of the file has it: its neighbours stay as they are."""

from __future__ import annotations

from kedge.dialects.kedge import read
from kedge.dialects.loader import Piece, pieces, text_of
from kedge.model.declaration import Application
from kedge.model.errors import Invalid, Where
from kedge.model.ref import UnitName


def spliced(now: bytes, then: bytes, unit: UnitName, file: str) -> bytes:
    """`now` with the unit's declaration as `then` has it; at the end, where `now` has none of it (any more).

    Raises Invalid where `then` does not declare the unit, or where what is wrong with one of them may be the unit's.
    """
    old, new = text_of(then, file), text_of(now, file)
    wanted, there = _piece(then, old, unit, file), _piece(now, new, unit, file)
    if wanted is None:
        raise Invalid(f"{unit.project}/{unit.name} was not declared there then", where=Where(file))
    if there is not None and there.text == wanted.text:
        return now
    before, after = (new[: there.start], new[there.end :]) if there is not None else (_lines(new), "")
    apart = "---\n" if before and not wanted.text.startswith("---") else ""
    return f"{before}{apart}{_lines(wanted.text)}{after}".encode()


def _piece(raw: bytes, text: str, unit: UnitName, file: str) -> Piece | None:
    reading = read(raw, file)
    for declared in reading.declarations:
        if isinstance(declared, Application) and (declared.project, declared.name) == (unit.project, unit.name):
            return list(pieces(text))[declared.where.document - 1]
    if reading.problems:
        raise Invalid("", problems=reading.problems)
    return None


def _lines(text: str) -> str:
    """Whole lines: the last one ends, too."""
    return text if not text or text.endswith("\n") else f"{text}\n"
