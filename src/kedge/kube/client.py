"""The verbs of a Kubernetes API over a transport: get, list, create, apply, patch, delete.

Writes answer an `Answer`, whose refusal says what the server objected to; reads answer objects. Nothing is repeated
here that may have been carried out, see `ask.py`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import orjson

from kedge.kube.answer import Answer, error_of, mapping, parse_object, read_answer, read_refusal
from kedge.kube.ask import Asker
from kedge.kube.discovery import Discovery, Kind
from kedge.kube.transport import JSON, Transport
from kedge.model.errors import Invalid, Unavailable
from kedge.ports import Clock, Entropy

MANAGER = "kedge"
PAGE = 500
MAX_OBJECTS = 200_000
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
_NOT_YAML = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")
"""In UTF-8: DEL, C1, the separators of lines and paragraphs, the mark of byte order, what is no character."""
MAX_PAGES = 2_000
MAX_BYTES = 256 * 1024 * 1024
RESTARTS = 3


@dataclass(frozen=True, slots=True)
class Listing:
    """Every object of a list, as parsed, and the resource version to watch from."""

    items: tuple[dict[str, Any], ...]
    version: str


class Client:
    """One cluster. Every call raises Denied (401; 403 where nothing was asked to be written) and Unavailable."""

    def __init__(self, transport: Transport, clock: Clock, entropy: Entropy, *, asker: Asker | None = None) -> None:
        self.asker = asker or Asker(transport, clock, entropy)
        self.transport = transport
        self.clock = clock
        self.entropy = entropy
        self.discovery = Discovery(self.asker)
        self.streams_snapshots = True
        self._account = ""

    def acting_as(self, account: str) -> Client:
        """The same cluster, whose writes and dry runs are made as the service account NAMESPACE/NAME ("": as we are).

        Only the user is named: an API server knows the groups of a service account, and so our own account needs no
        right to impersonate a group."""
        if not account:
            return self
        other = copy(self)
        namespace, _, name = account.partition("/")
        other._account = f"system:serviceaccount:{namespace}:{name}"
        return other

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """One object, or None when it is not there."""
        path = kind.path(namespace, name)
        answer = read_answer(await self.asker.ask("GET", path), f"GET {path}")
        _check(answer, f"GET {path}", kind, namespace, name)
        if answer.refusal is None:
            return answer.value
        if answer.refusal.missing:
            return None
        raise error_of(answer.refusal, f"GET {path}")

    async def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> Listing:
        """All objects that fit the selectors, page by page; starts again when the server has forgotten the first page.

        A 404 means that the kind is not served any more: the listing is empty. Raises Unavailable over MAX_OBJECTS."""
        query = {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        for attempt in range(RESTARTS):
            # The last attempt asks for everything at once: such a list can not expire under way.
            paged = attempt < RESTARTS - 1
            found = await self._pages(kind, kind.path(namespace), {**query, "limit": str(PAGE)} if paged else query)
            if found is not None:
                return found
        raise Unavailable(f"{kind.path(namespace)}: the list expired {RESTARTS} times while it was being read")

    async def _pages(self, kind: Kind, path: str, query: dict[str, str]) -> Listing | None:
        items: list[dict[str, Any]] = []
        size = 0
        for _ in range(MAX_PAGES):
            response = await self.asker.ask("GET", path, query)
            if response.status != 200:
                refusal = read_refusal(response)
                if refusal.code == 410:
                    return None
                if refusal.missing:
                    return Listing((), "")
                raise error_of(refusal, f"list {path}")
            value = parse_object(response.body, f"list {path}")
            items.extend(_typed(value, kind, path))
            size += len(response.body)
            if len(items) > MAX_OBJECTS or size > MAX_BYTES:
                text = f"{path} lists more than {MAX_OBJECTS} objects or {MAX_BYTES >> 20} MiB"
                raise Unavailable(f"{text}: that is more than Kedge watches")
            metadata = mapping(value.get("metadata"))
            token = metadata.get("continue")
            if not token:
                return Listing(tuple(items), str(metadata.get("resourceVersion") or ""))
            query = {**query, "continue": str(token)}
        raise Unavailable(f"{path}: the list has more than {MAX_PAGES} pages: the server does not come to an end")

    async def create(self, kind: Kind, namespace: str, body: bytes, *, dry_run: bool = False) -> Answer:
        """POST, for objects whose name the server makes. Everything else is applied."""
        answer = await self._write("POST", kind.path(namespace), _options(dry_run), body, JSON)
        return _check(answer, f"POST {kind.path(namespace)}", kind, namespace)

    async def apply(
        self, kind: Kind, namespace: str, name: str, body: bytes, *, dry_run: bool = False, force: bool = True
    ) -> Answer:
        """Server-side apply as `kedge`, taking by force what the body names; without `force`, fields that others have
        set otherwise are refused with 409. 201 tells that it was created."""
        query = {**_options(dry_run), "force": "true" if force else "false"}
        path = kind.path(namespace, name)
        answer = await self._write("PATCH", path, query, _as_yaml(body), APPLY)
        return _check(answer, f"PATCH {path}", kind, namespace, name)

    async def json_patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Mapping[str, Any]], *, dry_run: bool = False
    ) -> Answer:
        """RFC 6902; a failed `test` is refused with 422."""
        path, body = kind.path(namespace, name), orjson.dumps(list(operations))
        answer = await self._write("PATCH", path, _options(dry_run), body, JSON_PATCH)
        return _check(answer, f"PATCH {path}", kind, namespace, name)

    async def merge_patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Mapping[str, Any],
        *,
        manager: str = MANAGER,
        dry_run: bool = False,
        subresource: str = "",
    ) -> Answer:
        """RFC 7386. The fields become `manager`'s, as an update and not as an apply."""
        query = {**_options(dry_run), "fieldManager": manager}
        path = kind.path(namespace, name) + (f"/{subresource}" if subresource else "")
        return await self._write("PATCH", path, query, orjson.dumps(change), MERGE_PATCH)

    async def scale(
        self, kind: Kind, namespace: str, name: str, replicas: int, *, manager: str = MANAGER, dry_run: bool = False
    ) -> Answer:
        """Set the number of replicas through the kind's scale subresource; refused with 404 where it has none."""
        path, body = f"{kind.path(namespace, name)}/scale", orjson.dumps({"spec": {"replicas": replicas}})
        return await self._write("PATCH", path, {**_options(dry_run), "fieldManager": manager}, body, MERGE_PATCH)

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str = "", propagation: str = "Background"
    ) -> Answer:
        """Of this very object where `uid` is given: another one under the same name is refused with 409."""
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
        }
        if uid:
            options["preconditions"] = {"uid": uid}
        return await self._write("DELETE", kind.path(namespace, name), {}, orjson.dumps(options), JSON)

    async def _write(self, method: str, path: str, query: Mapping[str, str], body: bytes, content: str) -> Answer:
        headers = {"content-type": content}
        if self._account:
            headers["impersonate-user"] = self._account
        response, what = await self.asker.ask(method, path, query, headers, body), f"{method} {path}"
        return _whole(read_answer(response, what), what)

    async def version(self) -> str:
        """The server's own version, such as v1.35.4: also the cheapest question to see whether it is there."""
        response = await self.asker.ask("GET", "/version")
        answer = read_answer(response, "GET /version")
        if answer.refusal is not None:
            raise error_of(answer.refusal, "GET /version")
        return str(answer.value.get("gitVersion") or "")

    async def kind(self, group: str, kind: str, version: str = "") -> Kind:
        """The kind; raises Invalid when the cluster does not serve it, Unavailable when it can not tell."""
        found = await self.discovery.find(group, kind, version)
        if found is None:
            home = f"{group or 'the core group'}{f'/{version}' if version else ''}"
            raise Invalid(f"this cluster serves no {kind} in {home}")
        return found

    async def close(self) -> None:
        await asyncio.shield(self.transport.close())


def _as_yaml(body: bytes) -> bytes:
    """JSON that means the same when it is read as YAML, as an API server reads what is applied: what YAML refuses as a
    control character, or folds as the end of a line, is written as an escape."""
    if body.isascii() and b"\x7f" not in body:
        return body
    return _NOT_YAML.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), body)


def _options(dry_run: bool) -> dict[str, str]:
    return {"fieldManager": MANAGER, "fieldValidation": "Warn"} | ({"dryRun": "All"} if dry_run else {})


def _typed(value: Mapping[str, Any], kind: Kind, path: str) -> list[dict[str, Any]]:
    """Items of a list carry no kind of their own. Raises Unavailable for what is no list, or one of something else: an
    empty list says that everything is gone."""
    items = value.get("items", ())
    if items is not None and not isinstance(items, list):
        raise Unavailable(f"list {path}: the answer is no list: is this address a Kubernetes API?")
    whole = [item for item in items or () if isinstance(item, dict) and isinstance(item.get("metadata"), dict)]
    for item in whole:
        if item.get("kind", kind.kind) != kind.kind:
            raise Unavailable(f"list {path}: there is a {str(item['kind'])[:80]} in a list of {kind.kind}")
    return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in whole]


def _whole(answer: Answer, what: str) -> Answer:
    """Every object has metadata (a deletion may be answered by a Status). Raises Unavailable for what is none."""
    known = isinstance(answer.value.get("metadata"), dict) or answer.value.get("kind") == "Status"
    if answer.refusal is None and not known:
        raise Unavailable(f"{what}: the answer is no Kubernetes object: it has no metadata")
    return answer


def _check(answer: Answer, what: str, kind: Kind, namespace: str, name: str = "") -> Answer:
    """An answer is about the object that was asked about. Raises Unavailable for one that is about another, or none."""
    if answer.refusal is not None:
        return answer
    metadata = mapping(_whole(answer, what).value.get("metadata"))
    asked = (kind.kind, namespace if kind.namespaced else "", name or metadata.get("name"))
    found = (answer.value.get("kind"), metadata.get("namespace") or "", metadata.get("name"))
    if found != asked:
        shown = " ".join(str(word)[:80] for word in found if word)
        raise Unavailable(f"{what}: the answer is about another object ({shown}): is this address a Kubernetes API?")
    return answer
