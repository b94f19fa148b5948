"""The differences that stay, each with its reason: everything else fails the suite."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.conformance.compare import Difference


@dataclass(frozen=True, slots=True)
class Accepted:
    """`request` and `path` are matched whole; `path` is the difference's, such as `code` or `spec.clusterIP`."""

    request: str
    path: str
    why: str
    told: str = ""

    def covers(self, found: Difference) -> bool:
        asked = f"{found.step.method} {found.step.path}"
        return bool(
            re.fullmatch(self.request, asked)
            and re.fullmatch(self.path, found.path)
            and re.search(self.told, found.told)
        )


ACCEPTED: tuple[Accepted, ...] = ()


def remaining(found: Iterable[Difference]) -> list[Difference]:
    """What no line of the table covers. After a step whose outcome differs the object itself does: one tells all."""
    return [one for one in found if not any(line.covers(one) for line in ACCEPTED)]
