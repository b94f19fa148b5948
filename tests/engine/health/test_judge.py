from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.engine.health import excused, judge, judge_or_none
from kedge.engine.health.judge import _RULES
from kedge.model.health import Health, Status

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["True", "False", "Ready", "Failed", "Running", "Pending", "LoadBalancer", "OnDelete", "2024-06-12T12:34:00Z"]
    )
)
NAMES = """
    metadata spec status conditions type reason message phase state replicas generation observedGeneration
    deletionTimestamp finalizers annotations containerStatuses initContainerStatuses name waiting terminated lastState
    exitCode restartPolicy updateStrategy rollingUpdate partition paused suspend loadBalancer ingress clusterIP
    startTime active creationTimestamp desiredNumberScheduled progressDeadlineSeconds parents lastScheduleTime
    lastSuccessfulTime readyReplicas
"""
FIELDS = st.sampled_from(NAMES.split())
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS | st.text(max_size=5), inner, max_size=6),
    max_leaves=30,
)
KINDS = st.sampled_from([*sorted(_RULES), ("example.org", "Thing"), ("extensions", "Ingress")])


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    group, kind = draw(KINDS)
    found = {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind}
    return found | {name: draw(JSON) for name in ("metadata", "spec", "status")}


@settings(max_examples=400, deadline=None)
@given(obj=objects(), now=st.none() | st.floats())
def test_no_object_makes_a_rule_raise_or_change_it(obj: dict[str, Any], now: float | None) -> None:
    before = repr(obj)

    first = judge(obj, now)

    assert judge(copy.deepcopy(obj), now) == first
    assert repr(obj) == before
    assert isinstance(first.status, Status)
    assert first.message
    assert len(first.message) <= 1500
    assert first.message.isprintable()


@settings(max_examples=100, deadline=None)
@given(value=JSON)
def test_any_json_value_has_a_health(value: Any) -> None:
    assert isinstance(judge(value), Health)


@pytest.mark.parametrize(
    "value", [{}, {"kind": "Pod"}, {"apiVersion": "v1"}, {"kind": 5, "apiVersion": "v1"}, None, [], "Pod", 7]
)
def test_what_is_no_kubernetes_object_is_unknown(value: Any) -> None:
    assert judge(value).status is Status.UNKNOWN


@pytest.mark.parametrize(("group", "kind"), sorted(_RULES))
@pytest.mark.parametrize(
    "broken", [None, "text", 5, [], [None], {"conditions": "no list"}, {"conditions": [[]], "phase": {}}]
)
def test_a_broken_status_never_makes_an_object_degraded(group: str, kind: str, broken: Any) -> None:
    obj = {
        "apiVersion": f"{group}/v1" if group else "v1",
        "kind": kind,
        "metadata": broken,
        "spec": broken,
        "status": broken,
    }

    assert judge(obj).status in {Status.HEALTHY, Status.PROGRESSING, Status.UNKNOWN}


@pytest.mark.parametrize(("group", "kind"), [*sorted(_RULES), ("", "ConfigMap"), ("example.org", "Thing")])
def test_anything_that_is_being_deleted_is_progressing_and_names_what_holds_it(group: str, kind: str) -> None:
    metadata = {"deletionTimestamp": "2024-06-12T12:34:00Z", "finalizers": ["example.org/backup", 5]}
    health = judge({"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": metadata})

    assert health.status is Status.PROGRESSING
    assert health.message == "being deleted since 2024-06-12T12:34:00Z: waiting for finalizers example.org/backup"


def test_kstatus_conditions_decide_for_every_kind() -> None:
    deployment: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 0}}

    def under(kind: str) -> Status:
        return judge({**deployment, "status": {"conditions": [{"type": kind, "status": "True"}]}}).status

    assert under("Stalled") is Status.DEGRADED
    assert under("Reconciling") is Status.PROGRESSING


def test_a_kind_of_the_same_name_in_another_group_follows_the_conventions() -> None:
    service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "status": {"loadBalancer": {}, "url": "x"}}

    assert judge_or_none(service) is None


def test_an_object_may_ask_not_to_count() -> None:
    asking = {"metadata": {"annotations": {"argocd.argoproj.io/ignore-healthcheck": "true"}}}

    assert excused(asking)
    assert not excused({"metadata": {"annotations": "true"}})


def test_a_character_that_unicode_has_not_assigned_does_not_reach_a_message() -> None:
    """An unassigned code point passed the cleaner's list of what does not print."""
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "status": {"message": "full\uaaf7stop"}}
    assert judge(volume).message.isprintable()
