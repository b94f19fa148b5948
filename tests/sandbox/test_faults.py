"""Bad days by seed."""

from __future__ import annotations

import random
from typing import Any

from tests.sandbox.conftest import MAPS, MERGE, Lab, config_map

from kedge.sandbox import Request, Watch
from kedge.sandbox.faults import Fault, Faults, Rule, bad_day


def _faulty(lab: Lab, *rules: Rule, seed: int = 1) -> Faults:
    return Faults(lab.box.handle, rules, random.Random(seed).random)


def _post(name: str = "settings") -> Request:
    return Request.of("POST", MAPS, config_map(name))


def test_a_lost_reply_was_done_and_a_lost_request_was_not(lab: Lab) -> None:
    assert _faulty(lab, Rule(Fault.LOST_REPLY, 1.0)).meet(_post("done")).response is None
    assert _faulty(lab, Rule(Fault.LOST_REQUEST, 1.0)).meet(_post("never")).response is None
    lab.get(f"{MAPS}/done")
    assert lab.status == 200
    lab.get(f"{MAPS}/never")
    assert lab.status == 404


def test_a_throttled_request_is_told_when_to_come_again(lab: Lab) -> None:
    response = _faulty(lab, Rule(Fault.THROTTLED, 1.0, seconds=2)).meet(_post()).response
    assert response is not None
    assert (response.status, response.headers["retry-after"]) == (429, "2")
    assert response.json()["reason"] == "TooManyRequests"
    lab.get(f"{MAPS}/settings")
    assert lab.status == 404


def test_refusals_have_their_codes_and_conflicts_meet_writes_only(lab: Lab) -> None:
    for fault, code in ((Fault.CONFLICT, 409), (Fault.BROKEN, 500), (Fault.UNAVAILABLE, 503)):
        response = _faulty(lab, Rule(fault, 1.0)).meet(_post()).response
        assert response is not None
        assert response.status == code
    read = _faulty(lab, Rule(Fault.CONFLICT, 1.0)).meet(Request.of("GET", MAPS)).response
    assert read is not None
    assert read.status == 200


def test_a_watch_is_dropped_after_some_events_or_expired_at_once(lab: Lab) -> None:
    request = Request.of("GET", f"{MAPS}?watch=true&resourceVersion={lab.box.version}")
    dropped = _faulty(lab, Rule(Fault.DROPPED_WATCH, 1.0)).meet(request).response
    assert dropped is not None
    watch = dropped.watch()
    for number in range(12):
        lab.post(MAPS, config_map(f"m{number}"))
    assert watch.closed
    assert 1 <= len(watch.events()) <= 10
    expired = _faulty(lab, Rule(Fault.EXPIRED_WATCH, 1.0)).meet(request).response
    assert expired is not None
    assert expired.watch().events()[0]["object"]["code"] == 410


def test_latency_is_told_and_not_waited_for(lab: Lab) -> None:
    outcome = _faulty(lab, Rule(Fault.LATENCY, 1.0, seconds=60)).meet(_post())
    assert 0 < outcome.delay < 60
    assert outcome.response is not None
    assert outcome.response.status == 201


def test_rules_can_be_limited_to_paths_and_methods_and_switched_off(lab: Lab) -> None:
    rule = Rule(Fault.BROKEN, 1.0, path="/secrets", methods=frozenset({"GET"}))
    faults = _faulty(lab, rule)
    assert faults.meet(_post()).faults == ()
    secrets = Request.of("GET", "/api/v1/namespaces/default/secrets")
    assert faults.meet(secrets).faults == (Fault.BROKEN,)
    faults.enabled = False
    assert faults.meet(secrets).faults == ()
    assert faults.log == [(Fault.BROKEN, "GET", "/api/v1/namespaces/default/secrets")]


def test_what_is_refused_or_lost_on_its_way_leaves_nothing_behind(lab: Lab) -> None:
    for fault in (Fault.CONFLICT, Fault.THROTTLED, Fault.BROKEN, Fault.UNAVAILABLE, Fault.LOST_REQUEST):
        before = lab.box.version
        for request in (_post(), Request.of("DELETE", f"{MAPS}/kube-root-ca.crt")):
            _faulty(lab, Rule(fault, 1.0)).meet(request)
        assert lab.box.version == before, fault


def _day(seed: int) -> list[Any]:
    """Everything that is seen of one bad day: answers, delays, what struck, and the lines of watches."""
    lab, seen, watches = Lab(), [], []
    chance = random.Random(seed)
    faults = Faults(lab.box.handle, bad_day(0.1), chance.random)
    for number in range(80):
        requests = (
            _post(f"m{number % 7}"),
            Request.of("GET", f"{MAPS}/m{number % 5}"),
            Request.of("PATCH", f"{MAPS}/m{number % 5}", {"data": {"a": str(number)}}, {"content-type": MERGE}),
            Request.of("DELETE", f"{MAPS}/m{number % 3}"),
            Request.of("GET", f"{MAPS}?watch=true&resourceVersion={lab.box.version}"),
        )
        outcome = faults.meet(requests[number % len(requests)])
        response = outcome.response
        if response is not None and isinstance(response.body, Watch):
            watches.append(response.body)
        elif response is not None:
            seen.append((response.status, dict(response.headers), response.body))
        seen.append((outcome.delay, outcome.faults))
        lab.pass_time(0.1)
    return [*seen, *((watch.closed, watch.events()) for watch in watches), faults.log]


def test_the_same_seed_makes_the_same_day_to_the_last_byte() -> None:
    assert _day(3) == _day(3)
    assert _day(3) != _day(4)


def test_every_fault_strikes_within_a_few_days() -> None:
    struck = {fault for seed in range(6) for fault, _, _ in _day(seed)[-1]}
    assert struck == set(Fault)


def test_a_day_over_is_over(lab: Lab) -> None:
    faults = _faulty(lab, *bad_day(1.0))
    faults.enabled = False
    for number in range(20):
        outcome = faults.meet(_post(f"m{number}"))
        assert (outcome.delay, outcome.faults) == (0.0, ())
        assert outcome.response is not None
        assert outcome.response.status == 201
