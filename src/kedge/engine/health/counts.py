"""What a spec asks for and a status counts, in kinds that count as Deployments do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kedge.engine.health.parts import parts
from kedge.engine.health.read import LIST_LIMIT, clean, mapping, text, whole
from kedge.engine.health.words import words
from kedge.model.health import Health, Status

_COUNTED = ("readyReplicas", "availableReplicas")
_READY = ("ready", "available")
_WANTED = ("desired", "expected")
_SIZES = ("instances", "members", "nodes", "shards")  # what is counted besides replicas
_FRACTION = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")  # “1/3”, as kubectl prints what is ready of what is wanted


def judge_counts(obj: Mapping[str, Any]) -> Health | None:
    """Progressing where fewer replicas are ready or available than the spec asks for; None where nothing is missing."""
    status, wanted = mapping(obj, "status"), whole(obj, "spec", "replicas")
    for name in _counted(obj) if wanted is not None else ():
        found = whole(status, name)
        if found is not None and wanted is not None and found < wanted:
            return Health(Status.PROGRESSING, f"{found} of {wanted} replicas are {name.removesuffix('Replicas')}")
    for where, part in (("status", status), *parts(status)):
        for name, some, total in _pairs(part, mapping(obj, "spec") if part is status else {}):
            if some < total:
                return Health(Status.PROGRESSING, f"{where}.{name}: {some} of {total}")
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


def _pairs(part: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """`readyShards` beside `desiredShards`, `availableNodes` beside `expectedNodes`; `instances` beside the spec's."""
    for name in list(part)[:LIST_LIMIT]:
        some = whole(part, name) if isinstance(name, str) else None
        if some is None:
            continue
        first, *rest = words(name[:100]) or ("",)
        noun = name[len(first) :]
        totals = [whole(part, before + noun) for before in _WANTED] if rest and first in _READY else []
        plain = noun[:1].lower() + noun[1:] if totals else name
        totals += [whole(spec, plain)] if plain in _SIZES else []
        yield from ((clean(name)[:100], some, total) for total in totals if total is not None)


def _fractions(status: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """`status.ready: 1/3`, or one step deeper (`status.scale.statusReplicas: 1/3`)."""
    for name, value in list(status.items())[:LIST_LIMIT]:
        inner = value if isinstance(value, Mapping) else {name: value}
        for key in list(inner)[:LIST_LIMIT]:
            if match := _FRACTION.fullmatch(text(inner, key)):
                yield clean(str(key))[:100], int(match[1]), int(match[2])
