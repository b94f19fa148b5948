"""What a tool says, as people read it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kedge.executions.stream import HIDDEN, Heard, Mask


def heard(*secrets: str) -> Heard:
    return Heard(Mask(secrets))


def event(message: str, **more: Any) -> bytes:
    return json.dumps({"@level": "info", "@message": message, **more}).encode()


def test_an_event_is_read_as_its_message() -> None:
    assert heard().hear(event("terraform_data.a: Creating...", type="apply_start")) == ["terraform_data.a: Creating..."]


def test_what_is_no_event_is_read_as_it_is() -> None:
    for raw in (b"Initializing modules...", b'{"a": 1}', b"{broken", b"[1]"):
        assert heard().hear(raw) == [raw.decode()]


def test_an_error_is_a_problem_with_its_place() -> None:
    one = heard()
    place = {"filename": "main.tf", "start": {"line": 3}}
    diagnostic = {"severity": "error", "summary": "Bad", "detail": "it is\n  bad", "range": place, "address": "a.b"}
    assert one.hear(event("Error: Bad", diagnostic=diagnostic)) == ["Error: main.tf line 3: Bad: it is bad (a.b)"]
    assert one.problems == ("main.tf line 3: Bad: it is bad (a.b)",)


def test_an_error_without_a_place_is_told_with_what_was_at_work() -> None:
    one = heard()
    for number in range(7):
        one.hear(event("", type="apply_errored", hook={"resource": {"addr": f"a.x{number}"}}))
    one.hear(event("", diagnostic={"severity": "error", "summary": "Plugin did not respond"}))
    one.hear(event("", diagnostic={"severity": "error", "summary": "Bad", "address": "a.x1"}))
    assert one.problems == ("Plugin did not respond (at a.x0, a.x1, a.x2, a.x3, a.x4 and 2 more)", "Bad (a.x1)")


def test_an_error_without_a_place_is_told_with_what_was_being_read() -> None:
    one = heard()
    for kind, name in (("refresh_start", "a.x"), ("refresh_start", "a.y"), ("refresh_complete", "a.x")):
        one.hear(event("", type=kind, hook={"resource": {"addr": name}}))
    one.hear(event("", diagnostic={"severity": "error", "summary": "Plugin did not respond"}))
    assert one.problems == ("Plugin did not respond (at a.y)",)


def test_errors_are_before_warnings_and_each_is_told_once() -> None:
    one = heard()
    for severity, summary in (("warning", "old"), ("error", "bad"), ("error", "bad")):
        one.hear(event("", diagnostic={"severity": severity, "summary": summary}))
    assert one.problems == ("bad", "warning: old")


def test_the_same_errors_are_the_same_problems_in_whatever_order_a_tool_finds_them() -> None:
    """Each try named them in another order, and was a failure of its own in the history."""

    def found(file: str, line: int, summary: str) -> bytes:
        place = {"filename": file, "start": {"line": line}}
        return event("", diagnostic={"severity": "error", "summary": summary, "range": place})

    said = [
        found("b.tf", 1, "late"),
        found("a.tf", 10, "second"),
        event("", diagnostic={"severity": "error", "summary": "nowhere"}),
        found("a.tf", 9, "first"),
        found("a.tf", 9, "b, in the same line"),
    ]
    orders = []
    for raws in (said, said[::-1]):
        one = heard()
        for raw in raws:
            one.hear(raw)
        orders.append(one.problems)
    assert orders[0] == orders[1]
    assert orders[0] == (
        "nowhere",
        "a.tf line 9: b, in the same line",
        "a.tf line 9: first",
        "a.tf line 10: second",
        "b.tf line 1: late",
    )


def test_how_far_it_is_counts_what_was_planned_and_what_is_done() -> None:
    one = heard()
    assert one.told == ""
    one.hear(event("", type="refresh_complete"))
    assert one.told == "1 objects read"
    for name in ("a.x", "a.y"):
        one.hear(event("", type="planned_change", change={"resource": {"addr": name}}))
    one.hear(event("", type="apply_start", hook={"resource": {"addr": "a.x"}}))
    assert one.told == "0 of 2 changes done, at a.x"
    one.hear(event("", type="apply_complete", hook={"resource": {"addr": "a.x"}}))
    assert one.told == "1 of 2 changes done"


@pytest.mark.parametrize(
    "text",
    ["the key is hunter2!", 'in JSON: "hunter2!"', "in a URL: http://u:hunter2%21@x", "twice hunter2! hunter2!"],
)
def test_a_secret_is_hidden_wherever_it_appears(text: str) -> None:
    (line,) = heard("hunter2!").hear(event(text))
    assert "hunter2" not in line
    assert HIDDEN in line


def test_a_secret_of_many_lines_is_hidden_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nabcdefghijklmnop\n-----END KEY-----\n"
    one = heard(key)
    assert [line for part in key.splitlines() for line in one.hear(part.encode())] == [HIDDEN] * 4


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    assert heard("hunter2", "hunter2hunter2").hear(b"hunter2hunter2") == [HIDDEN]


def test_a_secret_is_hidden_in_problems_and_addresses() -> None:
    one = heard("hunter2")
    one.hear(event("", diagnostic={"severity": "error", "summary": "no", "detail": "with hunter2"}))
    one.hear(event("", type="planned_change"))
    one.hear(event("", type="apply_start", hook={"resource": {"addr": 'a.b["hunter2"]'}}))
    one.failed("hunter2")
    one.warned("hunter2")
    assert "hunter2" not in str((one.problems, one.told))


def test_control_characters_and_escapes_do_not_reach_a_terminal() -> None:
    text = "\x1b[31mred\x1b[0m \x07bell \u202ereversed \x9b1m \r over"
    assert heard().hear(text.encode()) == ["red bell reversed 1m  over"]


def test_what_a_tool_says_is_bounded() -> None:
    one = heard()
    assert len(one.hear(b"x" * 100_000)[0]) == 2_000
    for number in range(1_000):
        one.failed(f"{number} " + "x" * 10_000)
    assert len(one.problems) == 50
    assert max(map(len, one.problems)) == 4_000


@pytest.mark.parametrize("raw", [b"{" * 200_000, b'{"@message": ' + b"[" * 200_000, b"\xff\xfe", b'{"@message": 1}'])
def test_nothing_that_a_tool_prints_breaks_the_reading(raw: bytes) -> None:
    assert all(isinstance(line, str) and len(line) <= 2_000 for line in heard().hear(raw))


@pytest.mark.parametrize("more", [{"hook": 1}, {"hook": {"resource": []}}, {"diagnostic": {"range": {"start": 1}}}])
def test_events_of_another_shape_are_taken_as_they_come(more: dict[str, Any]) -> None:
    assert len(heard().hear(event("x", type="apply_start", **more))) == 1
