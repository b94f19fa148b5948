"""The health of a unit: the worst of its objects, with the reason."""

from __future__ import annotations

from collections.abc import Iterable

from kedge.model.health import Health, Status
from kedge.model.ref import Ref


def worst(pairs: Iterable[tuple[Ref, Health]]) -> tuple[Health, Ref | None]:
    """The worst health among `pairs` and the object it comes from; the first one where several are equally bad.

    The order is gitops-engine's: Healthy, Suspended, Progressing, Missing, Degraded, Unknown. When everything is
    Healthy (or there is nothing) no single object is the reason, and the ref is None.
    """
    reason: Ref | None = None
    found = Health(Status.HEALTHY)
    alike = total = 0
    for ref, health in pairs:
        total += 1
        if health.status.rank > found.status.rank:
            reason, found, alike = ref, health, 0
        elif reason is not None and health.status is found.status:
            alike += 1
    if reason is None:
        return Health(Status.HEALTHY, _all_well(total)), None
    others = f" ({alike} more {'object is' if alike == 1 else 'objects are'} {found.status.value})" if alike else ""
    why = f": {found.message}" if found.message else f" is {found.status.value}"
    return Health(found.status, f"{reason}{why}{others}"), reason


def _all_well(total: int) -> str:
    if total == 0:
        return "there are no objects to judge"
    return "its one object is healthy" if total == 1 else f"all {total} objects are healthy"
