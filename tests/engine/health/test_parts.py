from __future__ import annotations

from typing import Any

from kedge.engine.health import judge
from kedge.engine.health.parts import DEPTH, PARTS_LIMIT, judge_part, parts
from kedge.model.health import Status


def thing(status: dict[str, Any], generation: int = 2) -> dict[str, Any]:
    return {"apiVersion": "a.example.org/v1", "kind": "Thing", "metadata": {"generation": generation}, "status": status}


def entry(status: str, seen: int) -> dict[str, Any]:
    return {"conditions": [{"type": "Accepted", "status": status, "observedGeneration": seen}]}


def test_a_part_that_has_failed_is_named_with_its_path() -> None:
    health = judge(thing({"shards": [{"phase": "Running"}, {"phase": "Failed", "message": "disk full"}]}))

    assert health.status is Status.DEGRADED
    assert health.message == "status.shards[1].phase is Failed: disk full"


def test_errors_in_a_list_count_unless_the_object_has_got_over_them() -> None:
    by_pod = {"byPod": [{"id": "a", "errors": [{"code": "rego", "message": "unexpected eof"}]}]}

    assert judge(thing(by_pod)).message == "status.byPod[0].errors: unexpected eof"
    assert judge(thing({"problems": ["no such output"]})).status is Status.DEGRADED
    assert judge(thing({"errors": [], "problems": 3})).status is Status.HEALTHY
    assert judge(thing({"status": "Completed", "errors": ["an old one"]})).status is Status.HEALTHY


def test_what_a_status_tells_of_the_past_is_past() -> None:
    assert [where for where, _ in parts({"history": [{"phase": "Failed"}], "lastRun": {"state": "Error"}})] == []


def test_a_leftover_of_an_earlier_generation_does_not_count_beside_a_present_one() -> None:
    assert judge(thing({"parents": [entry("False", 1), entry("True", 2)]})).status is Status.HEALTHY
    assert judge(thing({"parents": [entry("True", 1), entry("True", 2)]})).status is Status.PROGRESSING
    assert judge(thing({"parents": [entry("True", 1)]})).status is Status.PROGRESSING


def test_parts_that_are_well_say_nothing_of_the_whole() -> None:
    assert judge_part("status.a", {"phase": "Running"}) is None
    assert judge(thing({"phase": "Pending", "parts": [{"phase": "Running"}]})).status is Status.PROGRESSING


def test_an_object_of_very_many_or_deep_parts_is_read_only_so_far() -> None:
    wide = {f"f{i}": [{"phase": "Failed"} for _ in range(200)] for i in range(200)}
    deep: dict[str, Any] = {}
    for _ in range(50):
        deep = {"a": deep}

    assert len(list(parts(wide))) <= PARTS_LIMIT
    assert len(list(parts(deep))) == DEPTH
