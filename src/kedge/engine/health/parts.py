"""Parts of an object that a status reports on: parents of a route, shards of a database, domains of a certificate."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from kedge.engine.health.generation import outdated
from kedge.engine.health.read import LIST_LIMIT, Condition, clean, conditions, sentence, text
from kedge.engine.health.words import is_state, state_of, vocabulary, words
from kedge.model.health import Health, Status

DEPTH = 3  # steps below the status; deeper ones tell of the parts' own parts
PARTS_LIMIT = 1_000  # of one object, however they nest

_COMPLAINTS = (("errors",), ("problems",))
_PAST = vocabulary("history last previous old log logs events backups attempts runs records recent related")


def parts(status: Mapping[str, Any], depth: int = DEPTH) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The mappings inside a status, each with its path, but for conditions and what tells of the past."""
    queue: deque[tuple[str, Any, int]] = deque([("status", status, depth)])
    seen = 1
    while queue:
        where, entry, left = queue.popleft()
        if isinstance(entry, (dict, Mapping)) and where != "status":
            yield where, entry
        for path, value in _inner(where, entry) if left else ():
            if (seen := seen + 1) > PARTS_LIMIT:
                break
            queue.append((path, value, left - 1))


def judge_part(where: str, part: Mapping[str, Any]) -> Health | None:
    """What is bad in one part, by its phase or state. A part that is well says nothing about the whole."""
    for name in list(part)[:LIST_LIMIT]:
        if isinstance(name, str) and is_state(name) and state_of(word := text(part, name)) is Status.DEGRADED:
            why = text(part, "message") or text(part, "reason")
            return Health(Status.DEGRADED, sentence(f"{where}.{name} is {word}", why))
    return told_errors(where, part)


def told_errors(where: str, part: Mapping[str, Any]) -> Health | None:
    """A list of errors with something in it: Gatekeeper's `byPod[].errors`, Logging's `problems`."""
    for name in list(part)[:LIST_LIMIT]:
        if not (isinstance(name, str) and isinstance(part[name], list) and words(name[:100])[-1:] in _COMPLAINTS):
            continue
        for entry in part[name][:1]:
            told = clean(entry) if isinstance(entry, str) else text(entry, "message") or text(entry, "reason")
            return Health(Status.DEGRADED, sentence(f"{where}.{clean(name)[:100]}", told))
    return None


def conditions_of_parts(
    status: Mapping[str, Any], generation: int | None
) -> Iterator[tuple[str, tuple[Condition, ...]]]:
    """The conditions of each part that has some, without leftovers: where one entry of a list speaks of the present
    generation, another that refused an earlier one belongs to a part that is gone (a route's former parent)."""
    found = [(where, conditions(part, "conditions")) for where, part in parts(status) if part.get("conditions")]
    present = {_list_of(where) for where, entries in found if not _is_past(entries, generation)}
    for where, entries in found:
        refused = any(entry.false for entry in entries)
        if not (refused and _is_past(entries, generation) and _list_of(where) in present):
            yield where, entries


def _is_past(entries: tuple[Condition, ...], generation: int | None) -> bool:
    return bool(entries) and all(outdated(entry, generation) for entry in entries)


def _list_of(where: str) -> str:
    return where.rpartition("[")[0]


def _inner(where: str, entry: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(entry, list):
        for index, value in enumerate(entry[:LIST_LIMIT]):
            if isinstance(value, Mapping):
                yield f"{where}[{index}]", value
    elif isinstance(entry, (dict, Mapping)):
        for name, value in list(entry.items())[:LIST_LIMIT]:
            told = str(name)[:100]
            if (
                isinstance(value, (dict, list, Mapping))
                and told != "conditions"
                and not _PAST.intersection(words(told))
            ):
                yield f"{where}.{clean(told)}", value
