from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.health.expression import MOST_CHARACTERS, MOST_EFFORT, Expression
from kedge.engine.health.view import MOST_NODES, view_of
from kedge.model.errors import Invalid


def seen(**status: Any) -> dict[str, Any]:
    obj = {"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": status}
    return view_of(obj, ("object", "metadata", "spec", "status", "conditions", "age"), None)


@pytest.mark.parametrize(
    "text",
    [
        "status.phase == 'Up'",
        "status.n > 2 && status.n < 3.5",
        "conditions.Ready.status == 'True'",
        "status.parts.exists(p, p.phase == 'Up')",
        "status.parts.all(p, p.conditions.all(c, c.status == 'True'))",
        "status.?nope.orValue('x') == 'x'",
        "status.phase.matches('^U(p)+$')",
        "object.metadata.name == 'x'",
        r"r'a\d' + 'b' == 'a\\db'",
        "[1, 2].size() == 2",
    ],
)
def test_what_is_true_holds(text: str) -> None:
    view = seen(
        phase="Up",
        n=3,
        conditions=[{"type": "Ready", "status": "True"}],
        parts=[{"phase": "Up", "conditions": [{"status": "True"}]}],
    )

    assert Expression(text).holds(view)


@pytest.mark.parametrize("text", ["status.nope == 'x'", "status.phase > 3", "age > 3", "1 / 0 == 1", "status.a.b.c"])
def test_what_can_not_be_evaluated_does_not_hold(text: str) -> None:
    assert not Expression(text).holds(seen(phase="Up"))


@pytest.mark.parametrize(
    "text", ["", "status.", "foo == 1", "'a' 'b'", "status.phase == 'x", "import os", "status.x()"]
)
def test_what_is_no_cel_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(Invalid) as wrong:
        Expression(text)

    assert text[:20] in str(wrong.value)


@pytest.mark.parametrize(
    "text",
    [
        "['a'].map(x, x + x).map(x, x + x).size() > 0",
        "status.l.map(x, [x, x]).map(x, [x, x]) == []",
        "status.l.map(x, {'a': x}) == []",
        "optional.of('a').optMap(v, v + v).hasValue()",
        r"status.l.map(x, r'\' + x + '') == []",
        "status.l.all(a, status.l.all(b, status == status))",
        r"r'a\' + 'b' != 'c'",
        "x" * (MOST_CHARACTERS + 1),
        "status.s.matches('((a{0,30}){0,30}){0,1}b')",
        "status.s.matches(status.pattern)",
        "status.s.matches('a' + 'b')",
        "matches(status.s, 'a')",
        r"status.s.matches('(\\pL\\pL\\pL)*')",
        "status.s.matches('" + "a?" * 40 + "')",
    ],
)
def test_what_could_fill_memory_or_take_for_ever_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Expression(text)


@pytest.mark.parametrize(
    "text", ["(" * 400 + "1" + ")" * 400, "!" * 900 + "true", "[" * 400 + "]" * 400, "-" * 900 + "1"]
)
def test_an_expression_nested_without_end_is_refused_or_harmless(text: str) -> None:
    told = ""
    try:
        holds = Expression(text).holds(seen())
    except Invalid as wrong:
        holds, told = False, str(wrong)

    assert isinstance(holds, bool)
    assert "is no CEL" in told or told == ""


def test_a_regular_expression_that_would_backtrack_is_answered_at_once() -> None:
    assert not Expression("status.s.matches('(a*)*(a|b)+(x?){50}$y')").holds(seen(s="a" * 100_000))


def test_loops_over_loops_end_at_a_budget() -> None:
    many = [{"l": [1] * 256} for _ in range(256)]

    assert not Expression("status.l.all(a, a.l.all(b, a.l.all(c, c == 1)))").holds(seen(l=many))


def test_macros_and_comparisons_inside_them_are_counted() -> None:
    assert Expression("status.a == 1 && status.b == 2").effort == 0
    assert Expression("status.l.exists(x, x.a == 1 && x.b != 2)").effort == 3
    assert Expression("status.s.matches('^U{1,3}p')").effort == 2
    # Six times the whole status with itself, for each of 256 entries: half a second in which nobody else had a turn.
    assert Expression("status.l.all(x, " + " && ".join(["status == status"] * 6) + ")").effort > MOST_EFFORT
    assert Expression("status.l.all(x, x in status.l)").effort == 6
    assert Expression("status.l.all(x, x in ['a', 'b'] && x != -1)").effort == 3


def test_a_view_is_bounded_and_keeps_plain_values_before_long_lists() -> None:
    view = seen(l=[{"a": i} for i in range(100_000)], phase="Up", deep=[[[[[[]]]]]] * 300, s="x" * 10**6, n=2**70)

    assert view["status"]["phase"] == "Up"
    assert sum(map(len, view["status"]["l"])) < MOST_NODES
    assert len(view["status"]["s"]) < 10_000
    assert not Expression("status.n == 1").holds(view)


@pytest.mark.parametrize("value", ["\ud800", "\x00", {"a\udfff": 1}, [None, {}], 2**63, -(2**80), 1e308, True, 10**400])
def test_odd_values_are_no_error(value: Any) -> None:
    view = seen(x=value)

    assert Expression("status.x == 'y'").holds(view) is False
    assert isinstance(Expression("string(status.x)").says(view), str)


def test_the_words_of_an_error_are_never_the_answer() -> None:
    assert Expression("status.nope").says(seen()) == ""
