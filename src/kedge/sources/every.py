"""One source for all kinds: which of them answers is said by the repository's URL and by what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kedge.model.origin import assembly_of, chart_of
from kedge.model.source import Revision
from kedge.ports import Secrets, Snapshot, Source
from kedge.sources.address import Allowed
from kedge.sources.assembly import AssembledSource, Stocked
from kedge.sources.charts import ChartSource
from kedge.sources.git import GitSource
from kedge.sources.registry import SCHEME, RegistrySource
from kedge.sources.web import Web


class EverySource:
    """`kedge.ports.Source` over Git, chart repositories and registries, each below a folder of its own in `data`."""

    def __init__(self, data: Path, secrets: Secrets, *, allowed: Allowed) -> None:
        self._git = GitSource(data, secrets, allowed=allowed)
        self._charts = ChartSource(data / "charts", secrets, allowed=allowed)
        self._registries = RegistrySource(data / "artifacts", secrets, allowed=allowed)
        self._assembled = AssembledSource(data / "assembled", self.single, Web(secrets, allowed))

    def single(self, repository: str, ref: str) -> Stocked:
        """Who answers for what is not put together."""
        if repository.startswith(SCHEME):
            return self._registries
        return self._charts if chart_of(ref) is not None else self._git

    def of(self, repository: str, ref: str) -> Source:
        """Who answers for it."""
        return self._assembled if assembly_of(ref) is not None else self.single(repository, ref)

    async def fetch(self, repository: str, ref: str) -> Revision:
        return await self.of(repository, ref).fetch(repository, ref)

    async def bring(self, revision: Revision, paths: Sequence[str]) -> None:
        await self._of(revision).bring(revision, paths)

    def snapshot(self, revision: Revision) -> Snapshot:
        return self._of(revision).snapshot(revision)

    def changed(self, before: Revision, after: Revision) -> Sequence[str] | None:
        return self._of(after).changed(before, after)

    def touched(self, revision: Revision, paths: Sequence[str]) -> Revision:
        return self._of(revision).touched(revision, paths)

    def descends(self, before: Revision, after: Revision) -> bool:
        return self._of(after).descends(before, after)

    def _of(self, revision: Revision) -> Source:
        return self.of(revision.repository, revision.ref)
