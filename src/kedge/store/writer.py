"""The one writer: every write is a record in a batch, and a batch is one commit.

A record that fails takes only itself back: its batch is run once more, each record inside a savepoint of its own.
Nobody is answered before COMMIT has returned, and sealing the batch's events is the last thing before it. This is the
only file of the room that starts threads; inline, the same batches (of one) run on the calling loop, so that a
simulation is deterministic.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from kedge.model.errors import Conflict, KedgeError, Unavailable
from kedge.store import sqlite
from kedge.store.session import Session

T = TypeVar("T")
Work = Callable[[Session], Any]
"""Changes nothing but the database, so that it may be run again in another transaction."""

MOST = 256
"""Records of one batch: bounds how long the first of them waits."""

EVERY, AT_ONCE = 0.025, 5
"""Seconds between two batches while many write; so many may follow each other at once. A commit costs three times what
a record does: a fleet at work shares them, and whoever writes alone waits for nobody."""

POINTS = ("begin", "record", "written", "seal", "commit", "committed")
"""Where `fail` is called, in order; `record` and `written` for each record, each time that it runs."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one piece of work: its value, or the error that its caller gets."""

    value: Any = None
    error: BaseException | None = None


class Writer:
    """Turns works into one committed transaction. `seal(session)` answers the new head of the event chain, or None."""

    def __init__(
        self, session: Session, path: str, seal: Callable[[Session], int | None], fail: Callable[[str], None]
    ) -> None:
        self._session = session
        self._path = path
        self._seal = seal
        self._fail = fail
        self.head = 0
        self.problem = ""

    def commit(self, works: Sequence[Work]) -> list[Answer]:
        """Answers once everything that has no error is on disk. An error of the database fails the whole batch."""
        try:
            answers = self._commit(works)
            self.problem = ""
            return answers
        except sqlite.Error as error:
            self._undo()
            explained = sqlite.explain(error, self._path)
            self.problem = str(explained)
            return [Answer(error=explained)] * len(works)
        except BaseException:
            self._undo()
            raise

    def _commit(self, works: Sequence[Work]) -> list[Answer]:
        session = self._session
        self._fail("begin")
        answers = self._together(works) or self._apart(works)
        self._fail("seal")
        head = self._seal(session)
        self._fail("commit")
        session.command("COMMIT")
        if head is not None:
            self.head = head
        self._fail("committed")
        return answers

    def _together(self, works: Sequence[Work]) -> list[Answer] | None:
        """Nearly always none of them fails; savepoints would be two more statements for each. None where one did: the
        transaction is taken back whole."""
        self._session.command(sqlite.BEGIN_WRITE)
        answers = []
        for work in works:
            answer = self._record(work)
            if answer.error is not None:
                self._undo()
                return None
            answers.append(answer)
        return answers

    def _apart(self, works: Sequence[Work]) -> list[Answer]:
        session, answers = self._session, []
        session.command(sqlite.BEGIN_WRITE)
        for work in works:
            session.command("SAVEPOINT record")
            events = len(session.unsealed)
            answer = self._record(work)
            if answer.error is not None:
                session.command("ROLLBACK TO SAVEPOINT record")
                del session.unsealed[events:]
            session.command("RELEASE SAVEPOINT record")
            answers.append(answer)
        return answers

    def _record(self, work: Work) -> Answer:
        self._fail("record")
        try:
            value = work(self._session)
        except sqlite.KeyConflict as error:
            return Answer(error=_late(error))
        except sqlite.Error:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the caller whose work it is; the others are not its victims
            return Answer(error=error)
        self._fail("written")
        return Answer(value)

    def _undo(self) -> None:
        self._session.unsealed.clear()
        if sqlite.in_transaction(self._session):
            self._session.command("ROLLBACK")


class Reader:
    """Runs each work in a read transaction of its own: what it sees is of one moment."""

    def __init__(self, session: Session, path: str) -> None:
        self._session = session
        self._path = path

    def read(self, works: Sequence[Work]) -> list[Answer]:
        return [self._read(work) for work in works]

    def glance(self, work: Callable[[Session], T]) -> T:
        """Without a transaction: each statement sees a moment of its own. Raises as the work, and Unavailable."""
        try:
            return work(self._session)
        except sqlite.Error as error:
            raise sqlite.explain(error, self._path) from error

    def _read(self, work: Work) -> Answer:
        session = self._session
        try:
            session.command(sqlite.BEGIN_READ)
            try:
                return Answer(work(session))
            finally:
                session.command("COMMIT")
        except sqlite.Error as error:
            return Answer(error=sqlite.explain(error, self._path))
        except Exception as error:  # noqa: BLE001 - handed to the caller whose work it is
            return Answer(error=error)


class Lane(Protocol):
    """Where works go: to a thread, or straight through."""

    async def do(self, work: Callable[[Session], T]) -> T: ...

    async def close(self) -> None: ...


class InlineLane:
    """On the calling loop. Gives way before and after, as a thread would: else simulations could not interleave."""

    def __init__(self, serve: Callable[[Sequence[Work]], list[Answer]], served: Callable[[], None]) -> None:
        self._serve = serve
        self._served = served
        self._closed = False

    async def do(self, work: Callable[[Session], T]) -> T:
        await asyncio.sleep(0)
        if self._closed:
            raise closed()
        (answer,) = self._serve([work])
        self._served()
        await asyncio.sleep(0)
        if answer.error is not None:
            raise answer.error
        value: T = answer.value
        return value

    async def close(self) -> None:
        self._closed = True


class Pace:
    """When batches may begin: a few at once, then one in `every` seconds (the generic cell rate algorithm)."""

    def __init__(self, every: float = EVERY, at_once: int = AT_ONCE) -> None:
        self._every = every
        self._ahead = every * at_once
        self._due = 0.0

    def next(self, now: float) -> float:
        """Seconds until the next batch may begin, which is hereby taken. `now` is monotonic."""
        self._due = max(self._due, now) + self._every
        return max(0.0, self._due - now - self._ahead)


class ThreadLane:
    """A thread that takes what has gathered while it was busy, or had to wait by its pace, serves it at once, and wakes
    the loop once for all."""

    def __init__(
        self,
        name: str,
        serve: Callable[[Sequence[Work]], list[Answer]],
        served: Callable[[], None],
        most: int,
        pace: Pace | None = None,
    ) -> None:
        self._serve = serve
        self._served = served
        self._most = most
        self._pace = pace
        self._hurry = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[Work, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._ended = self._loop.create_future()
        self._closing = False
        # A daemon: when the process goes, nothing that was acknowledged is in this thread any more.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def do(self, work: Callable[[Session], T]) -> T:
        if self._closing:
            raise closed()
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((work, future))
        return await future

    async def close(self) -> None:
        """Serve what was handed in, then end."""
        if not self._closing:
            self._closing = True
            self._hurry.set()
            self._jobs.put(None)
        await asyncio.shield(self._ended)
        self._thread.join()

    def _run(self) -> None:
        open_ = True
        while open_:
            batch, open_ = self._gather()
            if batch:
                answers = self._answers([work for work, _ in batch])
                self._tell(self._deliver, [future for _, future in batch], answers)
        self._tell(self._end)

    def _gather(self) -> tuple[list[tuple[Work, asyncio.Future[Any]]], bool]:
        batch: list[tuple[Work, asyncio.Future[Any]]] = []
        job = self._jobs.get()
        if self._pace is not None:
            self._hurry.wait(self._pace.next(self._loop.time()))
        while job is not None:
            batch.append(job)
            if len(batch) == self._most:
                return batch, True
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _answers(self, works: list[Work]) -> list[Answer]:
        try:
            return self._serve(works)
        except BaseException as error:  # noqa: BLE001 - a thread has no caller: those who wait get it
            return [Answer(error=error)] * len(works)

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            if not self._loop.is_closed():  # a closed loop has nobody left who waits
                raise

    def _deliver(self, futures: list[asyncio.Future[Any]], answers: list[Answer]) -> None:
        for future, answer in zip(futures, answers, strict=True):
            if future.done():  # its caller was cancelled; the write stands
                continue
            if answer.error is not None:
                future.set_exception(answer.error)
            else:
                future.set_result(answer.value)
        self._served()

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


def closed() -> KedgeError:
    return Unavailable("the database is closed", hint="Kedge is shutting down")


def _late(error: BaseException) -> KedgeError:
    return Conflict(f"another writer was first: {error}", hint="load it again")
