"""Bad days by seed."""

from __future__ import annotations

import random

from tests.sandbox.conftest import MAPS, Lab, config_map

from kedge.sandbox import Request
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


def test_the_same_seed_makes_the_same_day(lab: Lab) -> None:
    def day(seed: int) -> list[tuple[Fault, str, str]]:
        faults = _faulty(lab, *bad_day(0.2), seed=seed)
        for number in range(50):
            faults.meet(Request.of("GET", f"{MAPS}/m{number}"))
        return faults.log

    assert day(3) == day(3)
    assert day(3) != day(4)
