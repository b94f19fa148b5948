"""The smallest `kedge.ports.Live`: it answers what a test gives it, and remembers what was done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from kedge.model.action import Doing, Done, Possible
from kedge.model.errors import Invalid, KedgeError
from kedge.model.family import ClusterEvents, Family, Lineage, LogLine, LogWish
from kedge.model.pair import Scope
from kedge.model.ref import Ref
from kedge.ports import Log

PULSE = LogLine("", "", "", note=True)


@dataclass
class MemoryLive:
    """`lines` are those of every log; a followed one goes on with pulses. `left` counts readers that went away.

    `refuse` is raised by what is really done (and not only tried)."""

    found: Family = field(default_factory=Family)
    lineages: dict[tuple[str, str, str, str], Lineage] = field(default_factory=dict)
    lines: list[LogLine] = field(default_factory=list)
    happened: ClusterEvents = field(default_factory=ClusterEvents)
    asked: list[LogWish] = field(default_factory=list)
    done: list[tuple[str, str]] = field(default_factory=list)
    refuse: KedgeError | None = None
    broken: KedgeError | None = None
    left: int = 0

    async def family(self, scope: Scope, refs: Sequence[Ref]) -> Family:
        return self.found

    async def lineage(self, cluster: str, kind: str, namespace: str, name: str) -> Lineage | None:
        if self.broken is not None:
            raise self.broken
        return self.lineages.get((cluster, kind, namespace, name))

    async def logs(self, scope: Scope, refs: Sequence[Ref], wish: LogWish) -> Log:
        self.asked.append(wish)
        if not self.lines:
            raise Invalid("the unit has no Pods just now")
        return Log(len({line.pod for line in self.lines}) > 1, self._lines(follow=wish.follow))

    async def _lines(self, *, follow: bool) -> AsyncIterator[LogLine]:
        try:
            for line in self.lines:
                yield line
            while follow:
                yield PULSE
        finally:
            self.left += 1

    async def events(self, scope: Scope, refs: Sequence[Ref]) -> ClusterEvents:
        return self.happened

    async def restartable(self, scope: Scope, refs: Sequence[Ref], text: str) -> Sequence[Ref]:
        found = [ref for ref in refs if text in ("", ref.name, f"{ref.kind.lower()}/{ref.name}")]
        if not found:
            raise Invalid(f"the unit has no object “{text}”")
        return found

    async def restart(self, scope: Scope, ref: Ref, *, dry_run: bool = False) -> str:
        return self._do(f"restart {ref}", scope, dry_run=dry_run)

    async def scalable(self, scope: Scope, refs: Sequence[Ref], text: str) -> Ref:
        return (await self.restartable(scope, refs, text))[0]

    async def scale(self, scope: Scope, ref: Ref, replicas: int, *, force: bool = False, dry_run: bool = False) -> str:
        return self._do(f"scale {ref} to {replicas}", scope, dry_run=dry_run)

    async def actions(self, scope: Scope, refs: Sequence[Ref], text: str) -> Sequence[Possible]:
        found = await self.restartable(scope, refs, text)
        return [Possible(ref, "pause", "hold it where it is") for ref in found if ref.kind == "Deployment"]

    async def act(self, scope: Scope, doing: Doing, *, dry_run: bool = False) -> Done:
        what = f"{doing.action} {doing.ref} for {doing.actor}"
        return Done(self._do(what, scope, dry_run=dry_run), (("spec", "paused"),))

    def _do(self, what: str, scope: Scope, *, dry_run: bool) -> str:
        if not dry_run:
            if self.refuse is not None:
                raise self.refuse
            self.done.append((scope.unit, what))
        return "so it is"
