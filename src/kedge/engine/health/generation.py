"""Whether a controller has looked at the newest generation of an object."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from kedge.engine.health.read import Condition, whole
from kedge.model.health import Health, Status

_SEEN = ("lastObservedGeneration", "lastEvaluatedGeneration", "lastReconciledGeneration", "reconciledGeneration")


def unobserved(obj: Mapping[str, Any]) -> Health | None:
    """Progressing where the controller reports that it has seen another generation than the object has (kstatus).

    A missing number on either side says nothing. Some controllers call it `lastEvaluatedGeneration` or alike: there
    only an earlier generation counts, since the name is no promise.
    """
    generation, seen = whole(obj, "metadata", "generation"), whole(obj, "status", "observedGeneration")
    if generation is None or seen == generation:
        return None
    if seen is None:
        earlier = (old for old in map(partial(whole, obj, "status"), _SEEN) if old is not None and old < generation)
        seen = next(earlier, None)
    if seen is None:
        return None
    told = f"its controller has not looked at generation {generation} yet; the last one it saw is {seen}"
    return Health(Status.PROGRESSING, told)


def outdated(condition: Condition, generation: int | None) -> bool:
    """Whether a condition speaks of an earlier generation (`observedGeneration` of the Kubernetes API conventions)."""
    return generation is not None and condition.generation is not None and condition.generation < generation
