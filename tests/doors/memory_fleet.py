"""A Target over several clusters in memory: each has a `MemoryTarget` of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.doors.memory_target import MemoryTarget

from kedge.model.dossier import Home
from kedge.model.manifest import Desired, Manifest
from kedge.model.operation import Outcome, Sight
from kedge.model.pair import Comparison, Known, Scope
from kedge.model.plan import Step
from kedge.model.recovery import Recovered
from kedge.model.ref import Ref
from kedge.model.rule import HealthRule


@dataclass(frozen=True, slots=True)
class MemoryFleet:
    """`kedge.ports.Target`: hands everything to the target of the cluster that is meant."""

    targets: Mapping[str, MemoryTarget]

    async def place(self, scope: Scope, desired: Desired) -> Desired:
        return await self.targets[scope.cluster].place(scope, desired)

    async def compare(self, scope: Scope, desired: Desired, known: Sequence[Known], extra: Sequence[Ref]) -> Comparison:
        return await self.targets[scope.cluster].compare(scope, desired, known, extra)

    async def act(self, scope: Scope, step: Step, manifest: Manifest | None) -> Outcome:
        return await self.targets[scope.cluster].act(scope, step, manifest)

    async def look(self, scope: Scope, refs: Sequence[Ref]) -> Mapping[Ref, Sight]:
        return await self.targets[scope.cluster].look(scope, refs)

    async def recover(self, cluster: str, installation: str, namespaces: Collection[str] = ()) -> Recovered:
        return await self.targets[cluster].recover(cluster, installation, namespaces)

    async def home(self, scope: Scope) -> Home:
        return await self.targets[scope.cluster].home(scope)

    def judge_by(self, rules: Sequence[HealthRule]) -> None:
        for target in self.targets.values():
            target.judge_by(rules)

    def ailment(self, cluster: str) -> None:
        return None

    def fresh(self, cluster: str, kinds: Collection[tuple[str, str]] = ()) -> float | None:
        return self.targets[cluster].fresh(cluster, kinds)

    def subscribe(self, ring: Callable[[str, Ref, str], None]) -> None:
        for target in self.targets.values():
            target.subscribe(ring)

    def relist(self) -> None:
        for target in self.targets.values():
            target.relist()

    @property
    def live(self) -> Any:
        return next(iter(self.targets.values())).live

    async def close(self) -> None:
        for target in self.targets.values():
            await target.close()
