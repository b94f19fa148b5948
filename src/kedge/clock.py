"""The machine's clock and randomness: the only file that reads either.

What few need is imported when it is: a process that reads the clock only starts without an event loop.
"""

from __future__ import annotations

import time


class SystemClock:
    """`kedge.ports.Clock` over the machine's clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)


class SystemEntropy:
    """`kedge.ports.Entropy` over the machine's generator."""

    def token(self, size: int = 16) -> str:
        import secrets

        return secrets.token_hex(size)

    def uniform(self) -> float:
        import random

        return random.random()  # noqa: S311 - jitter, not a secret
