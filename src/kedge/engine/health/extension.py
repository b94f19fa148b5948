"""What extends the API: CustomResourceDefinition, APIService."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedge.engine.health.read import conditions, find, sentence
from kedge.model.health import Health, Status


def judge_definition(obj: Mapping[str, Any], now: float | None) -> Health:
    """A CustomResourceDefinition serves its kind once Established (kstatus); bad names or schemas never will (Argo CD).

    Not established for another reason than Installing is a failure in both.
    """
    found = conditions(obj)
    going, names, schema = (find(found, kind) for kind in ("Terminating", "NamesAccepted", "NonStructuralSchema"))
    established = find(found, "Established")
    if going is not None and going.true:
        return Health(Status.PROGRESSING, sentence("the definition is being deleted", going.message))
    if names is not None and names.false:
        return Health(Status.DEGRADED, sentence("its names are not accepted", names.why))
    if established is None:
        return Health(Status.PROGRESSING, "the definition is being installed")
    if not established.true:
        if established.reason == "Installing" or not established.false:
            return Health(Status.PROGRESSING, sentence("the definition is being installed", established.message))
        return Health(Status.DEGRADED, sentence("the definition is not established", established.why))
    if schema is not None and schema.true:
        return Health(Status.DEGRADED, sentence("its schema is not structural", schema.why))
    return Health(Status.HEALTHY, "the definition is established")


def judge_api_service(obj: Mapping[str, Any], now: float | None) -> Health:
    """An APIService is healthy while Available, and waits for its service otherwise (gitops-engine)."""
    available = find(conditions(obj), "Available")
    if available is not None and available.true:
        return Health(Status.HEALTHY, sentence("the API is available", available.message))
    why = available.why if available is not None else "the aggregator has not looked at it yet"
    return Health(Status.PROGRESSING, sentence("the API is not available", why))
