"""Kinds that units need and a cluster does not serve: somebody else brings their definitions, an operator most often.
While anybody waits, discovery is looked at again now and then; nothing else would tell.
"""

from __future__ import annotations

from collections.abc import Iterable

from kedge.kube.discovery import Catalog, Discovery
from kedge.model.errors import Awaited
from kedge.model.manifest import Manifest
from kedge.model.ref import Ref

PAUSE = 15.0
"""Seconds until a run that waits for a kind asks again; it is rung before that when the kind is there."""

Wanted = tuple[str, str, str]
"""Group, kind and version."""


class AwaitedKinds:
    """What each unit of one cluster was last seen waiting for."""

    def __init__(self) -> None:
        self._by_unit: dict[str, frozenset[Wanted]] = {}

    def declare(self, unit: str, manifests: Iterable[Manifest]) -> None:
        """`manifests` are those whose kinds are not served; none: the unit waits no more."""
        found = frozenset(wanted_of(manifest) for manifest in manifests)
        if found:
            self._by_unit[unit] = found
        else:
            self._by_unit.pop(unit, None)

    async def arrived(self, discovery: Discovery) -> tuple[str, ...]:
        """Units of whose kinds one is served by now; they are forgotten. Asks nothing while nobody waits. Raises
        Unavailable."""
        for wanted in sorted(frozenset().union(*self._by_unit.values())):
            await discovery.find(*wanted)
        catalog = discovery.seen
        if catalog is None:
            return ()
        units = [unit for unit, kinds in self._by_unit.items() if any(catalog.find(*kind) for kind in kinds)]
        for unit in units:
            del self._by_unit[unit]
        return tuple(units)


def wanted_of(manifest: Manifest) -> Wanted:
    return manifest.ref.group, manifest.ref.kind, manifest.api_version.rpartition("/")[2]


def definable(ref: Ref) -> bool:
    """Whether a definition may bring the kind some day: the groups of definitions have a dot, those that Kubernetes
    itself began with have none."""
    return "." in ref.group


def lacking(manifest: Manifest, catalog: Catalog | None) -> str:
    """What is missing, as a sentence's end: `nothing defines Widget in example.org`."""
    ref = manifest.ref
    versions = catalog.versions(ref.group, ref.kind) if catalog is not None else ()
    if versions:
        return f"the cluster serves {ref.kind} as {', '.join(versions)}, not as {manifest.api_version}"
    return f"nothing defines {ref.kind} in {ref.group or 'the core group'}"


def not_yet(manifest: Manifest, discovery: Discovery) -> Awaited:
    """Where a definition was just applied it is served within the second."""
    what = f"{manifest.ref}: {lacking(manifest, discovery.seen)} yet: waits for its definition"
    return Awaited(what, retry_after=1.0 if discovery.eager else PAUSE)
