"""What units need and a cluster lacks: kinds that it does not serve (somebody else brings their definitions, an
operator most often), and namespaces that no commit makes. While anybody waits, it is looked for again now and then;
nothing else would tell.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from kedge.kube.discovery import Catalog, Discovery
from kedge.model.errors import Awaited
from kedge.model.manifest import Manifest
from kedge.model.ref import Ref

PAUSE = 15.0
"""Seconds until a run that waits for a kind asks again; it is rung before that when the kind is there."""

SPACES_AT_ONCE = 20
"""Namespaces that are looked for in one look; where more are missing, the others have their turn in the next."""

Wanted = tuple[str, str, str]
"""Group, kind and version."""


class AwaitedThings:
    """What each unit of one cluster was last seen waiting for."""

    def __init__(self) -> None:
        self._by_unit: dict[str, frozenset[Wanted]] = {}
        self._spaces: dict[str, set[str]] = {}

    def declare(self, unit: str, manifests: Iterable[Manifest], namespaces: Iterable[str] = ()) -> None:
        """`manifests` have kinds that are not served, `namespaces` are missing; none: the unit waits no more."""
        found = frozenset(wanted_of(manifest) for manifest in manifests)
        if found:
            self._by_unit[unit] = found
        else:
            self._by_unit.pop(unit, None)
        for name in [name for name, units in self._spaces.items() if unit in units]:
            self._forget(name, unit)
        for name in namespaces:
            self._spaces.setdefault(name, set()).add(unit)

    def waits(self, unit: str, namespace: str) -> bool:
        """Whether the unit was seen waiting for that namespace, and it was not found since."""
        return unit in self._spaces.get(namespace, ())

    def _forget(self, namespace: str, unit: str) -> None:
        self._spaces[namespace].discard(unit)
        if not self._spaces[namespace]:
            del self._spaces[namespace]

    async def appeared(self, there: Callable[[str], Awaitable[bool]]) -> tuple[str, ...]:
        """Units of whose namespaces one is there by now; that one is forgotten. Asks for the first few, and for others
        the next time. Raises what `there` does."""
        rung: dict[str, None] = {}
        for name in list(self._spaces)[:SPACES_AT_ONCE]:
            if await there(name):
                rung.update(dict.fromkeys(sorted(self._spaces.pop(name, ()))))
            elif name in self._spaces:
                self._spaces[name] = self._spaces.pop(name)
        return tuple(rung)

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


def homeless(ref: Ref) -> str:
    return f"the namespace {ref.namespace} does not exist, and is not part of this set: waits until somebody makes it"


def no_home_yet(ref: Ref) -> Awaited:
    return Awaited(f"{ref}: {homeless(ref)}", retry_after=PAUSE)


def not_yet(manifest: Manifest, discovery: Discovery) -> Awaited:
    """Where a definition was just applied it is served within the second."""
    what = f"{manifest.ref}: {lacking(manifest, discovery.seen)} yet: waits for its definition"
    return Awaited(what, retry_after=1.0 if discovery.eager else PAUSE)
