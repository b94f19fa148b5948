"""Objects of any kind, by the conventions that controllers share.

The order of evidence: suspended by its own spec; a generation nobody has looked at; conditions; a phase or state;
what a spec asks and a status counts. Each says something definite or nothing, and the worst definite word counts:
a controller that is Ready about an old error still has the error. Nothing definite at all is current (kstatus).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kedge.engine.health.generation import unobserved
from kedge.engine.health.read import LIST_LIMIT, clean, conditions, field, flag, mapping, sentence, text, whole
from kedge.engine.health.standard import judge_conditions
from kedge.engine.health.words import state_of, words
from kedge.model.health import Health, Status

_HELD = ("suspend", "suspended", "paused", "pause")  # Flux, Argo Rollouts, Cluster API, operators for databases
_STATES = frozenset({"phase", "state", "status", "health", "stage", "compliant"})  # the last word of such a field
_WHOLE = frozenset({Status.MISSING, Status.SUSPENDED})  # of a part, as in `databaseState`, no word on the whole
_BOOLEANS = ("healthy", "ready")
_FAILURES = ("failureMessage", "failureReason", "errorMessage", "errorDescription", "error")


def judge_by_convention(obj: Mapping[str, Any]) -> Health | None:
    """The health of an object whose kind has no rule of its own; None where no convention is recognised."""
    held = _held(obj)
    if held is not None:
        return held
    stale = unobserved(obj)
    if stale is not None:
        return stale
    found = list(filter(None, _evidence(obj)))
    return _worst(found)


def _evidence(obj: Mapping[str, Any]) -> Iterator[Health | None]:
    generation = whole(obj, "metadata", "generation")
    yield judge_conditions(conditions(obj), generation)
    for where, entry in _parts(mapping(obj, "status")):
        judged = judge_conditions(conditions(entry, "conditions"), generation)
        yield Health(judged.status, sentence(where, judged.message)) if judged is not None else None
    state = _by_state(obj)
    yield state
    if state is None or state.status is not Status.HEALTHY:
        yield _by_failure(obj)
    yield _by_count(obj)


def _worst(found: Sequence[Health]) -> Health | None:
    """The worst definite word; a state called Unknown counts only where nothing else is said."""
    definite = [health for health in found if health.status is not Status.UNKNOWN]
    return max(definite or found, key=lambda health: health.status.rank, default=None)


def _held(obj: Mapping[str, Any]) -> Health | None:
    """Suspended by its own spec (Flux's `suspend`, others' `paused`) or by an annotation `…/paused: "true"`."""
    spec = mapping(obj, "spec")
    name = next((name for name in _HELD if spec.get(name) is True), None)
    if name is not None:
        return Health(Status.SUSPENDED, f"held back on purpose: it goes on once spec.{name} is false")
    notes = mapping(obj, "metadata", "annotations")
    marks = (key for key in notes if isinstance(key, str) and key.endswith("/paused") and flag(notes, key))
    note = next(marks, None)
    return Health(Status.SUSPENDED, f"held back on purpose by the annotation {_short(note)}") if note else None


def _by_state(obj: Mapping[str, Any]) -> Health | None:
    """`status.phase` and its cousins (`currentState`, `overallStatus`), and the booleans `healthy` and `ready`.

    The worst where there are several.
    """
    status = mapping(obj, "status")
    said = text(status, "message") or text(status, "reason") or text(status, "description")
    names = [name for name in list(status)[:LIST_LIMIT] if isinstance(name, str) and _is_state(name)]
    found = [_state_word(status, name, said) for name in names]
    found += [_state_flag(status, name, said) for name in _BOOLEANS]
    return _worst(list(filter(None, found)))


def _is_state(name: str) -> bool:
    parts = words(name[:100])
    return bool(parts) and parts[-1] in _STATES


def _state_word(status: Mapping[str, Any], name: str, said: str) -> Health | None:
    # Argo CD's own kinds nest the word once more: status.health.status.
    word = text(status, name) or text(status, name, "status")
    meaning = state_of(word)
    if meaning is None or (meaning in _WHOLE and len(words(name[:100])) > 1):
        return None
    return Health(meaning, sentence(f"its {_short(name)} is {word}", said if meaning is not Status.HEALTHY else ""))


def _state_flag(status: Mapping[str, Any], name: str, said: str) -> Health | None:
    value = status.get(name)
    if not isinstance(value, bool):
        return None
    if value:
        return Health(Status.HEALTHY, f"it reports {name}: true")
    bad = Status.DEGRADED if name == "healthy" else Status.PROGRESSING
    return Health(bad, sentence(f"it reports {name}: false", said))


def _by_failure(obj: Mapping[str, Any]) -> Health | None:
    """A failure told in words: Cluster API's `failureMessage` and the `error` fields of many operators."""
    for name in _FAILURES:
        if told := text(obj, "status", name):
            return Health(Status.DEGRADED, f"status.{name}: {told}")
    return None


def _by_count(obj: Mapping[str, Any]) -> Health | None:
    """Fewer ready replicas than the spec asks for, in kinds that count as Deployments do."""
    wanted, ready = whole(obj, "spec", "replicas"), whole(obj, "status", "readyReplicas")
    if wanted is None or ready is None or ready >= wanted:
        return None
    return Health(Status.PROGRESSING, f"{ready} of {wanted} replicas are ready")


def _short(name: object) -> str:
    """A key of somebody else's object, fit to stand in a sentence."""
    return clean(str(name))[:100]


def _parts(status: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Entries of a status that carry conditions of their own: parents of a route, listeners of a gateway, …"""
    for name, value in list(status.items())[:LIST_LIMIT]:
        if name == "conditions" or not isinstance(value, list):
            continue
        for index, entry in enumerate(value[:LIST_LIMIT]):
            if isinstance(field(entry, "conditions"), list):
                yield f"status.{_short(name)}[{index}]", entry
