"""Ports of loopback that stay a test's own, also while nobody serves them.

Each is bound and never listened on: the kernel gives it to nobody who asks for any port, nor to a connection, and who
knocks is refused. Whoever asks for it by its number, with SO_REUSEADDR as servers do, gets it, as often as they come
back.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def held_ports(count: int) -> Iterator[list[int]]:
    """So many, until the end of the block."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", 0))
        yield [int(one.getsockname()[1]) for one in held]


@contextmanager
def held_port() -> Iterator[int]:
    with held_ports(1) as (port,):
        yield port
