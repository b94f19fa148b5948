"""Standard conditions: what a set of them says together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedge.engine.health.generation import outdated
from kedge.engine.health.read import Condition, conditions, sentence
from kedge.engine.health.words import (
    awaits_person,
    is_moving,
    is_negative,
    is_pending,
    is_resting,
    prose_tells_failure,
    tells_failure,
    vocabulary,
    words,
)
from kedge.model.health import Health, Status

# Conditions that sum the others up, the most telling first. Without one, every good condition has to be True.
_SUMMARIES = (("ready",), ("available",), ("healthy",), ("succeeded",), ("complete",), ("completed",), ("established",))
_ENDS = frozenset({"complete", "completed", "succeeded", "finished"})
# Verdicts on what was asked for: False means refused, not “not yet”.
_VERDICTS = frozenset({"accepted", "valid", "admitted", "refs", "compliant", "healthy"})
_GOOD = vocabulary(
    "ready available healthy succeeded complete completed established synced synchronized reconciled programmed "
    "accepted admitted valid successful deployed installed applied promoted compliant refs success configured released "
    "provisioned created initialized bound scheduled imported "
    "formed"
)
_ARRIVED = _GOOD | vocabulary("running finished done")
_YET = vocabulary("pending waiting progressing reconciling creating updating initializing progress installing")
_OF_NOW = frozenset({"unhealthy", "degraded"})  # while a condition is Unknown: how things are, not that they failed
_RETRYING = "ProgressingWithRetry"
_KSTATUS = {"Stalled": Status.DEGRADED, "Reconciling": Status.PROGRESSING}


def judge_conditions(found: Sequence[Condition], generation: int | None, moving: bool = False) -> Health | None:
    """What conditions say together, or None where none of them is of a known type.

    Sources: kstatus (Stalled and Reconciling first, then Ready), the Kubernetes API conventions (polarity by type,
    reason as a word, observedGeneration), gitops-engine's and Argo CD's habit of reading a failure out of the reason.
    `moving`: whether something else than a condition says that work goes on.
    """
    known = [condition for condition in found if condition.type]
    resting = next((c for c in known if c.true and is_resting(c.type)), None)
    if resting is not None:
        return Health(Status.SUSPENDED, _told("held back", resting))
    asking = next((c for c in known if c.true and is_pending(c.type) and awaits_person(c.message, c.reason)), None)
    if asking is not None:
        return Health(Status.SUSPENDED, _told("waits for a person", asking))
    current = [condition for condition in known if not outdated(condition, generation)]
    return (
        _broken(current, moving)
        or _reconciling(known)
        or _open(current)
        or _stale(known, generation)
        or _settled(current)
    )


def judge_pending(found: Sequence[Condition]) -> Health | None:
    """A condition of any type that is False for now (`QuotaReserved`, Pending); for want of anything definite."""
    yet = next((c for c in found if c.false and _YET.intersection(words(c.reason))), None)
    return Health(Status.PROGRESSING, _told("", yet)) if yet is not None else None


def judge_kstatus(obj: Mapping[str, Any]) -> Health | None:
    """kstatus's own two conditions, which decide for every kind where a controller sets one of them."""
    for condition in conditions(obj, only=_KSTATUS):
        if condition.true:
            return Health(_KSTATUS[condition.type], _told("", condition))
    return None


def _broken(found: Sequence[Condition], moving: bool) -> Health | None:
    """A condition that is bad when True, a good one that is refused or failed, an end that was no success."""
    bad = next((c for c in found if c.true and is_negative(c.type)), None)
    if bad is not None:
        return Health(Status.DEGRADED, _told("", bad))
    moving = moving or any(c.true and is_moving(c.type) for c in found)
    failed = next((c for c in found if _has_failed(c, moving)), None)
    return Health(Status.DEGRADED, _told("", failed)) if failed is not None else None


def _reconciling(found: Sequence[Condition]) -> Health | None:
    """kstatus: Reconciling=True is in progress, unless it repeats what has failed (Flux's ProgressingWithRetry)."""
    going = next((c for c in found if c.type == "Reconciling" and c.true), None)
    if going is None:
        return None
    summary = _summary(found)
    if going.reason == _RETRYING and summary is not None and summary.false:
        return Health(Status.DEGRADED, _told("retrying after a failure", summary))
    return Health(Status.PROGRESSING, _told("", going))


def _open(found: Sequence[Condition]) -> Health | None:
    """Work that goes on: a summary that is not True; a moving condition; without a summary, a good one still open."""
    summary = _summary(found)
    if summary is not None and not summary.true:
        return Health(Status.PROGRESSING, _told("", summary))
    still = next((c for c in found if c.true and is_moving(c.type) and not _has_arrived(c)), None)
    if still is None and summary is None:
        still = next((c for c in found if not c.true and _is_good(c.type)), None)
    return Health(Status.PROGRESSING, _told("", still)) if still is not None else None


def _stale(found: Sequence[Condition], generation: int | None) -> Health | None:
    old = next((c for c in found if outdated(c, generation)), None)
    if old is None:
        return None
    told = f"{old.type} speaks of generation {old.generation}; generation {generation} has not been looked at yet"
    return Health(Status.PROGRESSING, told)


def _settled(found: Sequence[Condition]) -> Health | None:
    summary = _summary(found) or next((c for c in found if _is_good(c.type)), None)
    if summary is not None:
        return Health(Status.HEALTHY, _told("", summary))
    known = any(is_negative(c.type) or is_moving(c.type) for c in found)
    return Health(Status.HEALTHY, "none of its conditions speaks of a problem") if known else None


def _summary(found: Sequence[Condition]) -> Condition | None:
    for kind in _SUMMARIES:
        if match := next((c for c in found if words(c.type) == kind), None):
            return match
    return None


def _is_good(kind: str) -> bool:
    parts = words(kind)
    return bool(parts) and parts[-1] in _GOOD and not is_negative(kind)


def _has_failed(condition: Condition, moving: bool) -> bool:
    """Whether a condition says that waiting will not help: by its reason, else its type, else its words.

    Words alone are weak evidence, and none while something else says that work goes on.
    """
    parts = words(condition.type)
    last = parts[-1] if parts else ""
    if condition.true:
        return last in _ENDS and tells_failure(condition.reason)
    if not (_is_good(condition.type) or is_moving(condition.type)):
        return condition.false and not is_negative(condition.type) and tells_failure(condition.reason)
    reason = frozenset(words(condition.reason))
    if tells_failure(condition.reason) and (condition.false or not reason & _OF_NOW):
        return True
    if condition.false and "missing" in reason:
        return True
    if condition.severity:
        return condition.false and condition.severity == "Error"
    if not condition.false or is_moving(condition.type):
        return False
    if last == "healthy":
        return True
    if last == "scheduled" or _YET.intersection(words(condition.reason)):  # a place may still become free
        return False
    return last in _VERDICTS or (not moving and prose_tells_failure(condition.message))


def _has_arrived(condition: Condition) -> bool:
    """Progressing stays True with a reason of arrival, as Deployments have it (`NewReplicaSetAvailable`)."""
    said = _GOOD if words(condition.type) == ("running",) else _ARRIVED
    return bool(said.intersection(words(condition.reason)))


def _told(before: str, condition: Condition) -> str:
    reason = f" ({condition.reason})" if condition.reason and condition.reason != condition.type else ""
    return sentence(before, f"{condition.type} is {condition.status or 'empty'}{reason}", condition.message)
