"""Programs that a test runs beside itself: each has a pid file and a log, and none outlives whoever started it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.build_parts import KUBERNETES, KWOK, Packages, Part

NICE = 5
_PARENT_DEATH = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


class Broken(Exception):
    """A program that did not come up, with the end of its log."""


def missing(parts: Sequence[Part | Packages] = (KUBERNETES, KWOK)) -> str:
    """Why tests that need these parts can not run here; "" when they can."""
    absent = [part.name for part in parts if not part.program.exists()]
    return f"{' and '.join(absent)} not built for this checkout: run `make parts`" if absent else ""


def _with_parent() -> Callable[[], None] | None:
    """What a child calls first: the kernel kills it when its parent dies, however that happens."""
    if not sys.platform.startswith("linux"):
        return None
    call = ctypes.CDLL(None, use_errno=True).prctl

    def die_with_parent() -> None:
        call(_PARENT_DEATH, signal.SIGKILL, 0, 0, 0)

    return die_with_parent


@dataclass
class Programs:
    """What was started in a folder. Ended by id, the last first, with SIGKILL: nobody needs what they would save."""

    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str | Path]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                ["nice", "-n", str(NICE), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder)},
                preexec_fn=_with_parent(),
                start_new_session=True,
            )
        self.running[name] = process
        (self.folder / f"{name}.pid").write_text(f"{process.pid}\n")

    def check(self) -> None:
        """Raises Broken when one has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise Broken(f"{name} ended with {process.returncode}:\n{self.said(name)}")

    def said(self, name: str, lines: int = 20) -> str:
        log = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(log[-lines:])

    def end(self) -> None:
        while self.running:
            _, process = self.running.popitem()
            process.kill()
            process.wait()
