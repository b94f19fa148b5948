"""A declaration among others is put back by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.dialects.kedge import read
from kedge.dialects.splice import spliced
from kedge.model.errors import Invalid
from kedge.model.ref import UnitName

WEB = UnitName("shop", "web")


def declared(name: str, path: str, comment: str = "") -> str:
    return f"""{comment}apiVersion: kedge.dev/v1alpha1
kind: Application
metadata: {{name: {name}, project: shop}}
spec:
  source: {{path: {path}}}
"""


def put_back(now: str, then: str) -> str:
    return spliced(now.encode(), then.encode(), WEB, "a.yaml").decode()


def test_only_the_unit_s_document_goes_back_and_the_rest_stays_as_it_is():
    then = f"# ours\n{declared('web', 'old')}---\n{declared('api', 'old')}"
    api, web = declared("api", "new", "# theirs\n"), declared("web", "new")
    now = f"{api}---\n{web}---\n# a word\n---\n{declared('c', 'new')}"
    found = put_back(now, then)
    assert found == now.replace(declared("web", "new"), f"# ours\n{declared('web', 'old')}")


def test_an_alone_standing_document_becomes_what_it_was_to_the_letter():
    assert put_back(declared("web", "new"), "# first\n" + declared("web", "old")) == "# first\n" + declared(
        "web", "old"
    )


def test_what_is_not_declared_any_more_comes_last():
    found = put_back(declared("api", "a").rstrip("\n"), declared("web", "old"))
    assert found == f"{declared('api', 'a')}---\n{declared('web', 'old')}"


def test_a_file_that_is_gone_comes_back_with_the_unit_s_document_alone():
    assert put_back("", f"{declared('web', 'old')}---\n{declared('api', 'old')}") == declared("web", "old")


def test_what_was_not_declared_then_can_not_come_back():
    with pytest.raises(Invalid, match=r"shop/web was not declared there then"):
        put_back(declared("web", "new"), declared("api", "old"))


def test_a_file_that_is_broken_now_is_not_added_to():
    """The unit's document would have been there twice once the file was mended."""
    with pytest.raises(Invalid, match=r"sorce"):
        put_back(declared("web", "new").replace("source", "sorce"), declared("web", "old"))


NAMES = st.lists(st.sampled_from(["api", "web", "db", "mail"]), unique=True, max_size=4)


@given(NAMES, NAMES, st.booleans(), st.booleans())
def test_afterwards_the_unit_is_declared_as_then_and_all_others_as_now(ours, theirs, marked, ended):
    def text(names: list[str], path: str) -> str:
        whole = "---\n".join(declared(name, path) for name in names)
        return ("---\n" if marked and whole else "") + (whole if ended else whole.rstrip("\n"))

    now, then = text(ours, "new"), text([*theirs, "web"] if "web" not in theirs else theirs, "old")
    found = read(put_back(now, then).encode())
    assert found.problems == ()
    assert {one.name: one.spec.source.path for one in found.declarations} == {
        **dict.fromkeys(ours, "new"),
        "web": "old",
    }
