"""Many questions at once, with their answers in order and no question left running behind an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def gathered(questions: Iterable[Awaitable[T]]) -> list[T]:
    """All answers. When some failed, waits for the rest and raises the first error in order."""
    asked = list(questions)
    if len(asked) < 2:
        return [await question for question in asked]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    good: list[T] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        good.append(answer)
    return good
