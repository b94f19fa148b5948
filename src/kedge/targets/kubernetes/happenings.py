"""What Kubernetes itself says of a unit's objects and their children: its Events, newest last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kedge.kube.answer import mapping
from kedge.kube.survey import survey
from kedge.model.errors import Denied, Unavailable
from kedge.model.family import ClusterEvent, ClusterEvents
from kedge.model.ref import Ref
from kedge.targets.kubernetes.family import kinship
from kedge.targets.kubernetes.site import Site

MOST = 5_000
"""Events of one namespace that are looked through."""
SHOWN = 1_000
HOME = "default"
"""Where Events of cluster-scoped objects are."""
TEXT = 2_000


async def happenings(site: Site, refs: Sequence[Ref]) -> ClusterEvents:
    """Events about the objects `refs` and all that hangs from them. Raises Unavailable and Denied when the cluster does
    not answer at all."""
    found = await kinship(site, refs)
    kin = {entry.child.ref: entry.child.uid for entry in found.kin}
    known = {**{ref: sight.uid for ref, sight in found.sights.items()}, **kin}
    notes = list(found.notes)
    kind = await site.client.kind("", "Event")
    events: list[ClusterEvent] = []
    for namespace in sorted({ref.namespace or HOME for ref in known}):
        try:
            seen = await survey(site.client, kind, namespace, MOST)
        except (Denied, Unavailable) as error:
            notes.append(f"Events in {namespace} can not be read: {error}")
            continue
        if seen.cut:
            notes.append(f"there are more than {MOST} Events in {namespace}: only the first are looked at")
        events += [event for item in seen.items if (event := read_event(item, known)) is not None]
    events.sort(key=lambda event: (event.last or event.first or 0.0, event.ref, event.reason))
    return ClusterEvents(tuple(events[-SHOWN:]), tuple(notes))


def read_event(item: Mapping[str, Any], known: Mapping[Ref, str]) -> ClusterEvent | None:
    """An Event about one of the `known` objects (ref to uid, "" where unknown); None for any other."""
    about = mapping(item.get("involvedObject"))
    group = str(about.get("apiVersion") or "").rpartition("/")[0]
    ref = Ref(group, str(about.get("kind") or ""), str(about.get("namespace") or ""), str(about.get("name") or ""))
    uid = known.get(ref)
    if uid is None or (uid and about.get("uid") and uid != about.get("uid")):
        return None
    series, source = mapping(item.get("series")), mapping(item.get("source"))
    first = moment(item.get("firstTimestamp")) or moment(item.get("eventTime"))
    last = moment(series.get("lastObservedTime")) or moment(item.get("lastTimestamp")) or first
    count = series.get("count") or item.get("count")
    return ClusterEvent(
        ref=ref,
        kind=str(item.get("type") or "Normal")[:20],
        reason=str(item.get("reason") or "")[:200],
        message=str(item.get("message") or "").strip()[:TEXT],
        source=str(source.get("component") or item.get("reportingComponent") or "")[:200],
        count=count if isinstance(count, int) else 1,
        first=first,
        last=last,
    )


def moment(text: Any) -> float | None:
    """RFC 3339 as the API server writes it, in epoch seconds; None for anything else."""
    if not isinstance(text, str) or not text.endswith("Z"):
        return None
    try:
        return datetime.fromisoformat(f"{text[:-1]}+00:00").timestamp()
    except ValueError:
        return None
