"""Get, list with pages, and watch."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.kinds import Kind
from kedge.sandbox.problems import Cause, Problem, bad_request, expired, invalid, not_found, too_new, unsupported
from kedge.sandbox.routes import Target
from kedge.sandbox.selectors import COMMON, Requirement, Selection, parse_fields, parse_labels
from kedge.sandbox.store import Stored
from kedge.sandbox.views import View, view_of
from kedge.sandbox.watching import Watch
from kedge.sandbox.wire import TRUE, Object, Request, Response, answer

PAGE_SECONDS = 300.0
PAGES = 64
ANY = -1
"""The version in a token that goes on with whatever there is by now."""
DIGITS = 18


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a list: what is in it, the version it shows, and the token of what is left."""

    items: list[Stored]
    rv: int
    token: str = ""
    left: int = 0


def selection_of(kind: Kind, query: Mapping[str, str]) -> Selection:
    """Label and field selectors of a request; raises Problem (400)."""
    return Selection(parse_labels(query.get("labelSelector", "")), parse_fields(query.get("fieldSelector", ""), kind))


def get(cluster: Cluster, request: Request, target: Target) -> Response:
    """One object, in the form that was asked for."""
    stored = cluster.store.at(target.place)
    if stored is None:
        raise not_found(target.kind, target.name)
    view = view_of(cluster, target.kind, request)
    return answer(view.one(stored))


def collection(cluster: Cluster, request: Request, target: Target) -> Response:
    """List or watch."""
    check_options(request.query, request.watching)
    if request.watching:
        return Response(200, {"content-type": "application/json"}, watch(cluster, request, target))
    view = view_of(cluster, target.kind, request)
    page = _page(cluster, request, target)
    meta: Object = {"resourceVersion": str(page.rv)}
    if page.token:
        meta["continue"] = page.token
        if not request.query.get("labelSelector") and not request.query.get("fieldSelector"):
            meta["remainingItemCount"] = page.left
    return answer(view.many(page.items, meta))


def _page(cluster: Cluster, request: Request, target: Target) -> Page:
    query = request.query
    chosen = selection_of(target.kind, query)
    limit = 0 if query.get("limit", "").startswith("-") else number_of(query, "limit")
    if query.get("continue"):
        rv, rest = _continued(cluster, target, chosen, query["continue"])
    else:
        _check_version(cluster, query)
        rv, rest = cluster.store.rv, _chosen(cluster, target, chosen)
    if not limit or len(rest) <= limit:
        return Page(rest, rv)
    items, rest = rest[:limit], rest[limit:]
    return Page(items, rv, _keep(cluster, rv, rest), len(rest))


def _chosen(cluster: Cluster, target: Target, chosen: Selection) -> list[Stored]:
    names = [term for term in chosen.fields if term.key == COMMON[0] and term.op == "in"]
    found: Iterable[Stored] = cluster.store.scan(target.kind.key, target.namespace)
    if names and target.namespace is not None:
        found = _named(cluster, target, names[0])
    if not chosen.labels and not chosen.fields:
        return list(found)
    return [stored for stored in found if chosen.takes(stored.obj)]


def _named(cluster: Cluster, target: Target, term: Requirement) -> list[Stored]:
    names = cluster.store.tables.get(target.kind.key, {}).get(target.namespace or "", {})
    return [names[name] for name in sorted(term.values) if name in names]


def _check_version(cluster: Cluster, query: Mapping[str, str]) -> None:
    wanted = number_of(query, "resourceVersion")
    if wanted > cluster.store.rv:
        raise too_new(wanted, cluster.store.rv)
    if query.get("resourceVersionMatch") == "Exact" and wanted != cluster.store.rv:
        raise expired("The provided resource version is too old.")


MATCHES = ("Exact", "NotOlderThan")
MATCH = "resourceVersionMatch"
LIST_OPTIONS = Kind("meta.k8s.io", "v1", "", "ListOptions", False)


def check_options(query: Mapping[str, str], watching: bool) -> None:
    """Raises Problem (422) for options that do not go together."""
    match, version, initial = query.get(MATCH, ""), query.get("resourceVersion", ""), query.get("sendInitialEvents")
    causes = []
    if watching and initial:
        if match != "NotOlderThan":
            causes.append(_never(MATCH, f"sendInitialEvents requires setting {MATCH} to NotOlderThan"))
            if match:
                causes.append(unsupported(MATCH, match, ("NotOlderThan",)))
    elif watching:
        if match:
            causes.append(_never(MATCH, f"{MATCH} is forbidden for watch unless sendInitialEvents is provided"))
    elif match:
        if not version:
            causes.append(_never(MATCH, f"{MATCH} is forbidden unless resourceVersion is provided"))
        if query.get("continue"):
            causes.append(_never(MATCH, f"{MATCH} is forbidden when continue is provided"))
        if match not in MATCHES:
            causes.append(unsupported(MATCH, match, MATCHES))
        if match == "Exact" and version == "0":
            causes.append(_never(MATCH, f'{MATCH} "exact" is forbidden for resourceVersion "0"'))
    if initial and not watching:
        causes.append(_never("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if causes:
        raise invalid(LIST_OPTIONS, "", causes)


def _never(field: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {why}", field)


def number_of(query: Mapping[str, str], name: str, missing: int = 0) -> int:
    """A whole number in the query; raises Problem (400) for what is none, or has more than 64 bits."""
    text = query.get(name)
    if not text:
        return missing
    if not text.isdecimal() or len(text) > DIGITS:
        raise bad_request(f'Invalid value: "{text}": {name} must be a number')
    return int(text)


def _keep(cluster: Cluster, rv: int, rest: list[Stored]) -> str:
    text = _token(rv, _stands(rest[0]), cluster.entropy(8))
    cluster.pages[text] = (cluster.now(), rv, rest)
    while len(cluster.pages) > PAGES:
        del cluster.pages[next(iter(cluster.pages))]
    return text


def _token(rv: int, start: str, page: str) -> str:
    token = {"v": "meta.k8s.io/v1", "rv": rv, "start": start, "page": page}
    return base64.urlsafe_b64encode(orjson.dumps(token)).decode().rstrip("=")


def _stands(stored: Stored) -> str:
    """Where an object stands in a list."""
    return f"{stored.meta.get('namespace', '')}/{stored.meta['name']}"


def _continued(cluster: Cluster, target: Target, chosen: Selection, token: str) -> tuple[int, list[Stored]]:
    kept = cluster.pages.get(token)
    if kept is not None and cluster.now() - kept[0] <= PAGE_SECONDS and kept[1] >= cluster.store.floor:
        return kept[1], kept[2]
    try:
        known = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        rv, start = known["rv"], str(known["start"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from error
    if rv != ANY:
        raise TooOld(_token(ANY, start, ""))
    rest = [stored for stored in _chosen(cluster, target, chosen) if _stands(stored) >= start]
    return cluster.store.rv, rest


class TooOld(Problem):
    """A page that is forgotten, with a token for whoever can do with the rest as it is by now."""

    def __init__(self, token: str) -> None:
        super().__init__(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
            "the results. Continuing with the provided token results in an inconsistent list - objects that were "
            "created, modified, or deleted between the time the first chunk was returned and now may show up in the "
            "list.",
        )
        self.token = token

    def status(self) -> Object:
        return {**super().status(), "metadata": {"continue": self.token}}


def watch(cluster: Cluster, request: Request, target: Target) -> Watch:
    """Opens a watch: from a version, or, without one, with everything there is as ADDED first."""
    query, kind = request.query, target.kind
    chosen = selection_of(kind, query)
    namespace = target.namespace
    if target.name:
        chosen = Selection(chosen.labels, (*chosen.fields, Requirement(COMMON[0], "in", frozenset({target.name}))))
    view: View = view_of(cluster, kind, request)
    opened = Watch(kind, namespace, chosen, view.event(), view.mark, query.get("allowWatchBookmarks") in TRUE)
    opened.next_bookmark = cluster.now() + cluster.options.bookmark
    if seconds := number_of(query, "timeoutSeconds"):
        opened.deadline = cluster.now() + seconds
    version = query.get("resourceVersion", "")
    if version in ("", "0") or query.get("sendInitialEvents") in TRUE:
        _initial(cluster, opened, version, query.get("sendInitialEvents"))
    elif not _replay(cluster, opened, number_of(query, "resourceVersion")):
        return opened
    cluster.watches.add(opened)
    return opened


def _initial(cluster: Cluster, opened: Watch, version: str, asked: str | None) -> None:
    if asked in TRUE or asked is None:
        for stored in cluster.store.scan(opened.kind.key, opened.namespace):
            if opened.selection.takes(stored.obj):
                opened.send(b'{"type":"ADDED","object":' + opened.render(stored) + b"}\n")
    if asked in TRUE and opened.bookmarks:
        opened.bookmark(cluster.store.rv, initial_end=True)


def _replay(cluster: Cluster, opened: Watch, version: int) -> bool:
    past = cluster.store.since(opened.kind.key, version)
    if past is None or version > cluster.store.rv:
        told = f"too old resource version: {version} ({cluster.store.rv})"
        opened.fail(expired(told).status())
        return False
    for happening in past:
        opened.offer(happening)
    return True
