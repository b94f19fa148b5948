"""The process that runs one execution, from its folder: `python -m kedge.executions.runner FOLDER`.

It outlives the controller, and hears SIGTERM and SIGINT as the wish to end in order. All that it finds out is in the
folder before it ends. Imports little: its start is part of every plan.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kedge import detached
from kedge.clock import SystemClock
from kedge.detached import Signals
from kedge.executions import command, layout, temporary
from kedge.executions.command import Command
from kedge.executions.folder import Folder, Request, ended, open_report, read_bytes
from kedge.executions.stream import Heard, Mask
from kedge.executions.tool import Caller
from kedge.model.errors import KedgeError
from kedge.model.execution import Ending, Report, Task

_TELL = 1.0
"""Seconds between two words about how far it is."""
_TURN = 0.1
"""Seconds between two tries for one's turn."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SECOND = 17
"""The exit code of a runner that finds another at work."""


class Failed(Exception):
    """An execution that has failed; why is among what was heard."""


class Runner:
    """One execution. Each stage is one call of the tool."""

    def __init__(self, folder: Folder, request: Request, signals: Signals) -> None:
        self.folder, self.request, self.clock = folder, request, SystemClock()
        secrets = folder.take_secrets()
        self.heard = Heard(Mask(secrets.hidden))
        self.caller = Caller(folder, request, self.clock, signals, self.heard)
        self.home = Folder(Path(request.place)) if request.place else folder
        self.env = command.environment(request, secrets, folder, str(self.home.data))
        self.variables = folder.path / "variables.tfvars.json"
        self.report = open_report(request)
        self._values = secrets.variables
        self._told_at = 0.0
        self._applied = False

    def run(self) -> Report:
        """The last report, which is not written yet."""
        try:
            self._prepare()
            for stage in (self._init, self._plan, self._apply, self._outputs):
                if self.caller.stopping():
                    break
                stage()
        except Failed:
            pass
        except KedgeError as error:
            self.heard.failed(" ".join(str(error).split()))
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self.heard.failed(f"there is no room left on the disk of {self.folder.path.parent}")
        return self._judged()

    def _judged(self) -> Report:
        ask, problems = self.caller.ask, self.heard.problems
        now = self.clock.now()
        if ask.why and not ask.failure:
            if self._applied:
                return ended(self.report, Ending.SUCCEEDED, now, told="it was done when it was asked to end")
            return ended(self.report, Ending.STOPPED, now, told=self.heard.mask(ask.why), problems=problems)
        ending = Ending.FAILED if self.heard.errors else Ending.SUCCEEDED
        return ended(self.report, ending, now, told=self.heard.told, problems=problems)

    def _prepare(self) -> None:
        os.umask(0o077)
        self.tell("prepare")
        (self.folder.path / "home").mkdir(exist_ok=True)
        self.env["TMPDIR"] = str(temporary.make(self.folder.path))
        self.variables.write_text(self._values)
        self._values = ""
        if self.home is self.folder:
            files = self.folder.bundle(self.request)
            layout.lay_out(files, self.request.folder, self.folder.work, backend=bool(self.request.address))
        (self.folder.path / "bundle").unlink(missing_ok=True)
        os.chdir(self.home.work / self.request.folder)
        self.env["PWD"] = os.getcwd()

    def _init(self) -> None:
        if not self.home.initialized.exists():
            self._initialize()
        self.env |= command.selected(self.request)

    def _initialize(self) -> None:
        lock = Path(layout.LOCK_FILE)
        locked = lock.exists()
        with self._cache():
            self._call(command.init(self.request, str(self.variables), locked=locked))
        if not locked and lock.exists():
            self.heard.warned(
                f"there is no {layout.LOCK_FILE} in {self.request.folder or 'the folder'}: providers were chosen anew, "
                "and may be others the next time; commit the one that init makes"
            )
        loose = layout.outside(self.home.work, self.home.data, self.request.folder)
        if self.request.workspace and not self.request.selects:
            loose += layout.nameless(self.home.work, self.home.data, self.request.folder)
        if loose:
            for text in loose:
                self.heard.failed(text)
            raise Failed
        choice = command.workspace(self.request, str(self.variables))
        if choice is not None:
            self._call(choice)
        self.home.initialized.touch()

    @contextmanager
    def _cache(self) -> Iterator[None]:
        """Only one at a time fills the shared plugin cache: not every version of the tools locks it."""
        if not self.request.cache:
            yield
            return
        with open(Path(self.request.cache) / ".kedge-lock", "ab") as held:
            while not _locked(held.fileno()):
                if self.caller.stopping():
                    raise Failed
                self.caller.signals.wait(_TURN)
            yield

    def _plan(self) -> None:
        if self.request.task.plans:
            self._call(command.plan(self.request, self.folder, str(self.variables)))
            if not read_bytes(self.folder.plan):
                self.heard.failed("the tool has made no plan")
                raise Failed
            self._call(command.show(self.request, self.folder, str(self.variables)))

    def _apply(self) -> None:
        if self.request.task is not Task.APPLY:
            return
        import hashlib

        if hashlib.sha256(read_bytes(self.folder.plan)).hexdigest() != self.request.plan:
            self.heard.failed("the saved plan is not the one that was asked for: it is not applied")
            raise Failed
        self.folder.errored_at(self.request).unlink(missing_ok=True)
        try:
            self._call(command.apply(self.request, self.folder, str(self.variables)))
        finally:
            self.folder.bring_errored_home(self.request)
        self._applied = True

    def _outputs(self) -> None:
        """Where the state is ours, it holds the outputs already."""
        if not self.request.address:
            self._call(command.outputs(self.request, self.folder, str(self.variables)))

    def _call(self, what: Command) -> None:
        """Raises Failed unless the tool has done what it was called for."""
        if self.caller.stopping():
            raise Failed
        self.tell(what.stage)
        code = self.caller.call(what, self.env, self._progress)
        if code == 0 and not self.heard.errors:
            return
        if not self.heard.errors and not self.caller.ask.why:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
            self.heard.failed(f"{Path(self.request.program).name} {what.stage} {how}, without a word")
        raise Failed

    def _progress(self) -> None:
        now = self.clock.monotonic()
        if now >= self._told_at + _TELL and self.heard.told != self.report.told:
            self.tell(self.report.stage)

    def tell(self, stage: str) -> None:
        """Say how far it is. A full disk takes this word, not the execution."""
        self._told_at = self.clock.monotonic()
        told = f"asked to end: {self.caller.ask.why}" if self.caller.ask.why else self.heard.told
        self.report = replace(self.report, stage=stage, told=self.heard.mask(told))
        try:
            self.folder.write_report(self.report)
        except OSError as error:
            if error.errno not in _FULL:
                raise


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(argv: list[str]) -> int:
    folder = Folder(Path(argv[1]))
    signals = Signals()
    birth = detached.born(os.getpid())
    request = folder.request()
    if birth is None or request is None or not folder.claim(birth):
        return SECOND
    runner = Runner(folder, request, signals)
    report = runner.run()
    folder.tidy()
    folder.write_report(report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
