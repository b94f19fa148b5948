from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kedge.engine.actions import declared_first, hindrance_of, prepare, stated, wrong_with
from kedge.engine.health import Rulebook
from kedge.engine.health.trying import problems_of
from kedge.model.action import Action
from kedge.model.errors import Invalid
from kedge.model.health import Status
from kedge.model.rule import HealthCheck, HealthRule

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def live(**more: Any) -> dict[str, Any]:
    metadata = {"name": "nightly", "namespace": "shop", "uid": "u-1", "resourceVersion": "7", "generation": 3}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, **more}


def test_words_stand_for_the_object_the_moment_and_the_person() -> None:
    patch = {"metadata": {"annotations": {"a": "${name} of ${namespace} ${uid}", "b": "${now} by ${actor}"}}}

    found = prepare(Action("x", patch=patch), live(), "mona", NOW).patch

    assert found["metadata"]["annotations"] == {"a": "nightly of shop u-1", "b": "2026-01-01T00:00:00Z by mona"}


def test_what_a_person_or_an_object_is_called_is_no_template() -> None:
    patch = {"spec": {"by": "${actor}"}}

    assert prepare(Action("x", patch=patch), live(), "${uid}", NOW).patch == {"spec": {"by": "${uid}"}}


def test_a_part_of_the_object_is_copied_as_it_is() -> None:
    create = {
        "metadata": {"name": "${short}-${stamp}", "labels": {"$copy": "spec.labels?"}},
        "spec": {"$copy": "spec.job"},
    }
    job = {"a": ["${name}", {"$copy": "metadata"}]}

    found = prepare(Action("run", create=create), live(spec={"job": job}), "mona", NOW).create

    assert found == {"metadata": {"name": "nightly-0101000000", "labels": None}, "spec": job}


def test_a_part_that_is_not_there_can_not_be_copied() -> None:
    with pytest.raises(Invalid, match=r"spec\.job"):
        prepare(Action("run", create={"spec": {"$copy": "spec.job"}}), live(), "mona", NOW)


def test_a_long_name_leaves_room_for_what_is_put_behind_it() -> None:
    long = live()
    long["metadata"]["name"] = "x" * 60

    name = prepare(Action("run", create={"n": "${short}-${stamp}"}), long, "mona", NOW).create["n"]

    assert len(name) <= 63


def test_a_condition_takes_the_place_of_the_one_of_its_type_and_the_rest_stays() -> None:
    old = [{"type": "Ready", "status": "True"}, {"type": "Issuing", "status": "False"}]
    action = Action("renew", condition={"type": "Issuing", "status": "True", "reason": "Asked"})

    found = prepare(action, live(status={"conditions": old}), "mona", NOW).status

    assert found["metadata"] == {"resourceVersion": "7"}
    ready, issuing = found["status"]["conditions"]
    assert ready == old[0]
    assert issuing == {
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": 3,
        "type": "Issuing",
        "status": "True",
        "reason": "Asked",
    }


def test_an_action_says_why_it_can_not_be_done_now() -> None:
    action = Action("resume", when="spec.suspend == true", hindrance="it is not suspended")

    assert hindrance_of(action, live(spec={"suspend": True}), NOW) == ""
    assert hindrance_of(action, live(spec={}), NOW) == "it is not suspended"


def test_fields_that_git_states_are_told_and_silence_is_not() -> None:
    fields = prepare(Action("x", patch={"spec": {"suspend": True, "a": None}}), live(), "mona", NOW).fields

    assert fields == (("spec", "suspend"), ("spec", "a"))
    assert stated({"spec": {"suspend": False, "schedule": "x"}}, fields) == ("spec.suspend",)
    assert stated({"spec": []}, fields) == ()
    assert stated({}, fields) == ()


def declared(name: str, *actions: Action, kinds: tuple[str, ...] = ("apps/*",)) -> HealthRule:
    return HealthRule(name, kinds=kinds, actions=actions)


def test_a_declared_action_goes_before_one_that_is_brought_and_others_stay() -> None:
    mine, theirs = Action("restart", "mine", patch={"spec": {}}), Action("restart", "theirs", patch={"spec": {}})
    pause = Action("pause", "hold it", patch={"spec": {"paused": True}})
    found = declared_first(
        [declared("b", theirs), declared("a", mine)], lambda *_: (theirs, pause), "apps", "Deployment"
    )
    assert found == (mine, pause)
    assert declared_first([declared("a", mine)], lambda *_: (pause,), "batch", "Job") == (pause,)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "Up Up"}, "small letters"),
        ({"does": ""}, "says what it does"),
        ({"patch": {}}, "changes nothing"),
        ({"patch": {"metadata": {"labels": {"a": "b"}}}}, "annotations alone"),
        ({"patch": {"metadata": {"annotations": {"kedge.dev/owner": "me"}}}}, "own annotations"),
        ({"condition": {"status": "True"}}, "has a type"),
        ({"create": {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "kube-system"}}}, "namespace"),
        ({"when": "spec.replicas >"}, "CEL"),
    ],
)
def test_an_action_that_may_not_be_declared_says_why(change: dict[str, Any], told: str) -> None:
    fine = Action("bump", "make it more", patch={"spec": {"size": 2}})
    assert wrong_with(fine) == ""
    assert told in wrong_with(replace(fine, **change))
    (problem,) = problems_of(declared("rule", replace(fine, **change)))
    assert told in problem.text


def test_a_rule_that_only_brings_actions_leaves_health_to_others() -> None:
    shipped = HealthRule("shipped", ("apps/*",), (HealthCheck("true", Status.DEGRADED),))
    book = Rulebook((declared("mine", Action("bump", "more", patch={"spec": {}})),), lambda group, kind: shipped)
    found = book.find("apps", "Deployment")
    assert found is not None
    assert found.rule is shipped
