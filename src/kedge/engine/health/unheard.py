"""Objects whose controller has not said a word yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedge.engine.health.read import field, group_of, mapping, seconds, text
from kedge.engine.health.words import vocabulary, words
from kedge.model.health import Health, Status

GRACE = 20.0
"""Seconds after its creation for which an object without a status is waited for: controllers write the first one within
a second or two, and a kind that reports nothing must not hold up a rollout for ever."""

_SERVED = vocabulary(
    "admissionregistration apiextensions apiregistration authentication authorization certificates coordination "
    "discovery events flowcontrol.apiserver internal.apiserver metrics networking node rbac.authorization resource "
    "scheduling storage storagemigration"
)
# Read by others, reconciled by nobody: templates, and what tells a provider how to log in.
_PASSIVE = frozenset({("template",), ("provider", "config"), ("composition",)})


def judge_unheard(obj: Mapping[str, Any], now: float | None) -> Health | None:
    """Progressing where a custom object has no status, or an empty one; None where that is how it stays.

    Argo CD waits so for nearly every kind that it has a rule for. Kinds of Kubernetes itself without a rule report
    nothing, nor do templates. `now` ends the wait after GRACE seconds; without it there is no telling.
    """
    if _says_something(field(obj, "status")) or not _is_custom(group_of(obj)) or _is_passive(text(obj, "kind")):
        return None
    born = seconds(obj, "metadata", "creationTimestamp")
    if now is not None and (born is None or now - born > GRACE):
        return None
    return Health(Status.PROGRESSING, f"no controller has reported on this {text(obj, 'kind')} yet")


def _says_something(status: Any) -> bool:
    """Whether there is more in a status than zeros and empty text."""
    return any(mapping({"status": status}, "status").values()) if isinstance(status, Mapping) else bool(status)


def _is_custom(group: str) -> bool:
    """Whether a group is defined by a CustomResourceDefinition, as far as its name tells."""
    home, _, rest = group.partition(".k8s.io")
    return "." in group and (bool(rest) or not group.endswith(".k8s.io") or home not in _SERVED)


def _is_passive(kind: str) -> bool:
    parts = words(kind)
    return any(parts[-len(ending) :] == ending for ending in _PASSIVE)
