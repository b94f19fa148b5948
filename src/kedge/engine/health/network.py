"""Kinds that wait for an address from outside: Service, Ingress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedge.engine.health.read import field, listed, mappings, text
from kedge.model.health import Health, Status


def judge_service(obj: Mapping[str, Any], now: float | None) -> Health:
    """A Service: only a load balancer has something to wait for.

    It waits for a cluster IP (kstatus), and for an address where a status says that there is none yet
    (gitops-engine). A status without a word about load balancers is nobody's answer, and no reason to wait.
    """
    if text(obj, "spec", "type") != "LoadBalancer":
        return Health(Status.HEALTHY, "the service needs nothing from outside")
    if not text(obj, "spec", "clusterIP"):
        return Health(Status.PROGRESSING, "the service has no cluster IP yet")
    if isinstance(field(obj, "status", "loadBalancer"), Mapping):
        return _balanced(obj, "load balancer")
    return Health(Status.HEALTHY, "the service has its cluster IP")


def judge_ingress(obj: Mapping[str, Any], now: float | None) -> Health:
    """An Ingress is healthy once its controller lists an entry point, whatever stands in it (gitops-engine)."""
    return _balanced(obj, "ingress controller")


def _balanced(obj: Mapping[str, Any], who: str) -> Health:
    points = mappings(obj, "status", "loadBalancer", "ingress")
    if points:
        where = listed(text(point, "hostname") or text(point, "ip") for point in points)
        return Health(Status.HEALTHY, f"reachable at {where}" if where else f"the {who} has accepted it")
    return Health(Status.PROGRESSING, f"no {who} has given it an address yet: look at its events and class")
