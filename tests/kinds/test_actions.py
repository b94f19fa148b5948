"""Every action of `kinds` is whole: it says what it does, changes something, and explains why it can not be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from kedge import kinds
from kedge.compose import shipped_actions
from kedge.dialects.actions import read_actions
from kedge.engine.health.expression import Expression
from kedge.model.action import Action
from kedge.model.errors import Invalid

HOME = Path(kinds.__file__).parent
ACTIONS = [
    pytest.param(action, id=f"{group}/{kind}/{action.name}")
    for (group, kind), files in sorted(kinds.folders().items())
    if "actions.yaml" in files
    for action in read_actions((HOME / group / kind / "actions.yaml").read_bytes())
]


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_is_a_word_that_says_what_it_does_and_changes_something(action: Action) -> None:
    assert action.name.replace("-", "").isalpha()
    assert len(action.does) > 10
    assert action.patch or action.status or action.condition or action.create


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_that_can_not_always_be_done_says_why(action: Action) -> None:
    assert bool(action.when) == bool(action.hindrance)
    if action.when:
        Expression(action.when)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_touches_nothing_that_says_whose_the_object_is(action: Action) -> None:
    metadata = action.patch.get("metadata", {})

    assert set(metadata) <= {"annotations"}
    assert not any("kedge" in key for key in metadata.get("annotations", {}))
    if action.create:
        assert set(action.create) == {"apiVersion", "kind", "metadata", "spec"}
        assert action.create["metadata"]["namespace"] == "${namespace}"


@pytest.mark.parametrize(
    ("of", "names"),
    [
        ("batch/CronJob", {"run", "suspend", "resume"}),
        ("argoproj.io/Rollout", {"promote", "abort", "retry", "pause", "resume", "restart"}),
        ("kustomize.toolkit.fluxcd.io/Kustomization", {"reconcile", "suspend", "resume"}),
        ("helm.toolkit.fluxcd.io/HelmRelease", {"reconcile", "force", "reset", "suspend", "resume"}),
        ("external-secrets.io/ExternalSecret", {"refresh"}),
        ("cert-manager.io/Certificate", {"renew"}),
        ("ec2.aws.upbound.io/VPC", {"pause", "resume"}),
        ("apps/Deployment", {"restart", "pause", "resume"}),
        ("/ConfigMap", set()),
    ],
)
def test_what_people_do_daily_is_known(of: str, names: set[str]) -> None:
    assert names <= {action.name for action in shipped_actions(*of.split("/"))}


@pytest.mark.parametrize("text", ["- {nam: x}", "- [1]", "a: b", "- {name: 1}"])
def test_a_file_that_is_no_list_of_actions_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(Invalid, match=r"actions\.yaml"):
        read_actions(text.encode(), "actions.yaml")
