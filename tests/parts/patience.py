"""Waiting for what programs outside of the test come to: the one place where a test pauses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
STEP = 0.05


def until(look: Callable[[], T], enough: Callable[[T], object], seconds: float) -> T:
    """What `look` shows once that is enough, or when the seconds are over: who asks judges that."""
    due = time.monotonic() + seconds
    while not enough(found := look()) and time.monotonic() < due:
        time.sleep(STEP)
    return found
