"""How the controller starts runners: through a process that is ready to become them, or without it where that is not
to be had. Either way they are detached."""

from __future__ import annotations

import sys
from pathlib import Path

import kedge
from kedge import detached
from kedge.executions.folder import Folder
from kedge.model.errors import Unavailable
from kedge.process import Pipes

_ANSWERS = 5.0
"""Seconds in which a process that is ready forks."""


class Starter:
    """Starts runners. `close` ends nothing but the process that is ready."""

    def __init__(self) -> None:
        self._ready: Pipes | None = None
        self._env = {"PYTHONPATH": str(Path(kedge.__file__).parent.parent), "LANG": "C.UTF-8"}

    def warm_up(self) -> None:
        """Start the process that is ready, so that it is when the first runner is wanted. Where it can not be, runners
        start slower."""
        if self._ready is None:
            try:
                self._ready = Pipes(_python("ready"), env=self._env)
            except Unavailable:
                return

    def start(self, folder: Folder) -> int:
        """The process id of a new runner. Raises Unavailable where none can be started."""
        self.warm_up()
        try:
            return self._fork(folder)
        except (Unavailable, ValueError):
            self.close()
        return detached.detach([*_python("runner"), str(folder.path)], env=self._env, log=folder.log)

    def _fork(self, folder: Folder) -> int:
        if self._ready is None:
            raise Unavailable("no process is ready")
        self._ready.write(f"{folder.path}\n".encode())
        answer = b""
        while not answer.endswith(b"\n"):
            answer += self._ready.read(_ANSWERS)
        return int(answer)

    def close(self) -> None:
        if self._ready is not None:
            self._ready.close()
        self._ready = None


def _python(module: str) -> list[str]:
    return [sys.executable, "-S", "-P", "-m", f"kedge.executions.{module}"]
