from __future__ import annotations

import itertools

from kedge.engine.health import worst
from kedge.model.health import Health, Status
from kedge.model.ref import Ref

WEB = Ref("apps", "Deployment", "shop", "web")
DATABASE = Ref("apps", "StatefulSet", "shop", "db")
CONFIG = Ref("", "ConfigMap", "shop", "config")


def test_a_unit_is_as_healthy_as_its_worst_object() -> None:
    health, reason = worst(
        [
            (CONFIG, Health(Status.HEALTHY)),
            (WEB, Health(Status.DEGRADED, "1 of 3 pods is not available")),
            (DATABASE, Health(Status.PROGRESSING, "2 of 3 pods are not ready")),
        ]
    )

    assert health.status is Status.DEGRADED
    assert reason == WEB
    assert "apps/Deployment shop/web: 1 of 3 pods is not available" in health.message


def test_each_status_is_worse_than_the_one_before_it_in_argo_cds_order() -> None:
    order = [Status.HEALTHY, Status.SUSPENDED, Status.PROGRESSING, Status.MISSING, Status.DEGRADED, Status.UNKNOWN]

    for better, worse in itertools.pairwise(order):
        health, reason = worst([(DATABASE, Health(worse)), (WEB, Health(better))])
        assert (health.status, reason) == (worse, DATABASE)


def test_all_healthy_needs_no_reason() -> None:
    health, reason = worst([(WEB, Health(Status.HEALTHY)), (CONFIG, Health(Status.HEALTHY))])

    assert health == Health(Status.HEALTHY, "all 2 objects are healthy")
    assert reason is None


def test_a_unit_without_objects_is_healthy_and_says_so() -> None:
    assert worst([]) == (Health(Status.HEALTHY, "there are no objects to judge"), None)


def test_of_equally_bad_objects_the_first_is_the_reason_and_the_others_are_counted() -> None:
    health, reason = worst(
        [
            (WEB, Health(Status.DEGRADED, "it broke")),
            (DATABASE, Health(Status.DEGRADED)),
            (CONFIG, Health(Status.DEGRADED)),
        ]
    )

    assert reason == WEB
    assert health.message == "apps/Deployment shop/web: it broke (2 more objects are Degraded)"
