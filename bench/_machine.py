"""What the machine says of processes: CPU seconds and memory, from /proc; nothing where there is none.

Also how large a benchmark is to be.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

QUICK = "BENCH_QUICK"
TICK = os.sysconf("SC_CLK_TCK")


def child_cpu(pid: int) -> float:
    """CPU seconds of a process, user and system."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def children(pid: int | None = None) -> list[int]:
    """The processes that a process (this one) has started and that still run."""
    found: list[int] = []
    for task in Path(f"/proc/{pid or os.getpid()}/task").glob("*/children"):
        found += map(int, task.read_text().split())
    return found


def resident(pid: int | None = None) -> float:
    """MiB that a process (this one) holds."""
    status = Path(f"/proc/{pid or os.getpid()}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def peak(pid: int) -> float:
    """MiB that a process has held at most."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def helpers_resident(beside: Collection[int]) -> float:
    """MiB that the processes started by this one hold together, without those of the cluster."""
    return sum(resident(pid) for pid in children() if pid not in beside)


def helpers_cpu(beside: Collection[int]) -> float:
    """CPU seconds of the same."""
    return sum(child_cpu(pid) for pid in children() if pid not in beside)


def sized(name: str, default: int, quick: int) -> int:
    """A size of a benchmark: from the environment, else by whether it is to be quick."""
    return int(os.environ.get(name) or (quick if os.environ.get(QUICK) else default))
