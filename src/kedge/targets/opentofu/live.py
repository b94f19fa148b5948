"""What people ask of a stack beside the road: what is in it, and what its tool said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NoReturn

from kedge.model.action import Doing, Done, Possible
from kedge.model.errors import Invalid
from kedge.model.execution import Ending
from kedge.model.family import Child, ClusterEvents, Family, Lineage, LogLine, LogWish
from kedge.model.operation import Sight
from kedge.model.pair import Scope
from kedge.model.ref import STACKS, Ref
from kedge.ports import Exec, Log, States


class StackLive:
    """`kedge.ports.Live` of stacks."""

    def __init__(self, exec: Exec, states: States) -> None:
        self._exec, self._states = exec, states

    async def family(self, scope: Scope, refs: Sequence[Ref]) -> Family:
        """The stack, and the resources of its state as its children."""
        head = await self._states.head(scope.unit)
        sights = {ref: Sight(ref, True, "Healthy") for ref in refs}
        if head is None or not refs:
            return Family(
                sights, notes=() if head else ("its state is not kept here: nothing is known of its resources",)
            )
        return Family(sights, tuple(Child(_resource(address), refs[0]) for address in head.resources))

    async def logs(self, scope: Scope, refs: Sequence[Ref], wish: LogWish) -> Log:
        """What the tool said in the newest execution, or in the one before, or in the one that `object` names."""
        known = [report for report in self._exec.reports() if report.unit == scope.unit]
        if wish.object:
            known = [report for report in known if report.id == wish.object or report.task.value == wish.object]
        elif wish.previous:
            known = known[:-1]
        if not known:
            raise Invalid(
                f"{scope.unit} has no execution that is kept", hint="plan, destroy and apply name the newest of each"
            )
        report = known[-1]
        return Log(False, self._lines(report.id, report.task.value, wish, over=report.ending is not None))

    async def _lines(self, id: str, task: str, wish: LogWish, *, over: bool) -> AsyncIterator[LogLine]:
        held: list[str] = []
        async for line in self._exec.follow(id):
            if wish.follow or wish.tail is None:
                yield LogLine(id, task, line)
            else:
                held = [*held[-wish.tail + 1 :], line] if wish.tail > 1 else [line]
        for line in held if wish.tail != 0 else ():
            yield LogLine(id, task, line)
        report = self._exec.report(id)
        if report is not None and report.ending not in (None, Ending.SUCCEEDED):
            yield LogLine(id, task, f"{report.ending}: {report.told}", note=True)

    async def lineage(self, cluster: str, kind: str, namespace: str, name: str) -> Lineage | None:
        return None

    async def events(self, scope: Scope, refs: Sequence[Ref]) -> ClusterEvents:
        return ClusterEvents()

    async def restartable(self, scope: Scope, refs: Sequence[Ref], text: str) -> Sequence[Ref]:
        self._refuse(scope, "restarted")

    async def restart(self, scope: Scope, ref: Ref, *, dry_run: bool = False) -> str:
        self._refuse(scope, "restarted")

    async def scalable(self, scope: Scope, refs: Sequence[Ref], text: str) -> Ref:
        self._refuse(scope, "scaled")

    async def scale(self, scope: Scope, ref: Ref, replicas: int, *, force: bool = False, dry_run: bool = False) -> str:
        self._refuse(scope, "scaled")

    async def actions(self, scope: Scope, refs: Sequence[Ref], text: str) -> Sequence[Possible]:
        return ()

    async def act(self, scope: Scope, doing: Doing, *, dry_run: bool = False) -> Done:
        self._refuse(scope, "acted on")

    @staticmethod
    def _refuse(scope: Scope, what: str) -> NoReturn:
        raise Invalid(f"{scope.unit} is a stack: its resources are not {what} from here", hint="change its code in Git")


def _resource(address: str) -> Ref:
    kind = address.split("[")[0].split(".")[-2] if "." in address else "resource"
    return Ref(STACKS, kind, "", address)
