"""`kedge.ports.Renderer` over the native worker: detect, ask, and name what comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kedge.model.errors import Invalid, Where
from kedge.model.manifest import Desired, Manifest, digest_of
from kedge.model.ref import Ref
from kedge.model.rendering import DirectorySection, KustomizeSection
from kedge.model.source import EntryKind, Read
from kedge.model.unit import Unit
from kedge.ports import Snapshot
from kedge.renderers import helm, kustomize, plain, stack
from kedge.renderers.afterwards import afterwards
from kedge.renderers.detect import Tool, choose
from kedge.renderers.memory import Memory, Past, key_of
from kedge.renderers.questions import Call
from kedge.renderers.worker import Died, Emitted, Pool, Refused, Rendered

Kept = Callable[[str], Awaitable[str | None]]


_TWICE = 2
"""Workers that one input may cost before it is refused."""


def version_of(program: Path) -> str:
    """The worker's version: a hash of the program itself, which holds every library it renders with."""
    digest = sha256()
    with program.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


class WorkerRenderer:
    """Renders units through a pool of native workers, and remembers what has not changed."""

    def __init__(self, pool: Pool, version: str, memory: Memory | None = None, kept: Kept | None = None) -> None:
        """`kept` answers a secret of the store by its name; without it there are none."""
        self._pool = pool
        self._kept = kept
        self._steadiness = helm.Steadiness()
        self._version = version
        self._memory = memory if memory is not None else Memory()

    @property
    def version(self) -> str:
        """Changes whenever the same input could render differently."""
        return self._version

    async def render(self, snapshot: Snapshot, unit: Unit) -> Desired:
        """Bytes to manifests, refs as written. Raises Invalid with file and line, Unavailable when the worker died
        over it for the first time (the second time it is Invalid, until one of its inputs changes)."""
        call = request(snapshot, unit, await self.secrets(unit))
        key = key_of(call)
        past = self._memory.find(key, snapshot)
        outcome = past.outcome if past is not None else None
        if isinstance(outcome, Invalid):
            raise outcome
        if outcome is not None:
            return outcome
        try:
            rendered = await self._pool.call(call, snapshot)
            desired = desired_of(rendered, self._version)
            if call.op == "helm" and self._steadiness.may_differ(snapshot, call):
                again = desired_of(await self._pool.call(call, snapshot), self._version)
                desired = compared(desired, again)
        except Refused as error:
            self._memory.keep(key, Past(error.reads, error))
            raise
        except Died as error:
            raise self._count(key, past, error) from error
        self._memory.keep(key, Past(desired.reads, desired))
        return desired

    async def secrets(self, unit: Unit) -> Mapping[str, str]:
        """The secrets that the unit's rendering asks for, by name. Raises Invalid where one is not kept."""
        found = {}
        for name in unit.render.secrets:
            value = await self._kept(name) if self._kept is not None else None
            if value is None:
                raise Invalid(f"there is no secret {name} in the store", hint=f"kedge create secret {name}")
            found[name] = value
        return found

    async def close(self) -> None:
        await self._pool.close()

    def _count(self, key: str, past: Past | None, error: Died) -> Died | Invalid:
        """Quarantine: the second death over the same input is the input's fault."""
        kills = (past.kills if past is not None else 0) + 1
        reads = tuple(dict.fromkeys(error.reads))
        if kills < _TWICE:
            self._memory.keep(key, Past(reads, None, kills))
            return error
        died = error.problems[0]
        why = f"{died.text} (twice; it is not tried again until it changes)"
        final = Invalid(why, where=died.where, hint="look for a loop in a template")
        self._memory.keep(key, Past(reads, final, kills))
        return final


def request(snapshot: Snapshot, unit: Unit, secrets: Mapping[str, str] = MappingProxyType({})) -> Call:
    """What to ask of the worker for a unit. Raises Invalid when its folder is not there, or a path leads out."""
    call, after = _rendering(snapshot, unit), afterwards(unit, secrets)
    decrypt = unit.render.decrypt
    keys = None if decrypt is None else tuple((name, secrets[name]) for name in decrypt.keys)
    return replace(call, after=after, keys=keys)


def _rendering(snapshot: Snapshot, unit: Unit) -> Call:
    folder = unit.source.path
    _check_folder(snapshot, folder)
    if unit.tool is not None:
        return stack.call(snapshot, unit, unit.tool)
    prefix = len(folder) + 1 if folder else 0
    tool = choose(unit.render, {entry.path[prefix:] for entry in snapshot.entries(folder)})
    if tool is Tool.HELM:
        return helm.call(snapshot, unit)
    if tool is Tool.KUSTOMIZE:
        return kustomize.call(snapshot, folder, unit.render.kustomize or KustomizeSection())
    return plain.call(snapshot, folder, unit.render.directory or DirectorySection(), unit.render.jsonnet)


def _check_folder(snapshot: Snapshot, folder: str) -> None:
    if not folder:
        return
    entry = snapshot.entry(folder)
    if entry is None:
        raise Invalid(
            f"there is no folder {folder} at commit {snapshot.revision.short}",
            where=Where(folder),
            hint="check source.path and source.ref",
        )
    if entry.kind is not EntryKind.FOLDER:
        raise Invalid(f"{folder} is a {entry.kind.value}, and a unit's files are in a folder", where=Where(folder))


def desired_of(rendered: Rendered, version: str) -> Desired:
    """Name and digest what the worker emitted. Raises Refused when one object is declared twice."""
    manifests = tuple(map(manifest_of, rendered.objects))
    _refuse_twins(manifests, rendered.reads)
    return Desired(manifests, digest_of(manifests), version, rendered.reads, rendered.warnings)


def compared(desired: Desired, again: Desired) -> Desired:
    """The first of two renders of one input, with a note on what differs: it is the one that stays in force."""
    seen = {manifest.ref: manifest.digest for manifest in again.manifests}
    moved = [str(manifest.ref) for manifest in desired.manifests if seen.get(manifest.ref) != manifest.digest]
    if not moved:
        return desired
    named = ", ".join(moved[:5]) + (f" and {len(moved) - 5} more" if len(moved) > 5 else "")
    note = (
        f"renders differently each time (random or generated values): {named}; what was rendered first stays in force"
    )
    return replace(desired, notes=(*desired.notes, note))


def manifest_of(emitted: Emitted) -> Manifest:
    header: Mapping[str, Any] = emitted.header
    api_version: str = header["apiVersion"]
    group = api_version.rpartition("/")[0]
    annotations = header.get("annotations") or {}
    return Manifest(
        ref=Ref(group, header["kind"], header.get("namespace", ""), header.get("name", "")),
        api_version=api_version,
        body=emitted.body,
        digest=sha256(emitted.body).hexdigest(),
        annotations=tuple(sorted((key, value) for key, value in annotations.items() if value is not None)),
        generate_name="" if header.get("name") else header.get("generateName", ""),
        where=Where(header.get("path", ""), header.get("line", 0), header.get("document", 0)),
    )


def _refuse_twins(manifests: Iterable[Manifest], reads: tuple[Read, ...]) -> None:
    seen: dict[Ref, Manifest] = {}
    for manifest in manifests:
        if manifest.generate_name:
            continue
        twin = seen.setdefault(manifest.ref, manifest)
        if twin is not manifest:
            first = str(replace(twin.where, path="")) or "elsewhere"
            raise Refused(f"{manifest.ref} is declared twice: the first stands in {first}", manifest.where, reads)
