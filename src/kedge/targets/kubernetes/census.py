"""Every object of some namespaces, kind by kind: the one question behind a tree, as owners do not know their children.

Bounded in kinds, objects and time; a kind that can not be listed costs a sentence and no other kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kedge.kube.client import Client
from kedge.kube.discovery import METRICS, Catalog, Kind
from kedge.kube.survey import Survey, survey
from kedge.model.errors import Denied, Unavailable

KINDS = 300
MOST = 2_000
"""Objects of one kind in one namespace."""
SECONDS = 10.0
"""For all of it."""
NOTES = 8
AT_ONCE = 8
"""Questions at once: a person who looks on must not hold up what is being applied."""

GroupKind = tuple[str, str]

WORKLOADS: frozenset[GroupKind] = frozenset(
    {
        ("", "Pod"),
        ("", "PersistentVolumeClaim"),
        ("apps", "ReplicaSet"),
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
        ("batch", "Job"),
        ("batch", "CronJob"),
    }
)
"""Listed whole, since their health is in their status; of all other kinds metadata tells whose they are."""
_NEVER = frozenset({("", "Event"), ("events.k8s.io", "Event"), ("", "Endpoints"), ("extensions", "Ingress")})


@dataclass(frozen=True, slots=True)
class Census:
    """`objects` by uid, in order of kinds. `notes` are sentences on what could not be listed."""

    objects: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answer:
    kind: Kind
    survey: Survey = Survey()
    why: str = ""
    denied: bool = False


async def taken(
    client: Client, namespaces: Sequence[str], *, clusterwide: bool = False, only: Collection[GroupKind] = ()
) -> Census:
    """Every object in `namespaces`, and with `clusterwide` the cluster-scoped ones; `only` of these kinds where given.

    Raises Unavailable and Denied when not even discovery answers."""
    catalog = await client.discovery.catalog()
    kinds = [kind for kind in _listable(catalog) if not only or (kind.group, kind.kind) in only]
    notes = [] if only else [_undiscovered(group, why) for group, why in _failed(catalog)]
    if len(kinds) > KINDS:
        notes.append(f"the cluster serves {len(kinds)} kinds: only {KINDS} are looked at")
    places = [(kind, space) for kind in kinds[:KINDS] if kind.namespaced for space in namespaces]
    places += [(kind, "") for kind in kinds[:KINDS] if not kind.namespaced and clusterwide]
    turns, end = asyncio.Semaphore(AT_ONCE), client.clock.monotonic() + SECONDS

    async def ask(kind: Kind, namespace: str) -> _Answer:
        async with turns:
            return await _ask(client, kind, namespace, end)

    answers = await asyncio.gather(*(ask(kind, namespace) for kind, namespace in places))
    if answers and all(answer.why and not answer.denied for answer in answers):
        raise Unavailable(f"nothing can be listed: {answers[0].kind.plural}: {answers[0].why}")
    objects: dict[str, dict[str, Any]] = {}
    for answer in answers:
        for item in answer.survey.items:
            objects.setdefault(str(item["metadata"].get("uid") or ""), item)
    objects.pop("", None)
    return Census(objects, (*notes, *_notes(answers)))


async def _ask(client: Client, kind: Kind, namespace: str, end: float) -> _Answer:
    whole = (kind.group, kind.kind) in WORKLOADS
    try:
        async with asyncio.timeout(max(0.0, end - client.clock.monotonic())):
            return _Answer(kind, await survey(client, kind, namespace, MOST, whole=whole))
    except TimeoutError:
        return _Answer(kind, why=f"no answer within {SECONDS:.0f} s")
    except Denied as error:
        return _Answer(kind, why=str(error), denied=True)
    except Unavailable as error:
        return _Answer(kind, why=str(error))


def _listable(catalog: Catalog) -> list[Kind]:
    """One version of each kind: workloads first, then Kubernetes' own, so that the bounds cut the least telling."""
    first = [served[0] for served in catalog.kinds.values()]
    kept = [
        kind
        for kind in first
        if "list" in kind.verbs and (kind.group, kind.kind) not in _NEVER and not kind.group.endswith(METRICS)
    ]
    return sorted(kept, key=lambda kind: ((kind.group, kind.kind) not in WORKLOADS, "." in kind.group, kind.group))


def _failed(catalog: Catalog) -> list[tuple[str, str]]:
    return [(group, why) for group, why in catalog.failed.items() if not group.endswith(METRICS)]


def _undiscovered(group: str, why: str) -> str:
    return f"kinds of {group} can not be looked at: {why}"


def _notes(answers: Sequence[_Answer]) -> list[str]:
    failed = [answer for answer in answers if answer.why and not answer.denied]
    notes = [f"{answer.kind.plural} can not be listed: {answer.why}" for answer in failed]
    notes = [*notes[:NOTES], f"nor can {len(notes) - NOTES} more kinds"] if len(notes) > NOTES else notes
    denied = sorted({answer.kind.plural for answer in answers if answer.denied})
    cut = sorted({answer.kind.plural for answer in answers if answer.survey.cut})
    if denied:
        notes.append(f"not permitted to list: {', '.join(denied)}")
    if cut:
        notes.append(f"there are more than {MOST} of {', '.join(cut)}: only the first are looked at")
    return list(dict.fromkeys(notes))
