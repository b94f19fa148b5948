"""Single values of a declaration that somebody wrote to do harm."""

from __future__ import annotations

import pytest
from tests.bounds import processor

from kedge.dialects import rules
from kedge.dialects.kedge import MOST_ENVIRONMENTS, read
from kedge.dialects.shape import MOST_PROBLEMS

HEAD = "apiVersion: kedge.dev/v1alpha1\nkind: Application\nmetadata: {name: web}\n"
MUCH = 500_000


@pytest.mark.parametrize("text", ["https://" + ":" * MUCH, "https://" + "a" * MUCH, "://" * MUCH, "a:" * MUCH + "/b@"])
def test_no_url_takes_long_to_be_judged_or_shown(text: str) -> None:
    # Twice a pattern looked for an @ behind every one of a million colons: hours for one declaration.
    with processor(5):
        rules.repository(text)
        assert len(rules.shown(text)) <= 60


def test_what_stands_before_a_host_is_not_shown() -> None:
    assert rules.shown("https://user:pass@host/x") == "https://***@host/x"
    assert rules.shown("https://a@b://c@host") == "https://***@host"
    assert rules.shown("git@host:path") == "git@host:path"


def test_a_text_that_is_longer_than_any_name_is_refused_unread() -> None:
    (problem,) = read(f"{HEAD}spec: {{source: {{repository: 'https://{':' * 900_000}'}}}}".encode()).problems
    assert "900008 characters" in problem.text


def test_a_file_that_is_wrong_everywhere_is_told_of_in_a_page_and_read_no_further() -> None:
    # A thousand documents of fifty unknown fields each made fifty thousand problems, all of them kept.
    fields = ", ".join(f"sorce{n}: 1" for n in range(60))
    with processor(5):
        found = read(f"---\n{HEAD}spec: {{{fields}}}\n".encode() * 1_000)
    assert len(found.problems) <= 2 * MOST_PROBLEMS + 1
    assert any("the rest of the file is not read" in problem.text for problem in found.problems)


def test_environments_without_end_are_refused() -> None:
    names = ", ".join(f"{'x' * 60}{n}: {{a: 1}}" for n in range(9_000))
    with processor(5):
        (problem,) = read(f"{HEAD}spec: {{environments: {{{names}}}}}".encode()).problems
    assert str(MOST_ENVIRONMENTS) in problem.text
    wrong = ", ".join(f"e{n}: {{{', '.join(f'f{m}: 1' for m in range(60))}}}" for n in range(MOST_ENVIRONMENTS))
    with processor(5):
        assert len(read(f"{HEAD}spec: {{environments: {{{wrong}}}}}".encode()).problems) == MOST_PROBLEMS
