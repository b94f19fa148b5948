"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """An authenticated caller. `name` is shown in every record; groups decide approvals."""

    name: str
    groups: tuple[str, ...] = ()


AUTOMATION = Person("kedge")
