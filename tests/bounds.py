"""What hostile input may cost, measured and not timed: processor seconds of this process, so a busy machine changes
nothing. What would take hours is stopped at the bound."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Exhausted(AssertionError):
    """The bound was reached."""


@contextmanager
def processor(seconds: float) -> Iterator[None]:
    """At most so many seconds of the processor, or the test fails."""

    def stop(_: int, __: FrameType | None) -> None:
        raise Exhausted(f"it took more than {seconds:g} s of the processor")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
