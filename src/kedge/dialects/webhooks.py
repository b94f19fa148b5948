"""Push webhooks of GitHub, GitLab, Gitea (and Gogs) and a plain one of ours: a signed request → a hint.

The signature is checked over the raw bytes before anything looks into them. What comes out only ever makes Kedge look
at a repository sooner; it is never believed.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import orjson

from kedge.model.errors import Denied, Invalid

BODY_LIMIT = 1 << 20
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_LONGEST_REF = 500
_LONGEST_URL = 2_000
_SHORTEST_SECRET = 8
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*\Z")
_SCP = re.compile(r"(?:([^@/]+)@)?([A-Za-z0-9.-]+):(?:(\d+):)?/?([^:]+)\Z")
_SSH_HOSTS = ("ssh.", "altssh.")


@dataclass(frozen=True, slots=True)
class Push:
    """`urls` are all that the forge calls the repository by. `default`: whether the default branch was pushed to,
    None where the forge does not say."""

    urls: tuple[str, ...]
    ref: str
    before: str = ""
    after: str = ""
    default: bool | None = None


def receive(headers: Mapping[str, str], body: bytes, secret: str) -> Push | None:
    """The push that a request tells of, None for any other event of a forge (a ping).

    Raises Denied for a signature that does not fit and when no secret is set, Invalid for anything that a forge would
    not send.
    """
    if not secret:
        raise Denied("webhooks are off", hint="set a webhook secret where the server runs")
    if len(secret) < _SHORTEST_SECRET:
        raise Denied(f"webhooks are off: their secret is shorter than {_SHORTEST_SECRET} characters")
    if len(body) > BODY_LIMIT:
        raise Invalid(f"the body has more than {BODY_LIMIT} bytes")
    names = {name.lower(): value for name, value in headers.items()}
    forge = next((forge for forge in _FORGES if forge.event in names), None)
    if forge is None:
        raise Invalid("no forge that Kedge knows sends such a request", hint="GitHub, GitLab, Gitea and Gogs are known")
    if not any(_signed(names, name, body, secret) for name in forge.signatures):
        raise Denied("the webhook's signature does not fit", hint="set the same secret here and at the forge")
    if forge.wanted and names[forge.event] not in forge.wanted:
        return None
    return forge.read(_payload(body))


def _signed(headers: Mapping[str, str], name: str, body: bytes, secret: str) -> bool:
    given = headers.get(name)
    if given is None:
        return False
    if name == "x-gitlab-token":
        return hmac.compare_digest(given.encode(), secret.encode())
    wanted = hmac.new(secret.encode(), body, sha256).hexdigest()
    if name.startswith(("x-hub-", "x-kedge-")):
        wanted = f"sha256={wanted}"
    return hmac.compare_digest(given.encode(), wanted.encode())


def _payload(body: bytes) -> dict[str, Any]:
    if body.startswith(b"payload="):
        raise Invalid("the body is a form", hint="choose the content type application/json at the forge")
    try:
        payload = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError):
        raise Invalid("the body is not JSON") from None
    if not isinstance(payload, dict):
        raise Invalid("the body is not a JSON object")
    return payload


def _section(payload: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = payload.get(name)
    if not isinstance(found, dict):
        raise Invalid(f"the body has no {name}")
    return found


def _push(payload: Mapping[str, Any], urls: list[Any], default: Any) -> Push | None:
    ref = payload.get("ref")
    if not isinstance(ref, str) or len(ref) > _LONGEST_REF or not ref.isprintable():
        raise Invalid("the body names no ref")
    if not ref.startswith(("refs/heads/", "refs/tags/")):
        return None
    before, after = (_commit(payload, name) for name in ("before", "after"))
    known = [url for url in urls if isinstance(url, str) and 0 < len(url) <= _LONGEST_URL and url.isprintable()]
    if not known:
        raise Invalid("the body names no repository")
    pushed = ref == f"refs/heads/{default}" if isinstance(default, str) and default else None
    return Push(tuple(dict.fromkeys(known)), ref, before, after, pushed)


def _commit(payload: Mapping[str, Any], name: str) -> str:
    found = payload.get(name)
    if found is None or found == "":
        return ""
    if not isinstance(found, str) or not _COMMIT.match(found):
        raise Invalid(f"the body's {name} is no commit")
    return found


def _github(payload: dict[str, Any]) -> Push | None:
    """GitHub, Gitea and Gogs call these fields alike."""
    repository = _section(payload, "repository")
    urls = [repository.get(name) for name in ("clone_url", "ssh_url", "html_url", "url")]
    return _push(payload, urls, repository.get("default_branch") or repository.get("master_branch"))


def _gitlab(payload: dict[str, Any]) -> Push | None:
    if payload.get("object_kind", payload.get("event_name")) not in ("push", "tag_push"):
        return None
    project = _section(payload, "project")
    urls = [project.get(name) for name in ("git_http_url", "git_ssh_url", "web_url", "http_url", "ssh_url")]
    return _push(payload, urls, project.get("default_branch"))


def _plain(payload: dict[str, Any]) -> Push | None:
    """`{"repository": URL, "ref": "refs/heads/main", "before": …, "after": …}`; a bare ref is a branch."""
    ref = payload.get("ref")
    if isinstance(ref, str) and ref and not ref.startswith("refs/"):
        payload = {**payload, "ref": f"refs/heads/{ref}"}
    return _push(payload, [payload.get("repository")], None)


@dataclass(frozen=True, slots=True)
class _Forge:
    """`event` is the header that tells the forge, `wanted` its values that are read ("" none: all)."""

    event: str
    signatures: tuple[str, ...]
    wanted: tuple[str, ...]
    read: Callable[[dict[str, Any]], Push | None]


_FORGES = (
    _Forge("x-gitea-event", ("x-gitea-signature", "x-hub-signature-256"), ("push",), _github),
    _Forge("x-gogs-event", ("x-gogs-signature",), ("push",), _github),
    _Forge("x-github-event", ("x-hub-signature-256",), ("push",), _github),
    _Forge("x-gitlab-event", ("x-gitlab-token",), ("Push Hook", "Tag Push Hook", "System Hook"), _gitlab),
    _Forge("x-kedge-signature", ("x-kedge-signature",), (), _plain),
)
"""In this order: Gitea sends GitHub's and Gogs's headers beside its own."""


def concerns(push: Push, ref: str) -> bool:
    """Whether a push may concern who follows `ref` ("" is the default branch). A tag and a branch of one name both."""
    if not ref or ref == "HEAD":
        return push.default is not False
    return _short(push.ref) == _short(ref)


def _short(ref: str) -> str:
    for prefix in ("refs/heads/", "refs/tags/"):
        if ref.startswith(prefix):
            return ref[len(prefix) :]
    return ref


def same_repository(one: str, other: str) -> bool:
    """Whether two URLs mean one repository: https, http and ssh alike, whatever port, user, case or `.git`.

    Forges answer on `ssh.` and `altssh.` hosts too. Being wrong costs one look, so this leans to yes.
    """
    first = _place(one)
    return first is not None and first == _place(other)


def _place(url: str) -> tuple[str, str] | None:
    if len(url) > _LONGEST_URL:
        return None
    found = _from_url(url) if "://" in url else _from_scp(url)
    if found is None:
        return None
    scheme, user, host, path = found
    path = path.strip("/").lower().removesuffix(".git").rstrip("/")
    if scheme == "file":
        return "", path
    if not host or not path or (user and not _USER.match(user)):
        return None
    host = host.lower()
    if scheme == "ssh":
        host = next((host[len(prefix) :] for prefix in _SSH_HOSTS if host.startswith(prefix)), host)
    return host, path


def _from_url(url: str) -> tuple[str, str, str, str] | None:
    try:
        parts = urlsplit(url)
        return parts.scheme.lower(), parts.username or "", parts.hostname or "", parts.path
    except ValueError:
        return None


def _from_scp(url: str) -> tuple[str, str, str, str] | None:
    if url.startswith("/"):
        return "file", "", "", url
    match = _SCP.match(url)
    return ("ssh", match[1] or "", match[2], match[4]) if match else None
