"""What every adapter of `kedge.ports.Exec` keeps: a folder for each execution, from which all is found again."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from kedge.executions.folder import Folder, valid_id
from kedge.model.errors import Conflict, Unavailable
from kedge.model.execution import Ending, Report, Yield
from kedge.ports import Clock, Seal

_POLL = 0.5
"""Seconds between two looks at lines that somebody follows."""
Going = TypeVar("Going")


class Kept(ABC, Generic[Going]):
    """Executions in the folders of `root`: those that have not ended, and the last reports of the others.

    What executions leave is kept encrypted with `seal`, without one in clear."""

    def __init__(self, root: Path, clock: Clock, seal: Seal | None) -> None:
        self._root, self._clock, self._seal = root, clock, seal
        self._open: dict[str, Going] = {}
        self._ended: dict[str, Report] = {}
        self._rings: list[Callable[[str, str], None]] = []

    @abstractmethod
    def report(self, id: str) -> Report | None: ...

    def _places(self) -> Iterator[Folder]:
        """The folders that are there, without what was left half made or half removed."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in sorted(self._root.iterdir()):
            if place.name.startswith((".new-", ".old-")):
                shutil.rmtree(place, ignore_errors=True)
            elif place.is_dir() and not place.name.startswith("."):
                yield Folder(place)

    def _has_ended(self, folder: Folder, report: Report | None) -> bool:
        """Takes up one that has ended, as a process or as a Job."""
        if report is None or report.ending is None:
            return False
        self._ended[report.id] = report
        folder.put_away(report.task, report.ending, self._seal)
        return True

    def _end(self, id: str, report: Report) -> None:
        del self._open[id]
        self._ended[id] = report
        self._folder(id).put_away(report.task, report.ending or Ending.LOST, self._seal)
        for ring in self._rings:
            ring(report.unit, id)

    def reports(self) -> Sequence[Report]:
        known = [report for id in [*self._ended, *self._open] if (report := self.report(id)) is not None]
        return sorted(known, key=lambda report: (report.started, report.id))

    async def result(self, id: str) -> Yield:
        if id not in self._ended:
            why = "is still at work" if id in self._open else "is not kept any more"
            raise Unavailable(f"execution {id} {why}")
        folder = self._folder(id)
        return Yield(
            plan=folder.left(folder.plan, self._seal),
            shown=folder.left(folder.shown, self._seal),
            errored=folder.left(folder.errored, self._seal),
            outputs=folder.left(folder.outputs, self._seal),
        )

    async def forget(self, id: str) -> None:
        if id in self._open:
            raise Conflict(f"execution {id} is still at work", hint="stop it first")
        if self._seal is not None and self._folder(id).errored.exists():
            raise Conflict(
                f"execution {id} has left a state that is kept nowhere else", hint="push it, and remove errored.tfstate"
            )
        place, gone = self._folder(id).path, self._root / f".old-{id}"
        self._ended.pop(id, None)
        if place.exists():
            place.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    async def follow(self, id: str) -> AsyncIterator[str]:
        if id not in self._open and id not in self._ended:
            return
        place, read, rest = self._folder(id).lines, 0, b""
        while True:
            over = id not in self._open
            piece = _from(place, read)
            read += len(piece)
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line.decode("utf-8", "replace")
            if over:
                return
            await self._clock.sleep(_POLL)

    def subscribe(self, ring: Callable[[str, str], None]) -> None:
        self._rings.append(ring)

    def _folder(self, id: str) -> Folder:
        return Folder(self._root / valid_id(id))


def _from(place: Path, start: int) -> bytes:
    try:
        with open(place, "rb") as file:
            file.seek(start)
            return file.read()
    except FileNotFoundError:
        return b""
