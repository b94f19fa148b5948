"""Which kinds a cluster serves, and where: aggregated discovery, with the older lists as fallback.

One dead aggregated API server must not hide every other group: each group that can not be listed is reported by name,
and only questions about that group are Unavailable.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from kedge.kube.answer import error_of, mapping, parse_object, read_refusal
from kedge.kube.ask import Asker
from kedge.kube.transport import Response
from kedge.model.errors import Invalid, Unavailable

AGGREGATED = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)
MAX_GROUPS, MAX_KINDS = 1_000, 10_000
METRICS = "metrics.k8s.io"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
"""A name that stands in a path as it is: nearly all do."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind in one version. `plural` is the last part of its path; `singular` and `short` are what people write.

    `reports`: whether it has a status of its own (a subresource), which controllers write."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    singular: str = ""
    short: tuple[str, ...] = ()
    reports: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "") -> str:
        """Percent-encoded path of an object, or of a collection (`name` ""; `namespace` "": in all namespaces).

        Raises Invalid for names that would lead to another path."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inner = f"/namespaces/{_segment(namespace)}" if namespace and self.namespaced else ""
        return f"{root}{inner}/{self.plural}" + (f"/{_segment(name)}" if name else "")


def _segment(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    if text in (".", "..") or "/" in text or "%" in text:
        raise Invalid(f"“{text[:80]}” can not be an object's name", hint="names hold no slash or percent sign")
    return quote(text, safe=":")


@dataclass(frozen=True, slots=True)
class Catalog:
    """All kinds by (group, kind), preferred version first. `failed`: group → why its kinds could not be listed."""

    kinds: Mapping[tuple[str, str], tuple[Kind, ...]] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    def find(self, group: str, kind: str, version: str = "") -> Kind | None:
        """The kind in the version asked for, or in the preferred one."""
        for entry in self.kinds.get((group, kind), ()):
            if not version or entry.version == version:
                return entry
        return None

    def versions(self, group: str, kind: str) -> tuple[str, ...]:
        return tuple(entry.version for entry in self.kinds.get((group, kind), ()))

    def named(self, word: str) -> tuple[Kind, ...]:
        """The kinds that a word of kubectl's users means: plural, singular, short name or kind in any case, with or
        without `.group` or `.version.group`; those of Kubernetes itself first. Metrics, which are no objects that
        anybody makes, are meant only with their group."""
        name, _, home = word.lower().partition(".")
        found: list[Kind] = []
        for (group, kind), served in self.kinds.items():
            first = served[0]
            if not name or name not in (first.plural, kind.lower(), first.singular, *first.short):
                continue
            homes = {group, *(f"{entry.version}.{group}".rstrip(".") for entry in served)}
            if home in homes if home else not group.endswith(METRICS):
                found.append(first)
        return tuple(sorted(found, key=lambda kind: ("." in kind.group, kind.group)))


class Discovery:
    """The catalog of one cluster: kept, read again when a kind is unknown, never more often than the rates below."""

    STALE = 600.0
    UNKNOWN = 10.0
    EAGER = 0.5
    EAGER_FOR = 60.0

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._clock = asker.clock
        self._catalog: Catalog | None = None
        self._gone: dict[tuple[str, str], Kind] = {}
        self._read_at = 0.0
        self._eager_until = 0.0
        self._lock = asyncio.Lock()

    @property
    def seen(self) -> Catalog | None:
        return self._catalog

    @property
    def eager(self) -> bool:
        """Whether a definition was applied a moment ago."""
        return self._clock.monotonic() < self._eager_until

    def expect(self) -> None:
        """A definition was applied: unknown kinds may be looked up again soon."""
        self._eager_until = self._clock.monotonic() + self.EAGER_FOR

    async def catalog(self, within: float | None = None) -> Catalog:
        """Not older than `within` seconds, by default `STALE`. Raises Unavailable when the server can not be asked at
        all, and there is no earlier answer."""
        limit = self.STALE if within is None else within
        if self._catalog is None or self._age() > limit:
            await self._refresh(limit)
        if self._catalog is None:
            raise Unavailable("discovery: the cluster's kinds have not been read yet")
        return self._catalog

    async def find(self, group: str, kind: str, version: str = "") -> Kind | None:
        """The kind, or None when the cluster does not serve it. Raises Unavailable when its group can not be listed."""
        catalog = await self.catalog()
        found = catalog.find(group, kind, version)
        if found is None:
            await self._refresh(self.EAGER if self.eager else self.UNKNOWN)
            catalog = await self.catalog()
            found = catalog.find(group, kind, version)
        if found is None and group in catalog.failed:
            raise Unavailable(
                f"the API group {group} can not be listed: {catalog.failed[group]}",
                hint=f"look at its API service: kubectl get apiservices | grep {group}",
            )
        return found

    def gone(self, group: str, kind: str) -> Kind | None:
        """A kind that was served since the start and is not listed any more."""
        return self._gone.get((group, kind))

    def _age(self) -> float:
        return self._clock.monotonic() - self._read_at

    async def _refresh(self, limit: float) -> None:
        async with self._lock:
            if self._catalog is not None and self._age() < limit:
                return
            before, self._catalog = self._catalog, _kept(await self._read(), self._catalog)
            known = {key: served[0] for key, served in before.kinds.items()} if before is not None else {}
            gone = {**self._gone, **known}
            self._gone = {key: kind for key, kind in gone.items() if key not in self._catalog.kinds}
            self._read_at = self._clock.monotonic()

    async def _read(self) -> Catalog:
        core, groups = await asyncio.gather(self._get("/api"), self._get("/apis"))
        kinds: list[Kind] = []
        failed: dict[str, str] = {}
        for path, value in (("/api", core), ("/apis", groups)):
            if value.get("kind") == "APIGroupDiscoveryList" and isinstance(value.get("items"), list):
                _read_aggregated(value, kinds, failed)
            elif isinstance(value.get("versions" if path == "/api" else "groups"), list):
                await self._read_legacy(path, value, kinds, failed)
            else:
                raise Unavailable(f"discovery {path}: the answer lists no APIs: is this address a Kubernetes API?")
        if not any(kind.group == "" for kind in kinds) and "" not in failed:
            raise Unavailable("discovery /api: it lists no kinds: is this address a Kubernetes API?")
        table: dict[tuple[str, str], tuple[Kind, ...]] = {}
        for kind in kinds[:MAX_KINDS]:
            table[kind.group, kind.kind] = (*table.get((kind.group, kind.kind), ()), kind)
        return Catalog(table, failed)

    async def _get(self, path: str) -> dict[str, Any]:
        response = await self._ask(path, f"{AGGREGATED},application/json")
        if response.status != 200:
            raise error_of(read_refusal(response), f"discovery {path}")
        return parse_object(response.body, f"discovery {path}")

    async def _ask(self, path: str, accept: str) -> Response:
        return await self._asker.ask("GET", path, headers={"accept": accept})

    async def _read_legacy(
        self, root: str, value: Mapping[str, Any], kinds: list[Kind], failed: dict[str, str]
    ) -> None:
        lists = _core_lists(value) if root == "/api" else _group_lists(value)
        found = await asyncio.gather(*(self._legacy_list(path, group) for group, path in lists))
        for (group, _), (entries, why) in zip(lists, found, strict=True):
            kinds.extend(entries)
            if why:
                failed[group] = why

    async def _legacy_list(self, path: str, group: str) -> tuple[list[Kind], str]:
        try:
            response = await self._ask(path, "application/json")
            if response.status != 200:
                return [], read_refusal(response).text
            return _read_resources(parse_object(response.body, path), group), ""
        except Unavailable as error:
            return [], str(error)


def _kept(new: Catalog, old: Catalog | None) -> Catalog:
    """Kinds of a group that just now can not be listed stay as they were: an outage makes nothing unknown."""
    if old is None or not new.failed:
        return new
    kept = {key: kinds for key, kinds in old.kinds.items() if key[0] in new.failed and key not in new.kinds}
    return Catalog({**new.kinds, **kept}, new.failed)


def _items(value: Mapping[str, Any], key: str, limit: int = MAX_GROUPS) -> list[dict[str, Any]]:
    found = value.get(key)
    return [item for item in found if isinstance(item, dict)][:limit] if isinstance(found, list) else []


def _read_aggregated(value: Mapping[str, Any], kinds: list[Kind], failed: dict[str, str]) -> None:
    for item in _items(value, "items"):
        group = str(mapping(item.get("metadata")).get("name") or "")
        for version in _items(item, "versions"):
            name = str(version.get("version") or "")
            if version.get("freshness") == "Stale" and group:
                failed[group] = f"its API server does not answer ({group}/{name} is stale)"
            for resource in _items(version, "resources", MAX_KINDS):
                kind = mapping(resource.get("responseKind")).get("kind")
                if isinstance(kind, str) and kind:
                    namespaced = resource.get("scope") == "Namespaced"
                    plural = str(resource.get("resource") or "")
                    below = {str(part.get("subresource") or "") for part in _items(resource, "subresources")}
                    kinds.append(_kind(group, name, kind, plural, namespaced, resource, "status" in below))


def _kind(
    group: str, version: str, kind: str, plural: str, namespaced: bool, resource: Mapping[str, Any], reports: bool
) -> Kind:
    verbs = resource.get("verbs")
    known = frozenset(str(verb) for verb in verbs) if isinstance(verbs, list) else frozenset[str]()
    singular = resource.get("singularResource") or resource.get("singularName")
    short = resource.get("shortNames")
    shorts = tuple(str(word).lower() for word in short[:20]) if isinstance(short, list) else ()
    return Kind(group, version, kind, plural, namespaced, known, str(singular or "").lower(), shorts, reports)


def _core_lists(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    versions = value.get("versions")
    return [("", f"/api/{version}") for version in versions] if isinstance(versions, list) else []


def _group_lists(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for group in _items(value, "groups"):
        preferred = mapping(group.get("preferredVersion")).get("groupVersion")
        versions = [str(version.get("groupVersion") or "") for version in _items(group, "versions")]
        versions.sort(key=lambda version: version != preferred)
        found.extend((str(group.get("name") or ""), f"/apis/{version}") for version in versions)
    return found


def _read_resources(value: Mapping[str, Any], group: str) -> list[Kind]:
    version = str(value.get("groupVersion") or "").rpartition("/")[2]
    entries = [entry for entry in _items(value, "resources", MAX_KINDS) if isinstance(entry.get("name"), str)]
    names = {entry["name"] for entry in entries}
    return [
        _kind(
            group,
            version,
            str(entry["kind"]),
            entry["name"],
            entry.get("namespaced") is True,
            entry,
            f"{entry['name']}/status" in names,
        )
        for entry in entries
        if isinstance(entry.get("kind"), str) and "/" not in entry["name"]
    ]
