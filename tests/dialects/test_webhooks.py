"""Webhooks: only who knows the secret is heard, and what is heard is only a hint."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.dialects.loader import load
from kedge.dialects.webhooks import Push, concerns, receive, same_repository
from kedge.model.errors import Denied, Invalid

SECRET = "correct horse battery"
SHARED = Path(os.environ.get("KEDGE_SHARED", Path(__file__).parents[3] / "shared")) / "cases" / "webhooks"
OLD, NEW = "1" * 40, "2" * 40

GITHUB = {
    "ref": "refs/heads/main",
    "before": OLD,
    "after": NEW,
    "repository": {
        "clone_url": "https://git.example.com/shop/web.git",
        "ssh_url": "git@git.example.com:shop/web.git",
        "html_url": "https://git.example.com/shop/web",
        "default_branch": "main",
    },
}
GITLAB = {
    "object_kind": "tag_push",
    "ref": "refs/tags/v1",
    "before": "0" * 40,
    "after": NEW,
    "project": {"git_http_url": "https://git.example.com/shop/web.git", "default_branch": "main"},
}


def cases(name: str) -> list[dict[str, Any]]:
    path = SHARED / name
    return list(load(path.read_bytes())[0].value) if path.exists() else []


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, sha256).hexdigest()


def signed(forge: str, body: bytes, event: str = "push", secret: str = SECRET) -> dict[str, str]:
    digest = signature(body, secret)
    return {
        "github": {"X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={digest}"},
        "gitea": {"X-Gitea-Event": event, "X-GitHub-Event": event, "X-Gitea-Signature": digest},
        "gogs": {"X-Gogs-Event": event, "X-Gogs-Signature": digest},
        "gitlab": {"X-Gitlab-Event": event, "X-Gitlab-Token": secret},
        "kedge": {"X-Kedge-Signature": f"sha256={digest}"},
    }[forge]


@pytest.mark.parametrize("forge", ["github", "gitea", "gogs"])
def test_a_signed_push_tells_repository_ref_and_commits(forge: str) -> None:
    body = json.dumps(GITHUB).encode()
    push = receive(signed(forge, body), body, SECRET)
    urls = ("https://git.example.com/shop/web.git", "git@git.example.com:shop/web.git")
    assert push == Push((*urls, "https://git.example.com/shop/web"), "refs/heads/main", OLD, NEW, True)


def test_gitlab_tells_of_tags_too() -> None:
    body = json.dumps(GITLAB).encode()
    push = receive(signed("gitlab", body, "Tag Push Hook"), body, SECRET)
    assert push is not None
    assert (push.ref, push.default) == ("refs/tags/v1", False)


def test_anything_can_send_a_plain_hint_when_it_signs() -> None:
    body = json.dumps({"repository": "https://git.example.com/a/b", "ref": "main"}).encode()
    assert receive(signed("kedge", body), body, SECRET) == Push(("https://git.example.com/a/b",), "refs/heads/main")


@pytest.mark.parametrize("forge", ["github", "gitea", "gogs", "gitlab", "kedge"])
def test_a_wrong_or_missing_signature_is_denied_before_the_body_is_read(forge: str) -> None:
    body = b"not even JSON"
    wrong = signed(forge, body, secret="something else entirely")
    with pytest.raises(Denied, match="signature"):
        receive(wrong, body, SECRET)
    unsigned = {name: value for name, value in wrong.items() if name.endswith("Event")}
    if unsigned:
        with pytest.raises(Denied, match="signature"):
            receive(unsigned, body, SECRET)


def test_a_changed_body_does_not_keep_its_signature() -> None:
    body = json.dumps(GITHUB).encode()
    with pytest.raises(Denied):
        receive(signed("github", body), body + b" ", SECRET)


def test_without_a_secret_there_are_no_webhooks() -> None:
    body = json.dumps(GITHUB).encode()
    with pytest.raises(Denied, match="off"):
        receive(signed("github", body, secret=""), body, "")
    with pytest.raises(Denied, match="off"):
        receive(signed("github", body, secret="short"), body, "short")


def test_a_signature_of_another_forge_does_not_count() -> None:
    body = json.dumps(GITHUB).encode()
    headers = {"X-GitHub-Event": "push", "X-Gitlab-Token": SECRET}
    with pytest.raises(Denied):
        receive(headers, body, SECRET)


def test_other_events_are_nothing_to_look_at() -> None:
    assert receive(signed("github", b"{}", "ping"), b"{}", SECRET) is None


HOSTILE: dict[str, Any] = {
    "a list": [],
    "no ref": {**GITHUB, "ref": None},
    "a ref that is a number": {**GITHUB, "ref": 5},
    "an endless ref": {**GITHUB, "ref": "refs/heads/" + "x" * 5000},
    "a ref with control characters": {**GITHUB, "ref": "refs/heads/\x1b[2J"},
    "a commit that is none": {**GITHUB, "after": "--upload-pack=x"},
    "a repository that is a text": {**GITHUB, "repository": "x"},
    "a repository without URLs": {**GITHUB, "repository": {"clone_url": ["x"], "url": 4}},
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE.keys())
def test_shapes_that_no_forge_sends_are_refused(payload: Any) -> None:
    body = json.dumps(payload).encode()
    with pytest.raises(Invalid):
        receive(signed("github", body), body, SECRET)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"payload=%7B%7D", b" " * (1 << 20) + b"{}"])
def test_bodies_that_are_no_json_or_too_large_are_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        receive(signed("github", body), body, SECRET)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.dictionaries(st.sampled_from(["ref", "before", "after", "repository", "clone_url", "project"]), inner)
            | st.lists(inner)
        ),
    )
)
def test_any_json_is_a_push_or_refused(payload: Any) -> None:
    body = json.dumps(payload).encode()
    push = None
    with contextlib.suppress(Invalid):
        push = receive(signed("github", body), body, SECRET)
    assert push is None or push.urls


def _matching() -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in cases("url-matching.yaml")]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared cases are not beside the checkout")
@pytest.mark.parametrize("case", _matching())
def test_urls_of_one_repository_are_recognised(case: dict[str, Any]) -> None:
    assert same_repository(case["webURL"], case["repository"]) is case["expected"]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared cases are not beside the checkout")
@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in cases("revision-matching.yaml")])
def test_a_push_concerns_who_follows_its_ref(case: dict[str, Any]) -> None:
    if "*" in case["targetRevision"]:
        pytest.skip("Kedge follows names, not version ranges")
    push = Push(("https://x/y",), f"refs/heads/{case['pushedRevision']}", default=case["touchedHead"])
    assert concerns(push, case["targetRevision"]) is case["expected"]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared cases are not beside the checkout")
@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in cases("ref-matching.yaml")])
def test_refs_are_matched_as_forges_write_them(case: dict[str, Any]) -> None:
    if case["forge"] not in ("github", "gitlab", "gogs", "gitea"):
        pytest.skip(f"{case['forge']} is not a forge that Kedge hears")
    assert concerns(Push(("https://x/y",), case["ref"]), case["targetRevision"]) is case["expected"]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared cases are not beside the checkout")
@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in cases("cases.yaml")])
def test_payloads_of_real_forges_are_read(case: dict[str, Any]) -> None:
    names = {name.lower() for name in case["headers"]}
    forge = next((f for f in ("gogs", "github", "gitlab") if f"x-{f}-event" in names), "")
    if not forge or "package" in case["headers"].values():
        pytest.skip("not a forge that Kedge hears")
    body = (SHARED / case["payload"]).read_bytes()
    event = next(value for name, value in case["headers"].items() if name.lower() == f"x-{forge}-event")
    push = receive(signed(forge, body, event), body, SECRET)
    expected = case["expected"]
    if expected["event"] != "push":
        assert push is None
        return
    assert push is not None
    assert concerns(push, expected["revision"])
    assert push.default is expected["touchedHead"]
    assert (push.before, push.after) == (expected.get("shaBefore", ""), expected.get("shaAfter", ""))
    assert all(any(same_repository(url, wanted) for url in push.urls) for wanted in expected["repositories"])
