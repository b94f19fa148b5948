"""Events of Kubernetes, old form and new, from whoever wrote them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.doors.kube_world import ref

from kedge.targets.kubernetes.happenings import moment, read_event

POD = ref("Pod", "web-1")
ABOUT = {"apiVersion": "v1", "kind": "Pod", "namespace": "web", "name": "web-1", "uid": "u1"}


def event(**more: Any) -> dict[str, Any]:
    return {"involvedObject": ABOUT, "reason": "BackOff", "message": " it waits\n", "type": "Warning", **more}


def test_an_event_in_the_old_form_has_a_count_and_two_times() -> None:
    times = {"firstTimestamp": "1970-01-01T00:00:01Z", "lastTimestamp": "1970-01-01T00:00:09Z"}
    found = read_event(event(count=4, source={"component": "kubelet"}, **times), {POD: "u1"})
    assert found is not None
    assert (found.kind, found.message, found.source, found.count) == ("Warning", "it waits", "kubelet", 4)
    assert (found.first, found.last) == (1.0, 9.0)


def test_an_event_in_the_new_form_has_a_series() -> None:
    series = {"count": 7, "lastObservedTime": "1970-01-01T00:00:09.500000Z"}
    new = event(eventTime="1970-01-01T00:00:01.250000Z", series=series, reportingComponent="scheduler")
    found = read_event(new, {POD: ""})
    assert found is not None
    assert (found.source, found.count, found.first, found.last) == ("scheduler", 7, 1.25, 9.5)


def test_an_event_about_an_earlier_object_of_the_same_name_is_not_ours() -> None:
    assert read_event(event(), {POD: "u2"}) is None
    assert read_event(event(), {ref("Pod", "web-2"): "u1"}) is None


@pytest.mark.parametrize("odd", [{"involvedObject": "x"}, {"series": 3}, {"source": []}, {"count": "x"}, {"type": 3}])
def test_an_odd_event_is_read_as_far_as_it_goes(odd: dict[str, Any]) -> None:
    found = read_event(event(**odd), {POD: "u1"})
    assert found is None or found.count == 1


@pytest.mark.parametrize("text", [None, 3, "", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01"])
def test_what_is_no_time_is_none(text: Any) -> None:
    assert moment(text) is None
