"""An execution's folder: all that the controller and a runner know of each other.

<executions>/<id>/        for the owner only; appears whole, or not at all
  request.json            what is to be done, without secrets
  secrets.json            variables, credentials, token: the runner reads it first, and removes it
  bundle                  the files' contents, one after the other
  runner.json             which process the runner is: who makes this file first
  tool.json               which process the tool is
  work/, data/            the bundle laid out, and the tool's own folder (providers, modules); kept for the apply
  initialized             both are ready
  plan.bin, shown.json, errored.tfstate, outputs.json
                          in clear while it works, then encrypted (….sealed), or gone where nobody asks for them
  lines                   what people read of it
  stop                    why it is to end
  report.json             how far it is, in the end how it went; replaced as a whole
  reserve                 room for the report on a disk that is full

Of one that runs as a Job there are the report, the lines, what it has left, `stop`, and instead of the rest
  input.json              what is to be done, with its secrets: removed when the pod has it
  job.json                where its Job is: from then on there is one
  claim                   which pod has become its runner
  drift                   it looks for drift: nobody waits for it
  elsewhere               its state is not in our own backend
  late                    why its Job was given up before it began
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedge.detached import Birth
from kedge.executions import temporary
from kedge.model.errors import Invalid, Unavailable
from kedge.model.execution import BundleFile, Ending, Execution, Report, Task, Tool, Yield

if TYPE_CHECKING:
    from kedge.ports import Seal

PATIENCE = 300.0
"""Seconds between asking a tool to end and asking it once more, when it gives up what it holds."""
LAST_PATIENCE = 60.0
"""Seconds between asking a tool once more and ending it."""
_RESERVE = 256 << 10
_PASSWORD = re.compile(r"://[^/@:]*:([^/@]+)@")
_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


@dataclass(frozen=True, slots=True)
class Request:
    """What a runner is asked for. `program` is the tool's path, `version` its version; `files` are (path, size,
    executable) in the order of the bundle; `place` is the folder of the execution that planned, "" where it is not at
    hand; `cli_config` is the tool's configuration file, `cache` the shared plugin cache behind it; `backend` and
    `workspace` are as in `Execution`. Times in seconds, `began` in epoch seconds, `memory` in bytes."""

    id: str
    unit: str
    task: Task
    tool: Tool
    program: str
    version: str
    folder: str
    files: tuple[tuple[str, int, bool], ...]
    variable_files: tuple[str, ...]
    address: str
    user: str
    plan: str
    """The sha256 of the saved plan."""
    place: str
    began: float
    timeout: float
    memory: int
    patience: float = PATIENCE
    cli_config: str = ""
    cache: str = ""
    drift: bool = False
    backend: str = ""
    workspace: str = ""

    @property
    def selects(self) -> bool:
        """Whether a workspace is chosen. Where the state is ours it is the unit's own, and the code was told a name."""
        return bool(self.workspace) and not self.address


@dataclass(frozen=True, slots=True)
class Secrets:
    """`hidden` are texts that are never shown."""

    variables: str = field(default="{}", repr=False)
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    token: str = field(default="", repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)


def valid_id(id: str) -> str:
    """Raises Invalid for what can not be the name of a folder."""
    if not id or len(id) > 128 or id.startswith(".") or not _ID.issuperset(id):
        raise Invalid(f"“{id[:40]}” is not the id of an execution")
    return id


@dataclass(frozen=True, slots=True)
class Folder:
    """One execution's folder. Reading from one that is gone, or of which a part is missing, answers nothing."""

    path: Path

    @property
    def work(self) -> Path:
        return self.path / "work"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def initialized(self) -> Path:
        return self.path / "initialized"

    @property
    def plan(self) -> Path:
        return self.path / "plan.bin"

    @property
    def shown(self) -> Path:
        return self.path / "shown.json"

    @property
    def errored(self) -> Path:
        return self.path / "errored.tfstate"

    @property
    def outputs(self) -> Path:
        return self.path / "outputs.json"

    @property
    def lines(self) -> Path:
        return self.path / "lines"

    @property
    def log(self) -> Path:
        return self.path / "runner.log"

    def begin(self, nonce: str, fill: Callable[[Folder], None]) -> bool:
        """Put everything that `fill` writes on record at once; False where it is there already. Raises Unavailable on a
        full disk."""
        draft = Folder(self.path.parent / f".new-{nonce}")
        try:
            draft.path.mkdir(mode=0o700, parents=True)
            fill(draft)
            draft.path.rename(self.path)
        except OSError as error:
            shutil.rmtree(draft.path, ignore_errors=True)
            if self.path.exists():
                return False
            raise Unavailable(
                f"an execution can not be put on record in {self.path.parent}: {error.strerror}"
            ) from None
        return True

    def fill(self, request: Request, execution: Execution, supplied: tuple[tuple[str, str], ...] = ()) -> None:
        """What a runner needs, with the operator's variables under the stack's own."""
        _write(self.path / "request.json", json.dumps(asdict(request)).encode())
        state = execution.state
        secrets = Secrets(
            execution.variables.decode("utf-8", "replace"),
            tuple({**dict(supplied), **dict(execution.environment)}.items()),
            state.token if state is not None else "",
            _hidden(execution, supplied),
        )
        _write(self.path / "secrets.json", json.dumps(asdict(secrets)).encode())
        _write(self.path / "bundle", b"".join(file.content for file in execution.files))
        _write(self.path / "reserve", bytes(_RESERVE))
        if execution.plan:
            _write(self.plan, execution.plan)

    def entrust(self, sent: bytes, report: Report, execution: Execution) -> None:
        """What a pod asks for, and how far it is: not begun."""
        _write(self.path / "input.json", sent)
        for name, so in (("drift", execution.drift), ("elsewhere", execution.state is None)):
            if so:
                _write(self.path / name, b"")
        _write(self.path / "reserve", bytes(_RESERVE))
        self.write_report(report)

    def hear_lines(self, piece: bytes, at: int, most: int) -> None:
        """Add a piece of the lines that begins at byte `at`, once."""
        with open(self.lines, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            size = file.tell()
            if at <= size:
                file.write(piece[size - at : most - at])

    def keep(self, left: Yield) -> None:
        for place, content in ((self.plan, left.plan), (self.shown, left.shown), (self.outputs, left.outputs)):
            self.note(place.name, content)
        if left.errored:
            self.note(self.errored.name, left.errored)

    def request(self) -> Request | None:
        raw = _json(self.path / "request.json")
        if raw is None:
            return None
        words: dict[str, Any] = {
            **raw,
            "task": Task(raw["task"]),
            "tool": Tool(raw["tool"]),
            "files": tuple((path, size, executable) for path, size, executable in raw["files"]),
            "variable_files": tuple(raw["variable_files"]),
        }
        return Request(**words)

    def take_secrets(self) -> Secrets:
        """The secrets, which are nowhere afterwards."""
        place = self.path / "secrets.json"
        raw = _json(place) or {}
        place.unlink(missing_ok=True)
        environment = tuple((name, value) for name, value in raw.get("environment", ()))
        return Secrets(raw.get("variables", "{}"), environment, raw.get("token", ""), tuple(raw.get("hidden", ())))

    def bundle(self, request: Request) -> tuple[BundleFile, ...]:
        """The files of the request. Raises Invalid where the contents do not fit it."""
        content, place, found = memoryview((self.path / "bundle").read_bytes()), 0, []
        for path, size, executable in request.files:
            found.append(BundleFile(path, bytes(content[place : place + size]), executable))
            place += size
        if place != len(content):
            raise Invalid("the bundle does not fit its list of files")
        return tuple(found)

    def claim(self, birth: Birth) -> bool:
        """Become the runner of this execution; False where another process is."""
        draft = self.path / f"runner.{birth.pid}"
        _write(draft, json.dumps(asdict(birth)).encode())
        try:
            os.link(draft, self.path / "runner.json")
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def runner(self) -> Birth | None:
        return _birth(self.path / "runner.json")

    def tool(self) -> Birth | None:
        return _birth(self.path / "tool.json")

    def note_tool(self, birth: Birth | None) -> None:
        """Which process the tool is now, None where none is."""
        if birth is None:
            (self.path / "tool.json").unlink(missing_ok=True)
        else:
            self.note("tool.json", json.dumps(asdict(birth)).encode())

    def ask_to_stop(self, why: str) -> None:
        if not (self.path / "stop").exists():
            self.note("stop", why.encode())

    def asked_to_stop(self) -> str | None:
        """Why it is to end, None where nobody has asked."""
        raw = read_bytes(self.path / "stop")
        return raw.decode("utf-8", "replace") if raw else None

    def report(self) -> Report | None:
        raw = _json(self.path / "report.json")
        if raw is None:
            return None
        ending = Ending(raw["ending"]) if raw["ending"] else None
        return Report(**{**raw, "task": Task(raw["task"]), "ending": ending, "problems": tuple(raw["problems"])})

    def write_report(self, report: Report) -> None:
        """The last one takes the room that was kept for it."""
        if report.ending is not None:
            (self.path / "reserve").unlink(missing_ok=True)
        self.note("report.json", json.dumps(asdict(report)).encode())

    def note(self, name: str, content: bytes) -> None:
        """Put one file on record, in place of what it was before."""
        draft = self.path / f".{name}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        _write(draft, content)
        draft.replace(self.path / name)

    def tidy(self) -> None:
        """Remove what an execution needs while it is at work only, secrets first."""
        for name in ("secrets.json", "variables.tfvars.json", "input.json", "bundle", "stream", "stderr"):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / "home", ignore_errors=True)
        temporary.remove(self.path)

    def put_away(self, task: Task, ending: Ending, seal: Seal | None) -> None:
        """What an ended execution has left and nobody asks for is gone; the rest is encrypted. A full disk leaves it as
        it is, until the next start. A state that was cut short, or that another backend than ours was to get, is for a
        person to read, and stays as it is."""
        whole = ending is Ending.SUCCEEDED
        wanted = {self.plan: whole and task.plans, self.shown: whole, self.outputs: whole, self.errored: True}
        for place, keep in wanted.items():
            text = read_bytes(place) if keep else b""
            if not keep:
                place.unlink(missing_ok=True)
            elif text and seal is not None and (place != self.errored or (self._ours and _whole(text))):
                with contextlib.suppress(OSError):
                    _write_through(_sealed(place), seal.seal_file(self._named(place), text))
                    place.unlink()

    @property
    def _ours(self) -> bool:
        """Whether the state is in our own backend."""
        request = self.request()
        return bool(request.address) if request is not None else not (self.path / "elsewhere").exists()

    def left(self, place: Path, seal: Seal | None) -> bytes:
        """What an ended execution has left at `place`, b"" for nothing. Raises as `Seal.open_file`."""
        raw = read_bytes(_sealed(place)) if seal is not None else b""
        return seal.open_file(self._named(place), raw) if seal is not None and raw else read_bytes(place)

    def _named(self, place: Path) -> str:
        return f"{place.name} of execution {self.path.name}"

    def errored_at(self, request: Request) -> Path:
        """Where the tool leaves a state that it could not send."""
        home = Folder(Path(request.place)) if request.place else self
        return home.work / request.folder / "errored.tfstate"

    def bring_errored_home(self, request: Request) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.errored_at(request).replace(self.errored)


def _hidden(execution: Execution, supplied: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Texts that are never shown: what the stack brings, and of the operator's variables the passwords of URLs."""
    passwords = (_PASSWORD.search(value) for _, value in supplied)
    given = tuple(value for _, value in execution.environment)
    token = (execution.state.token,) if execution.state is not None else ()
    return (*execution.hidden, *given, *token, *(found[1] for found in passwords if found is not None))


def open_report(request: Request, told: str = "") -> Report:
    """What is known of an execution before it begins."""
    return Report(request.id, request.unit, request.task, request.began, told=told, version=request.version)


def ended(report: Report, ending: Ending, at: float, *, told: str = "", problems: tuple[str, ...] = ()) -> Report:
    """A report as its last one. Nothing ends before it has started, whatever clocks say."""
    return replace(report, ending=ending, finished=max(at, report.started), told=told, problems=problems)


def read_bytes(place: Path) -> bytes:
    """A file's bytes, b"" where there is none."""
    try:
        return place.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""


def _write(place: Path, content: bytes, *, sync: bool = False) -> None:
    with open(place, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def _sealed(place: Path) -> Path:
    return place.with_name(f"{place.name}.sealed")


def _write_through(place: Path, content: bytes) -> None:
    """Whole or not at all, and on the disk: what it was made of is removed next."""
    draft = place.with_name(f".{place.name}")
    draft.unlink(missing_ok=True)
    try:
        _write(draft, content, sync=True)
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)


def _whole(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _json(place: Path) -> Mapping[str, Any] | None:
    raw = read_bytes(place)
    return json.loads(raw) if raw else None


def _birth(place: Path) -> Birth | None:
    raw = _json(place)
    return Birth(**raw) if raw is not None else None
