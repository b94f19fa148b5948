from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.health import judge
from kedge.model.health import Status


def service(spec: dict[str, Any], status: Any = None) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec, "status": status}


def ingress(status: Any) -> dict[str, Any]:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"}, "status": status}


@pytest.mark.parametrize("kind", [None, "ClusterIP", "NodePort", "ExternalName"])
def test_a_service_inside_the_cluster_is_healthy_by_being_there(kind: str | None) -> None:
    assert judge(service({"type": kind}, {"loadBalancer": {}})).status is Status.HEALTHY


def test_a_load_balancer_waits_for_its_cluster_ip_then_for_its_address() -> None:
    spec = {"type": "LoadBalancer"}
    assert judge(service(spec)).message == "the service has no cluster IP yet"
    spec["clusterIP"] = "10.0.0.1"
    assert judge(service(spec, {"loadBalancer": {}})).status is Status.PROGRESSING
    reached = judge(service(spec, {"loadBalancer": {"ingress": [{"hostname": "web.example.org"}]}}))
    assert reached.status is Status.HEALTHY
    assert "web.example.org" in reached.message


def test_an_ingress_waits_for_an_entry_point_and_takes_any() -> None:
    assert judge(ingress({"loadBalancer": {}})).status is Status.PROGRESSING
    assert judge(ingress(None)).status is Status.PROGRESSING
    assert judge(ingress({"loadBalancer": {"ingress": [{}]}})).status is Status.HEALTHY
