"""What a spec asks for and a status counts, in kinds that count as Deployments do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kedge.engine.health.read import LIST_LIMIT, clean, mapping, text, whole
from kedge.model.health import Health, Status

_COUNTED = ("readyReplicas", "availableReplicas")
_FRACTION = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")  # “1/3”, as kubectl prints what is ready of what is wanted


def judge_counts(obj: Mapping[str, Any]) -> Health | None:
    """Progressing where fewer replicas are ready or available than the spec asks for; None where nothing is missing."""
    status, wanted = mapping(obj, "status"), whole(obj, "spec", "replicas")
    for name in _counted(obj) if wanted is not None else ():
        found = whole(status, name)
        if found is not None and wanted is not None and found < wanted:
            return Health(Status.PROGRESSING, f"{found} of {wanted} replicas are {name.removesuffix('Replicas')}")
    for name, some, total in _fractions(status):
        if some < total:
            return Health(Status.PROGRESSING, f"status.{name}: {some} of {total} are ready")
    return None


def _counted(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Updated ones count unless the spec holds an update back: by a partition, or until somebody deletes the rest."""
    strategy = mapping(obj, "spec", "updateStrategy") or mapping(obj, "spec", "strategy")
    rolling = mapping(strategy, "rollingUpdate")
    held = strategy.get("partition") or rolling.get("partition") or text(strategy, "type") == "OnDelete"
    return _COUNTED if held else (*_COUNTED, "updatedReplicas")


def _fractions(status: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """`status.ready: 1/3`, or one step deeper (`status.scale.statusReplicas: 1/3`)."""
    for name, value in list(status.items())[:LIST_LIMIT]:
        inner = value if isinstance(value, Mapping) else {name: value}
        for key in list(inner)[:LIST_LIMIT]:
            if match := _FRACTION.fullmatch(text(inner, key)):
                yield clean(str(key))[:100], int(match[1]), int(match[2])
