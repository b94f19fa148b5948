"""What works without a server: rendering a directory, planning a stack's folder, preparing a commit in a clone.

A part of `compose`: it knows adapters, for whoever may not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.compose import DEFAULT_CLUSTER, Parts, environment, local_executions, tools_of, worker_renderer
from kedge.model.declaration import Credential, Root, SourceSection, TargetSection
from kedge.model.errors import Awaited, Invalid, Where
from kedge.model.execution import Tool
from kedge.model.manifest import Desired
from kedge.model.ref import UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import Input, RenderSpec, StackTool, Unit
from kedge.ports import Clone, Renderer, Snapshot

if TYPE_CHECKING:
    from kedge.executions.local import LocalExec
    from kedge.renderers.render import Kept
    from kedge.sources.beside import Fetch
    from kedge.targets.opentofu.shown import Shown


HERE = Root("offline")
"""Whose repository is the directory's own."""
_DIRECTORY = SourceSection()
_KEY = b"what stands for a value offline is in nothing that is shown"


class Offline:
    """What works without a server: rendering a directory."""

    def __init__(self, renderer: Renderer, fetch: Fetch | None = None) -> None:
        self._renderer, self._fetch = renderer, fetch

    async def render(
        self,
        directory: Path,
        spec: RenderSpec = RenderSpec(),
        *,
        name: str = "offline",
        namespace: str = "default",
        ref: str = "",
        declared: SourceSection = _DIRECTORY,
        inputs: Sequence[Input] = (),
    ) -> Desired:
        """The rendered set of `directory`, refs as written, from the working tree or at a commit of its repository; of
        what is `declared` beside it (other sources, dependencies) what is there, and what is fetched. A chart or an
        artifact is rendered in place of the directory. Values of other units (`inputs`) are holes; raises Awaited where
        it can not be rendered with them.
        Files beside it, up to the repository's root (outside of any: anywhere), can be referred to. Raises Invalid with
        file and line; the file is named from the repository's root, outside of any by its absolute path."""
        from kedge.engine.inputs import asked
        from kedge.engine.resolve import source_of, values_of
        from kedge.sources.beside import LOCAL, is_elsewhere, put_together
        from kedge.sources.folder import snapshot_at

        root, path = located(directory)
        wanted = source_of(HERE, declared)
        if not is_elsewhere(wanted):
            wanted = source_of(HERE, replace(declared, repository=LOCAL, ref="", version="", path=path))
        helm, unknown = values_of(spec.helm, wanted)
        if unknown:
            raise Invalid(f"there is no other source “{unknown}”", hint="name it in source.others")
        spec, source = replace(spec, helm=helm), SourceSpec(root.as_uri(), "", wanted.path)
        unit = Unit(UnitName("offline", name), "offline", source, TargetSection(DEFAULT_CLUSTER, namespace), spec)
        unit = replace(unit, inputs=tuple(given for given in inputs if given.name in asked(spec)))
        try:
            snapshot = await put_together(snapshot_at(root, ref), wanted, self._fetch)
            return await self._rendered(snapshot, unit)
        except Invalid as error:
            raise error if root != Path(root.anchor) else _absolute(error) from None

    async def _rendered(self, snapshot: Snapshot, unit: Unit) -> Desired:
        if not unit.inputs:
            return await self._renderer.render(snapshot, unit)
        from kedge.engine.holes import doubles, with_holes

        lacking = Awaited(
            f"it can not be rendered before {', '.join(map(str, unit.inputs))} is known",
            hint="a server that has it shows the plan: kedge diff NAME",
        )
        twice = doubles(unit, {}, (), _KEY)
        if twice is None:
            raise lacking
        try:
            sets = [await self._renderer.render(snapshot, one) for one in (twice.first, twice.second)]
        except Invalid as error:
            raise lacking from error
        desired = with_holes(sets[0], sets[1], twice.stands, _KEY)
        if desired is None:
            raise lacking
        return desired


class OfflineStacks:
    """Planning a stack's folder without a server."""

    def __init__(self, renderer: Renderer, executions: LocalExec, environ: Mapping[str, str]) -> None:
        self._renderer, self._executions, self._environ = renderer, executions, environ

    async def plan(self, directory: Path, tool: StackTool, name: str) -> tuple[Desired, Shown]:
        """The bundle of a folder, and what its plan shows. Raises Invalid and Unavailable."""
        from kedge.model.execution import BundleFile, Ending, Task
        from kedge.sources.folder import snapshot_at
        from kedge.targets.opentofu.bundle import Means, bundle_of, execution_of
        from kedge.targets.opentofu.shown import shown_of

        root, path = located(directory)
        source = SourceSpec(root.as_uri(), "", path)
        unit = Unit(UnitName("offline", name), "offline", source, TargetSection(""), tool=tool)
        desired = await self._renderer.render(snapshot_at(root, ""), unit)
        (manifest,) = desired.manifests
        made = execution_of(bundle_of(manifest), "plan-offline", str(unit.name), Task.PLAN, Means(own(self._environ)))
        own_one = tool.workspace not in ("", "default")
        state = f"terraform.tfstate.d/{tool.workspace}/terraform.tfstate" if own_one else "terraform.tfstate"
        if (directory / state).is_file():
            kept = BundleFile(f"{path}/{state}".removeprefix("/"), (directory / state).read_bytes())
            made = replace(made, files=(*made.files, kept))
        over = asyncio.Event()
        self._executions.subscribe(lambda unit, id: over.set())
        await self._executions.start(made)
        await over.wait()
        report = self._executions.report(made.id)
        if report is None or report.ending is not Ending.SUCCEEDED:
            raise Invalid(f"the plan failed: {'; '.join(report.problems) or report.told if report is not None else ''}")
        return desired, shown_of((await self._executions.result(made.id)).shown, manifest, report.problems)


def own(environ: Mapping[str, str]) -> dict[str, str]:
    """What a person's own environment gives to a tool: credentials and the like, nothing that decides what is run."""
    kept = ("TF_", "LD_", "PATH", "HOME", "PYTHON", "KEDGE_")
    return {name: value for name, value in environ.items() if not name.startswith(kept)}


async def preferred_tool(version: str = "") -> Tool | None:
    """OpenTofu where one that fits is there, else Terraform where that is."""
    tools = tools_of(environment())
    for tool in (Tool.OPENTOFU, Tool.TERRAFORM):
        with suppress(Invalid):
            await tools.find(tool, version)
            return tool
    return None


@asynccontextmanager
async def offline_stacks() -> AsyncIterator[OfflineStacks]:
    """Executions in a folder of their own, which goes with the block."""
    from tempfile import TemporaryDirectory

    renderer = worker_renderer(1)
    with TemporaryDirectory(prefix="kedge-plan-") as folder:
        executions = local_executions(Parts(Path(folder), environment()))
        await executions.adopt()
        try:
            yield OfflineStacks(renderer, executions, environment())
        finally:
            await executions.close()
            await renderer.close()


def located(directory: Path) -> tuple[Path, str]:
    """The nearest folder at or above `directory` that holds `.git` (else the file system's root), and the path from
    there."""
    place = directory.resolve()
    root = next((folder for folder in (place, *place.parents) if (folder / ".git").exists()), Path(place.anchor))
    path = place.relative_to(root).as_posix()
    return root, "" if path == "." else path


def file_at(file: Path, ref: str) -> bytes:
    """What a file of a local repository holds at a ref. Raises Invalid where there is no such commit or file."""
    from kedge.sources.folder import snapshot_at

    root, path = located(file)
    snapshot = snapshot_at(root, ref)
    entry = snapshot.entry(path)
    if entry is None:
        raise Invalid(f"there is no file {path} at {ref}", hint="--from and --to read the declaration at each ref")
    return snapshot.read(entry)


def _absolute(error: Invalid) -> Invalid:
    """The same problems, whose files are named from the file system's root."""

    def moved(where: Where) -> Where:
        return replace(where, file=f"/{where.file}") if where.file else where

    return Invalid("", problems=tuple(replace(problem, where=moved(problem.where)) for problem in error.problems))


def clone_at(folder: Path) -> Clone:
    """The person's own clone that `folder` is in. Raises Invalid where it is in none."""
    from kedge.sources.clone import GitClone

    return GitClone(folder)


def fetching(data: Path, credentials: Sequence[Credential], kept: Kept) -> Fetch:
    """Brings sources as a server does, and keeps them below `data`. What a person asks for may be on this machine."""
    from kedge.sources.address import Allowed
    from kedge.sources.every import EverySource
    from kedge.sources.secrets import DeclaredSecrets

    secrets = DeclaredSecrets(lambda: credentials, environment(), kept)
    source = EverySource(data, secrets, allowed=Allowed(local=True, loopback=True))

    async def fetch(repository: str, ref: str) -> Snapshot:
        revision = await source.fetch(repository, ref)
        await source.bring(revision, ("",))
        return source.snapshot(revision)

    return fetch


@asynccontextmanager
async def offline(kept: Kept | None = None, fetch: Fetch | None = None) -> AsyncIterator[Offline]:
    """A renderer over native workers, ended with the block; `kept` answers secrets by name, `fetch` brings what is
    elsewhere. Raises Unavailable when the worker is not built."""
    renderer = worker_renderer(1, kept)
    try:
        yield Offline(renderer, fetch)
    finally:
        await renderer.close()
