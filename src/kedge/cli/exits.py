"""Exit codes: the one table. `kedge help exit-codes` prints it, `docs/reference/exit-codes.md` is made from it."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    DIFFERS = 1
    ERROR = 2
    TIMEOUT = 3
    DEGRADED = 4
    APPROVAL = 5
    DENIED = 6


MEANING: dict[Exit, str] = {
    Exit.OK: "done, or nothing to say",
    Exit.DIFFERS: "diff: something differs; check: there are findings",
    Exit.ERROR: "wrong usage, or an error",
    Exit.TIMEOUT: "waited, and the time was up",
    Exit.DEGRADED: "degraded, or the run failed",
    Exit.APPROVAL: "waits for an approval",
    Exit.DENIED: "not permitted, or no valid token",
}
