"""Objects of any kind, by the conventions that controllers share.

The order of evidence: suspended by its own spec; a generation nobody has looked at; conditions; a phase or state;
what a spec asks and a status counts. Each says something definite or nothing, and the worst definite word counts:
a controller that is Ready about an old error still has the error. A status without anything definite is current
(kstatus); no status at all is a controller that has not looked yet, see `unheard.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kedge.engine.health.counts import judge_counts
from kedge.engine.health.generation import unobserved
from kedge.engine.health.parts import conditions_of_parts, judge_part, parts, told_errors
from kedge.engine.health.read import LIST_LIMIT, clean, conditions, flag, mapping, sentence, text, whole
from kedge.engine.health.standard import judge_conditions, judge_pending
from kedge.engine.health.words import awaits_person, ends, is_pending, is_state, prose_tells_failure, state_of, words
from kedge.model.health import Health, Status

_HELD = ("suspend", "suspended", "paused", "pause")  # Flux, Argo Rollouts, Cluster API, operators for databases
_WHOLE = frozenset({Status.MISSING, Status.SUSPENDED})  # of a part, as in `databaseState`, no word on the whole
_ON = frozenset({"running", "started", "active", "created", "accepted"})
_NESTED = ("status", "phase")  # Argo CD's own kinds have a status.health.status, Volcano's a status.state.phase
_BOOLEANS = ("healthy", "ready", "readyToUse", "isReady", "isHealthy")
_DONE = ("applied", "available", "created", "deployed", "installed", "programmed", "provisioned", "synced", "valid")
_FAILURES = ("failureMessage", "failureReason", "errorMessage", "errorDescription", "error")


def judge_by_convention(obj: Mapping[str, Any]) -> Health | None:
    """The health of an object whose kind has no rule of its own; None where no convention is recognised."""
    held = _held(obj)
    if held is not None or not mapping(obj, "status"):
        return held
    stale = unobserved(obj)
    if stale is not None:
        return stale
    state = _by_state(obj)
    found = _worst(list(filter(None, _evidence(obj, state)))) or _worst(list(filter(None, _hints(obj))))
    if found is None or found.status is not Status.PROGRESSING:
        return found
    if state is not None and state.status is Status.SUSPENDED:  # it is not ready because it rests
        return state
    if awaits_person(*_said(obj)):
        return Health(Status.SUSPENDED, sentence("waits for a person", text(obj, "status", "message") or found.message))
    return found


def _evidence(obj: Mapping[str, Any], state: Health | None) -> Iterator[Health | None]:
    generation = whole(obj, "metadata", "generation")
    moving = state is not None and state.status in (Status.PROGRESSING, Status.SUSPENDED)
    found = conditions(obj)
    if state is not None and state.status is Status.HEALTHY:  # a service, which has arrived when it runs
        found = tuple(condition for condition in found if words(condition.type) != ("running",))
    yield judge_conditions(found, generation, moving)
    for where, entries in conditions_of_parts(mapping(obj, "status"), generation):
        judged = judge_conditions(entries, generation)
        yield Health(judged.status, sentence(where, judged.message)) if judged is not None else None
    for where, entry in parts(mapping(obj, "status")):
        yield judge_part(where, entry)
    yield state
    if state is None or state.status is not Status.HEALTHY:
        yield _by_failure(obj)
        yield told_errors("status", mapping(obj, "status"))
    yield judge_counts(obj)


def _hints(obj: Mapping[str, Any]) -> Iterator[Health | None]:
    """Weaker words, for an object that says nothing definite: the states of its parts, conditions still to come."""
    status = mapping(obj, "status")
    for name in list(status)[:LIST_LIMIT]:
        word = text(status, name) if isinstance(name, str) and is_state(name) else ""
        if state_of(word) is Status.SUSPENDED and word.lower() != "disabled":  # which a part of it may be for good
            yield Health(Status.SUSPENDED, f"its {_short(name)} is {word}")
    for where, entry in parts(status):
        if entry.get("conditions") == []:
            yield Health(Status.PROGRESSING, f"{where} has no conditions yet")
        for name in list(entry)[:LIST_LIMIT]:
            found = _state_word(entry, name, text(entry, "message")) if is_state(str(name)) else None
            weighs = found is not None and found.status not in _WHOLE
            yield Health(found.status, f"{where}: {found.message}") if found is not None and weighs else None
    if status.get("conditions") == []:
        yield Health(Status.PROGRESSING, "its controller has not set a condition yet")
    yield judge_pending(conditions(obj))


def _said(obj: Mapping[str, Any]) -> Iterator[str]:
    """What an object says of itself in whole sentences and words of state."""
    status = mapping(obj, "status")
    yield from (text(status, name) for name in ("message", "reason", "phase", "state"))
    for condition in conditions(obj):
        if is_pending(condition.type) == condition.true:
            yield from (condition.reason, condition.message)


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
    names = [name for name in list(status)[:LIST_LIMIT] if isinstance(name, str) and is_state(name)]
    kind = text(obj, "kind")
    found = [_state_word(status, name, said, ends(kind)) for name in names]
    found += [_state_flag(status, name, said) for name in _BOOLEANS]
    if not status.get("conditions"):  # which say it better
        found += [_state_flag(status, name, said) for name in _DONE]
    return _worst(list(filter(None, found)))


def _state_word(status: Mapping[str, Any], name: str, said: str, ending: bool = False) -> Health | None:
    """`ending`: the object is a run, a backup, …; one that runs, or was started, has not arrived."""
    word = text(status, name) or next(filter(None, (text(status, name, inner) for inner in _NESTED)), "")
    meaning = state_of(word)
    if meaning is None or (meaning in _WHOLE and len(words(name[:100])) > 1):
        return None
    if ending and word.lower() in _ON:
        meaning = Status.PROGRESSING
    return Health(meaning, sentence(f"its {_short(name)} is {word}", said if meaning is not Status.HEALTHY else ""))


def _state_flag(status: Mapping[str, Any], name: str, said: str) -> Health | None:
    value = status.get(name)
    if not isinstance(value, bool):
        return None
    if value:
        return Health(Status.HEALTHY, f"it reports {name}: true")
    failed = name in ("healthy", "isHealthy", "valid") or (name in _DONE and prose_tells_failure(said))
    bad = Status.DEGRADED if failed else Status.PROGRESSING
    return Health(bad, sentence(f"it reports {name}: false", said))


def _by_failure(obj: Mapping[str, Any]) -> Health | None:
    """A failure told in words: Cluster API's `failureMessage` and the `error` fields of many operators."""
    for name in _FAILURES:
        if told := text(obj, "status", name) or text(obj, "status", name, "message"):
            return Health(Status.DEGRADED, f"status.{name}: {told}")
    return None


def _short(name: object) -> str:
    """A key of somebody else's object, fit to stand in a sentence."""
    return clean(str(name))[:100]
