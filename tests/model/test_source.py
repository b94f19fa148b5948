"""What people call a revision."""

from __future__ import annotations

from kedge.model.origin import Assembly, assembly_of, at, of_assembly, of_chart
from kedge.model.source import Revision, shortened

COMMIT, MADE = "3f2a9c1" + "0" * 33, "eeeeeee" + "1" * 33


def revision(commit: str = COMMIT, **more: str) -> Revision:
    return Revision("https://git.example.com/web", "main", commit, **more)


def test_a_commit_is_known_by_its_first_digits():
    found = revision()
    assert (found.known, found.short) == (COMMIT, "3f2a9c1")
    assert [found.called(text) for text in ("3f2a", "3f2", "", "eeee")] == [True, False, False, False]


def test_what_is_put_together_is_known_by_the_commit_of_its_main_source():
    found = revision(MADE, origin=COMMIT)
    assert (found.known, found.short) == (COMMIT, "3f2a9c1")
    assert found.called("3f2a9c1")


def test_what_is_packed_is_known_by_its_version_and_by_no_other_that_begins_alike():
    found = revision(MADE, version="1.10.0", digest=f"sha256:{'a' * 64}")
    assert (found.known, found.short) == ("1.10.0", "1.10.0")
    assert (found.called("1.10.0"), found.called("1.1")) == (True, False)
    assert shortened(revision(MADE, digest=f"sha256:{'a' * 64}").known) == "sha256:aaaaaaaaaaaa"


def test_the_same_source_at_another_commit_or_version():
    assert at("main", COMMIT) == COMMIT
    assert at(of_chart("web", "1.x"), "1.2.0") == of_chart("web", "1.2.0")
    moved = assembly_of(at(of_assembly(Assembly(of_chart("web", "1.x"), allow=("https://a.example",))), "1.2.0"))
    assert moved == Assembly(of_chart("web", "1.2.0"), allow=("https://a.example",))
