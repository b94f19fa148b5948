"""A pool of native workers: killable children, one request in flight each, asked again by none that has gone astray.

Cancelling a render, or its deadline, ends the child that was at it; the next request gets a fresh one (27 ms). What a
child has of the repository is remembered, so that it is sent only what it lacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from kedge.model.errors import Invalid, Unavailable, Where, shown
from kedge.model.source import EntryKind, Read
from kedge.ports import Snapshot
from kedge.renderers import questions
from kedge.renderers.frames import MAX_HEADER, Decoder, Frame, FrameKind, Garbled, encode
from kedge.renderers.questions import Answer, Call


class Conversation(Protocol):
    """A child process as the pool meets it (`kedge.process.Child`)."""

    @property
    def alive(self) -> bool: ...

    @property
    def last_words(self) -> str: ...

    def write(self, data: bytes) -> None: ...

    async def read(self) -> bytes: ...

    def kill(self) -> None: ...

    @property
    def reaped(self) -> bool: ...

    async def gone(self) -> None: ...


Spawn = Callable[..., Awaitable[Conversation]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one render may cost. Bytes, except `objects`, `questions`, `deadline` (seconds) and `recycle` (requests of
    one child).

    An object is bounded by what the API server accepts in a request.
    """

    object: int = 3 << 20
    total: int = 64 << 20
    objects: int = 20_000
    file: int = 10 << 20
    read: int = 64 << 20
    questions: int = 100_000
    memory: int = 2 << 30
    deadline: float = 30.0
    recycle: int = 2_000

    def for_worker(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("object", "total", "objects", "file", "read")}


def confined(memory: int) -> dict[str, str]:
    """The whole environment of a worker: no paths, no credentials, and proxies that lead nowhere."""
    dead = "http://127.0.0.1:9"
    proxies = {name: dead for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy")}
    soft = f"{memory // 2 >> 20}MiB"
    return {"HOME": "/nonexistent", "PATH": "", "TZ": "UTC", "GOMEMLIMIT": soft, "GOTRACEBACK": "none", **proxies}


@dataclass(frozen=True, slots=True)
class Emitted:
    """One object of a result: its header as the worker wrote it, and its canonical JSON."""

    header: Mapping[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class Rendered:
    objects: tuple[Emitted, ...]
    reads: tuple[Read, ...]
    warnings: tuple[str, ...] = ()


class Refused(Invalid):
    """The worker said no. `reads` is what it had asked by then: until one of them changes, it says no again."""

    def __init__(self, text: str, where: Where, reads: tuple[Read, ...]) -> None:
        super().__init__(text, where=where)
        self.reads = reads


class Died(Unavailable):
    """The child ended, or was ended, over this input."""

    def __init__(self, text: str, where: Where, reads: tuple[Read, ...]) -> None:
        super().__init__(text, where=where)
        self.reads = reads


@dataclass(slots=True)
class _Worker:
    """A child and what is known of it: which blobs it holds, how many requests it has served."""

    child: Conversation
    decoder: Decoder = field(default_factory=Decoder)
    frames: list[Frame] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    served: int = 0
    hello: Mapping[str, Any] = field(default_factory=dict)

    async def next(self) -> Frame:
        """The next frame. Raises Garbled, or EOFError when the child has ended."""
        while not self.frames:
            data = await self.child.read()
            if not data:
                raise EOFError
            self.frames = list(self.decoder.feed(data))[::-1]
        return self.frames.pop()


class Pool:
    """At most `size` children of `program`, started when needed.

    `spawn` is `kedge.process.spawn` or its twin in a simulation.
    """

    def __init__(self, program: str, spawn: Spawn, *, size: int = 2, limits: Limits = Limits()) -> None:
        self.limits = limits
        self._program = program
        self._spawn = spawn
        self._places = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._ending: list[Conversation] = []
        self._closed = False

    async def call(self, call: Call, snapshot: Snapshot) -> Rendered:
        """Serve one request. Raises Refused for bad input, Died when the child did not survive it, Unavailable when
        no child can be started."""
        async with self._places:
            worker = await self._ready()
            asked: list[Read] = [_root_read(call)]
            served = False
            try:
                async with asyncio.timeout(self.limits.deadline):
                    rendered = await self._converse(worker, call, snapshot, asked)
                served = True
                return rendered
            except Refused:
                served = True
                raise
            except TimeoutError:
                why = f"the render took longer than {self.limits.deadline:g} s and was ended"
                raise Died(why, Where(call.root), tuple(asked)) from None
            except (EOFError, Garbled) as error:
                said = self._epitaph(worker.child.last_words) or str(error) or "it gave no reason"
                why = f"the renderer did not survive this input: {said}"
                raise Died(why, Where(call.root), tuple(asked)) from error
            finally:
                self._put_back(worker, served)

    def _epitaph(self, words: str) -> str:
        """A child's last line. What its runtime dumps when it gets no more memory or stack helps nobody: of it, only
        the tail is known."""
        if "goroutine " in words or "runtime." in words:
            return f"it crashed, most likely for want of memory ({self.limits.memory >> 20} MiB are allowed)"
        return words.rpartition("\n")[2]

    async def versions(self) -> Mapping[str, str]:
        """Versions of the libraries in the worker."""
        async with self._places:
            worker = await self._ready()
            self._put_back(worker, True)
            versions: Mapping[str, str] = worker.hello["versions"]
            return versions

    async def close(self) -> None:
        """End all children and wait for them. Requests in flight fail with Died."""
        self._closed = True
        idle, self._idle = self._idle, []
        for worker in idle:
            self._end(worker.child)
        for child in self._ending:
            await child.gone()

    async def _ready(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.child.alive:
                return worker
            self._end(worker.child)
        child = await self._spawn([self._program], env=confined(self.limits.memory), cwd="/", memory=self.limits.memory)
        worker = _Worker(child)
        try:
            async with asyncio.timeout(self.limits.deadline):
                worker.hello = (await worker.next()).header
            return worker
        except (TimeoutError, EOFError, Garbled) as error:
            why = child.last_words or str(error) or "it said nothing"
            raise Unavailable(f"{self._program} is no native worker of this Kedge: {why}") from error
        finally:
            if not worker.hello:
                self._end(child)

    def _put_back(self, worker: _Worker, served: bool) -> None:
        worker.served += 1
        if served and not self._closed and worker.served < self.limits.recycle:
            self._idle.append(worker)
        else:
            self._end(worker.child)

    def _end(self, child: Conversation) -> None:
        """Kill it, and remember it until it has gone: `close` leaves none behind that nobody waits for."""
        child.kill()
        self._ending = [ending for ending in self._ending if not ending.reaped] + [child]

    async def _converse(self, worker: _Worker, call: Call, snapshot: Snapshot, asked: list[Read]) -> Rendered:
        """A worker may have been taken over by what it renders: nothing that it says is taken on trust, and it gets no
        more than it could rightly ask for."""
        number = worker.served + 1
        worker.child.write(encode(_request(number, call, snapshot, worker.held, self.limits)))
        objects: list[Emitted] = []
        room, read, told = self.limits.total, 0, 0
        while True:
            frame = await worker.next()
            if frame.request != number:
                raise Garbled(f"an answer to request {frame.request} instead of {number}")
            if frame.kind is FrameKind.OBJECT:
                room -= len(frame.raw)
                if room < 0 or len(objects) >= self.limits.objects:
                    raise Garbled("more objects than were allowed")
                objects.append(_emitted(frame))
            elif frame.kind is FrameKind.ASK:
                answer = _answer(snapshot, _checked(frame.header, _QUESTION), asked)
                if answer.header["id"]:
                    worker.held.update([answer.header["id"]] if answer.raw else [])
                reply = encode(Frame(number, FrameKind.ANSWER, answer.header, answer.raw))
                read, told = read + len(answer.raw), told + len(reply)
                if (
                    read > self.limits.read + self.limits.file
                    or told - read > MAX_HEADER
                    or len(asked) > self.limits.questions
                ):
                    raise Garbled("more questions than a render has")
                worker.child.write(reply)
            else:
                return _finish(worker, frame, objects)


def _root_read(call: Call) -> Read:
    root: Mapping[str, Any] = call.folders.get(call.root, {"id": ""})
    return Read(call.root, root["id"], EntryKind.FOLDER)


def _request(number: int, call: Call, snapshot: Snapshot, held: set[str], limits: Limits) -> Frame:
    """The first frame, with the files the child lacks; what does not fit in a quarter of its bound is asked for."""
    blobs: dict[str, bytes] = {}
    room = limits.read // 4
    for entry in call.wanted:
        if entry.id in held or entry.id in blobs or entry.size > min(room, limits.file):
            continue
        blobs[entry.id] = snapshot.read(entry)
        room -= len(blobs[entry.id])
    held.update(blobs)
    header = {
        "op": call.op,
        "options": call.options,
        "after": call.after or None,
        "keys": None if call.keys is None else [{"name": name, "value": value} for name, value in call.keys],
        "limits": limits.for_worker(),
        "folders": call.folders,
        "blobs": [{"id": key, "size": len(content)} for key, content in blobs.items()],
    }
    return Frame(number, FrameKind.REQUEST, header, b"".join(blobs.values()))


def _answer(snapshot: Snapshot, question: Mapping[str, Any], asked: list[Read]) -> Answer:
    path = str(question["path"])
    answer = questions.fetch(snapshot, path) if question["ask"] == "read" else questions.look(snapshot, path)
    kind = EntryKind(answer.header["kind"]) if answer.header["kind"] else EntryKind.FILE
    asked.append(Read(path, answer.header["id"], kind))
    return answer


_PLACE: Mapping[str, type] = {"path": str, "line": int, "document": int}
_QUESTION: Mapping[str, type] = {"ask": str, "path": str}
_END: Mapping[str, type] = {"reads": dict, "warnings": list, "error": dict}
_NOTES = 200


def _emitted(frame: Frame) -> Emitted:
    """One object. It is judged by its header and applied by its body, so both have to be about the same."""
    header = _checked(frame.header, _PLACE)
    try:
        body = orjson.loads(frame.raw)
        held = body["metadata"]
        same = (body["apiVersion"], body["kind"], held.get("annotations") or {}) == (
            header["apiVersion"],
            header["kind"],
            header.get("annotations") or {},
        )
        named = all((held.get(key) or "") == header.get(key, "") for key in ("namespace", "name", "generateName"))
        texts = all(isinstance(body[key], str) for key in ("apiVersion", "kind"))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        raise Garbled("an object that is none") from None
    if not (same and named and texts):
        raise Garbled("an object that is another than its header says")
    return Emitted(header, frame.raw)


def _checked(header: Mapping[str, Any], fields: Mapping[str, type]) -> Mapping[str, Any]:
    """The header, of whose fields each is of its type; but for a question's they may be missing. Raises Garbled."""
    for name, kind in fields.items():
        if not isinstance(header.get(name, kind()), kind) or (fields is _QUESTION and name not in header):
            raise Garbled(f"a header whose {name} is no {kind.__name__}")
    return header


def _finish(worker: _Worker, frame: Frame, objects: Sequence[Emitted]) -> Rendered:
    header = _checked(frame.header, _END)
    try:
        worker.held.difference_update(header.get("evicted") or ())
        reads = questions.reads_of(header)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Garbled("a log of questions that is none") from None
    if frame.kind is FrameKind.DONE:
        notes = header.get("warnings") or ()
        return Rendered(tuple(objects), reads, tuple(shown(str(note)) for note in notes[:_NOTES]))
    if frame.kind is not FrameKind.ERROR:
        raise Garbled(f"a frame of type {frame.kind.name} where none is expected")
    error = _checked(header.get("error") or {}, _PLACE)
    where = Where(error.get("path", ""), error.get("line", 0), error.get("document", 0))
    raise Refused(str(error.get("what") or "it gave no reason"), where, reads)
