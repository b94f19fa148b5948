"""Git LFS: what a pointer in the place of a file stands for, and its contents from the repository's own server.

Only the repository's own host is asked, whatever `.lfsconfig` says; where it sends us for the bytes goes no credential
but the one that it hands out for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

import orjson

from kedge.model.errors import Invalid
from kedge.sources.snapshot import POINTER, POINTER_SIZE
from kedge.sources.web import Ask, Web

_OID = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_SIZE = re.compile(rb"^size (\d{1,15})$", re.MULTILINE)
_KIND = "application/vnd.git-lfs+json"


@dataclass(frozen=True, slots=True)
class Pointer:
    oid: str
    size: int


def pointer(raw: bytes) -> Pointer | None:
    """None for what is a file of its own."""
    if len(raw) > POINTER_SIZE or not raw.startswith(POINTER):
        return None
    oid, size = _OID.search(raw), _SIZE.search(raw)
    return Pointer(oid[1].decode(), int(size[1])) if oid and size else None


async def fetch(web: Web, repository: str, wanted: Pointer, limit: int) -> bytes:
    """The contents. Raises Invalid where there are none, or others than the pointer says."""
    if not repository.startswith(("https://", "http://")):
        raise Invalid(f"Git LFS is asked over https, and {repository} is not", hint="write the repository's https URL")
    if wanted.size > limit:
        raise Invalid(f"a file in Git LFS has {wanted.size} bytes, more than the {limit} that are read")
    url = f"{repository.rstrip('/').removesuffix('.git')}.git/info/lfs/objects/batch"
    asked = {"operation": "download", "transfers": ["basic"], "objects": [{"oid": wanted.oid, "size": wanted.size}]}
    ask = Ask(
        url,
        repository,
        prefix=repository,
        accept=_KIND,
        method="POST",
        headers={"Content-Type": _KIND},
        body=orjson.dumps(asked),
    )
    href, headers = _action((await web.ask(ask)).body, wanted)
    raw = (await web.ask(Ask(href, limit=limit, headers=headers))).body
    if sha256(raw).hexdigest() != wanted.oid:
        raise Invalid(f"Git LFS answers other bytes than the pointer {wanted.oid[:12]} says")
    return raw


def _action(raw: bytes, wanted: Pointer) -> tuple[str, dict[str, str]]:
    try:
        (found,) = orjson.loads(raw)["objects"]
        action = found["actions"]["download"]
        href, headers = action["href"], action.get("header") or {}
        fits = isinstance(href, str) and all(isinstance(value, str) for value in headers.values())
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        fits = False
    if not fits:
        raise Invalid(f"Git LFS has no file {wanted.oid[:12]}")
    return href, {
        name: value for name, value in headers.items() if "\n" not in name + value and "\r" not in name + value
    }
