"""A port of loopback, and nothing left of it afterwards: no task, no connection, no socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Meet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(meet: Meet, limit: int = 1 << 16) -> AsyncIterator[int]:
    """`meet` has each connection to itself, which is ended when it returns or raises an OSError. `limit`: bytes that
    are read ahead."""
    met: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio's own task for a coroutine is nobody's to await, and up to Python 3.11 a cancelled one is an error
        task = asyncio.get_running_loop().create_task(_met(meet, reader, writer))
        met.add(task)
        task.add_done_callback(met.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=limit)
    port: int = server.sockets[0].getsockname()[1]
    try:
        yield port
    finally:
        server.close()
        for _ in range(5):
            await asyncio.sleep(0)  # who was accepted a moment ago has a task from here on
        for task in list(met):
            task.cancel()
        while met:
            await asyncio.wait(list(met))


async def _met(meet: Meet, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async with ended(writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            await meet(reader, writer)


@asynccontextmanager
async def ended(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """The connection is ended at the end: what was written is sent before, unless somebody is in a hurry."""
    try:
        yield
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
