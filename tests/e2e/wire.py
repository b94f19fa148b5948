"""A wire to a cluster that can be frozen and cut: bytes are handed on, TLS and all, and never looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from tests.parts.listener import ended, listening

from kedge.kube.kubeconfig import Access

CHUNK = 64 * 1024


@dataclass
class Wire:
    """`made` counts connections. What is frozen stays open and silent for good, as behind a firewall that forgot it."""

    host: str
    port: int
    made: int = 0
    closed: bool = False
    frozen: set[int] = field(default_factory=set)
    writers: dict[int, tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def freeze(self) -> None:
        """Every connection that there is; new ones get through."""
        self.frozen.update(self.writers)

    def cut(self) -> None:
        """End every connection that there is, at once."""
        for pair in list(self.writers.values()):
            for writer in pair:
                writer.transport.abort()

    def shut(self) -> None:
        """End every connection, and let none through from now on."""
        self.closed = True
        self.cut()

    def open(self) -> None:
        self.closed = False

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        there, onward = await asyncio.open_connection(self.host, self.port)
        self.made += 1
        number = self.made
        self.writers[number] = writer, onward
        try:
            async with ended(onward), asyncio.TaskGroup() as both:
                both.create_task(self.carry(number, reader, onward))
                both.create_task(self.carry(number, there, writer))
        finally:
            del self.writers[number]

    async def carry(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                if number not in self.frozen:
                    writer.write(data)
                    await writer.drain()
            if number not in self.frozen:
                writer.close()


@asynccontextmanager
async def wired(access: Access) -> AsyncIterator[tuple[Wire, Access]]:
    """A wire to the cluster of `access`, and the access through it."""
    parts = urlsplit(access.server)
    wire = Wire(parts.hostname or "", parts.port or 443)
    async with listening(wire.meet) as port:
        yield wire, replace(access, server=f"https://127.0.0.1:{port}")
