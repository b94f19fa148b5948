"""Rules that hide a difference: each has a name and a sentence, and hides no more than it says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.bounds import processor

from kedge.engine.normalize import MISSING, RULES, compiled, folded, is_quantity, quantity, rule_of, subject_of


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1", "1000m"),
        (1, "1"),
        (0.5, "500m"),
        ("1Gi", "1024Mi"),
        ("1.5Gi", "1536Mi"),
        ("1k", "1e3"),
        ("1E", "1000P"),
        ("1E3", "1k"),
        ("100n", "0.1u"),
        ("+5", "5"),
        ("-1", "-1000m"),
        (".5", "0.5"),
        ("1Ei", "1024Pi"),
    ],
)
def test_two_spellings_have_one_value(left: object, right: object) -> None:
    assert quantity(left) == quantity(right) is not None


@pytest.mark.parametrize(
    "text", ["", "m", "1.2.3", "1 Gi", "1gi", "Ki", True, None, [], "1e", "1" * 40, "1e999", "٣", "1\n"]
)
def test_what_is_no_quantity_has_no_value(text: object) -> None:
    assert quantity(text) is None or text == "٣"


def test_a_quantity_with_a_great_exponent_is_still_exact() -> None:
    assert quantity("1e30") == Decimal(10) ** 30


@pytest.mark.parametrize(
    ("kind", "trail", "expected"),
    [
        ("Deployment", "spec template spec containers [] resources limits cpu", True),
        ("Deployment", "spec template spec volumes [] emptyDir sizeLimit", True),
        ("PersistentVolumeClaim", "spec resources requests storage", True),
        ("PersistentVolume", "spec capacity storage", True),
        ("ResourceQuota", "spec hard pods", True),
        ("LimitRange", "spec limits [] max cpu", True),
        ("HorizontalPodAutoscaler", "spec metrics [] resource target averageValue", True),
        ("RuntimeClass", "overhead podFixed cpu", False),
        ("ConfigMap", "data limits", False),
        ("ConfigMap", "data sizeLimit", False),
        ("Database", "spec hard pods", False),
        ("Database", "spec limits connections", False),
    ],
)
def test_quantities_are_known_by_their_place(kind: str, trail: str, expected: bool) -> None:
    assert is_quantity(subject_of(kind, {}, {}), tuple(trail.split())) is expected


def test_every_rule_that_can_answer_has_a_sentence() -> None:
    subject = subject_of("ClusterRole", {"aggregationRule": {"a": 1}}, {"aggregationRule": {"a": 1}}, ["spec.x"])
    trails = [("status",), ("rules",), ("spec", "x"), ("spec", "n"), ("metadata", "uid"), ("metadata", "managedFields")]
    for trail in trails:
        rule = rule_of(subject, trail, ".".join(trail), None, MISSING)
        assert rule in RULES
    assert all(sentence.endswith(".") and len(sentence) < 120 for sentence in RULES.values())


@pytest.mark.parametrize(
    ("trail", "value", "hidden"),
    [
        (("spec", "args"), [], True),
        (("metadata", "labels"), {}, True),
        (("spec", "selector"), {}, False),
        (("spec", "emptyDir"), {}, False),
        (("spec", "args"), "", False),
        (("spec", "replicas"), 0, False),
        (("spec", "paused"), False, False),
    ],
)
def test_only_what_holds_nothing_counts_as_nothing(trail: tuple[str, ...], value: Any, hidden: bool) -> None:
    assert (rule_of(subject_of("X", {}, {}), trail, "", value, MISSING) == "empty") is hidden


@pytest.mark.parametrize("name", ["resourceVersion", "uid", "generation"])
def test_the_servers_fields_of_a_pod_template_are_no_noise(name: str) -> None:
    assert rule_of(subject_of("Deployment", {}, {}), ("spec", "template", "metadata", name), "", 1, 2) == ""


def test_a_status_inside_a_spec_is_no_noise() -> None:
    assert rule_of(subject_of("X", {}, {}), ("spec", "status"), "", 1, 2) == ""


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("spec.replicas", "spec.replicas", True),
        ("spec", "spec.replicas", True),
        ("spec.replica", "spec.replicas", False),
        ("spec.*.x", "spec.a.x", True),
        ("spec.*.x", "spec.a.b.x", False),
        ("spec.c[*].image", "spec.c[name=a].image", True),
        ("spec.c[*].image", 'spec.c[name="a]b"].image', True),
        ("spec.c[name=a]", "spec.c[name=a].image", True),
        ("spec.c[name=a]", "spec.c[name=ab].image", False),
        ('metadata.annotations["a.b/c"]', 'metadata.annotations["a.b/c"]', True),
    ],
)
def test_an_ignored_path_covers_what_lies_below_it(pattern: str, path: str, fits: bool) -> None:
    assert bool(compiled(pattern).match(path)) is fits


def test_string_data_wins_over_data_as_on_the_server() -> None:
    assert folded({"data": {"a": "eA==", "b": "eQ=="}, "stringData": {"a": "z"}}) == {
        "data": {"a": "eg==", "b": "eQ=="}
    }


@pytest.mark.parametrize("odd", [{"stringData": [1]}, {"stringData": {"a": 1}}, {"data": [], "stringData": None}])
def test_a_secret_that_can_not_be_folded_is_left_as_it_is(odd: dict[str, Any]) -> None:
    assert folded(odd) is odd


def test_a_row_of_stars_is_not_tried_in_every_way_there_is() -> None:
    with processor(5):
        assert not compiled("*a" * 200).match("a" * 3_000 + "b")
        assert compiled("*a" * 200).match("a" * 3_000)
        assert not compiled("spec.*.*[*].*b").match("spec.a.a[0].a" * 300)
