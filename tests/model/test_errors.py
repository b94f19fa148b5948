"""What an error shows of what a stranger wrote."""

from __future__ import annotations

from kedge.model.errors import LONGEST, Invalid, Problem, Where


def test_a_problem_is_bounded_whoever_wrote_its_words() -> None:
    # A chart that fails with 50 MB of text had all of it kept as the unit's trouble, its run's and an event's.
    error = Invalid("x" * 50_000_000, where=Where("f" * 10_000, path="p" * 10_000), hint="h" * 10_000)
    assert len(str(error)) < 5 * LONGEST


def test_a_problem_holds_nothing_that_moves_a_cursor_turns_a_text_around_or_breaks_a_database() -> None:
    said = str(Problem("\x1b[31mred\x07 \x00\u202eback\ud800\nnext\tline", Where("a\x1b]0;x\x07.yaml"), "\x9bhint"))
    assert (
        said
        == r"""a\x1b]0;x\x07.yaml: \x1b[31mred\x07 \x00\u202eback\ud800
next	line
  \x9bhint"""
    )


def test_a_name_with_what_is_not_seen_is_told_from_one_without() -> None:
    """Both were called a.yaml."""
    assert str(Where("a\x7f.yaml")) != str(Where("a.yaml"))
    first, second = (Problem("it is broken", Where(name)) for name in ("a\u200e.yaml", "a.yaml"))
    assert (first.where.file, second.where.file) == (r"a\u200e.yaml", "a.yaml")


def test_lines_of_another_system_end_as_ours_do_and_what_is_written_out_is_bounded_too() -> None:
    assert Problem("one\r\ntwo").text == "one\ntwo"
    assert len(Problem("\x00" * LONGEST).text) == LONGEST + 2


def test_ordinary_words_stay_as_they_are() -> None:
    where = Where("apps/grüße.yaml", 3, 2, "spec.x[0]")
    problem = Problem("“größe” is no number", where, "write 3")
    assert (problem.text, problem.where, problem.hint) == ("“größe” is no number", where, "write 3")
