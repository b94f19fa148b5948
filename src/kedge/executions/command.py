"""What a tool is called with: arguments, environment and its configuration file. Pure.

Secrets are never arguments: arguments are everybody's to read. The tool gets nothing of Kedge's own environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kedge.executions.folder import Folder, Request, Secrets
from kedge.model.errors import Invalid
from kedge.model.execution import Task, Tool
from kedge.model.version import Version, read

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_GUARDED = ("TF_CLI_ARGS", "TF_LOG", "TF_REATTACH_PROVIDERS", "TF_WORKSPACE", "LD_", "DYLD_")
"""Variables that would change what is run and of which state, or print secrets."""
_BY_NAME = ("cloud", "remote")
"""Backends whose workspace `init` has to be told: they need not have a default one."""
_TRANSPORTS = "https:ssh"
_RETRIES = ("2", "10")
"""How often the state backend is asked again by a plan and by an apply, which outlives a controller that is started
again (some two minutes)."""


@dataclass(frozen=True, slots=True)
class Command:
    """One call of the tool. `keeps`: what it prints is kept as it is, not read as a stream."""

    stage: str
    argv: tuple[str, ...]
    keeps: str = ""


def refuse_environment(environment: Iterable[tuple[str, str]]) -> None:
    """Raises Invalid for a variable that a stack's credentials may not set."""
    for name, value in environment:
        if not name or "=" in name or "\0" in name + value:
            raise Invalid(f"{name[:60]!r} is no name of an environment variable")
        if name.startswith(_GUARDED):
            raise Invalid(f"a stack's environment may not set {name}", hint="it changes what is run, or prints secrets")


def environment(request: Request, secrets: Secrets, folder: Folder, data: str) -> dict[str, str]:
    """The stack's own, and under it what we say. Where it is at work, PWD and TMPDIR are the runner's to add."""
    ours = {
        "HOME": str(folder.path / "home"),
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "TF_DATA_DIR": data,
        "TF_CLI_CONFIG_FILE": request.cli_config,
        "CHECKPOINT_DISABLE": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": _TRANSPORTS,
    }
    if request.address:
        ours |= _backend(request, secrets)
    if request.backend in _BY_NAME:
        ours |= selected(request)
    return {**dict(secrets.environment), **ours}


def _backend(request: Request, secrets: Secrets) -> dict[str, str]:
    found = {"ADDRESS": request.address, "USERNAME": request.user, "PASSWORD": secrets.token}
    found |= {"LOCK_ADDRESS": request.address, "UNLOCK_ADDRESS": request.address}
    found |= {"RETRY_MAX": _RETRIES[request.task is Task.APPLY], "RETRY_WAIT_MAX": "15"}
    return {f"TF_HTTP_{name}": value for name, value in found.items()}


def init(request: Request, variables: str, *, locked: bool) -> Command:
    """`locked`: there is a lock file, which is honoured as it is."""
    machine = ["-json"] if _at_least(request, opentofu=(1, 9), terraform=(1, 10)) else []
    frozen = ["-lockfile=readonly"] if locked else []
    argv = [request.program, "init", "-input=false", "-no-color", *machine, *frozen]
    return Command("init", (*argv, *_given(request, variables, early=True)))


def workspace(request: Request, variables: str) -> Command | None:
    """Chooses the workspace, and makes it where it is not there yet; None where nothing is to be chosen. With it in the
    environment from the start, `init` would refuse one that is not there beside others that are."""
    if not request.selects or request.backend in _BY_NAME:
        return None
    argv = (request.program, "workspace", "select", "-no-color", "-or-create=true")
    return Command("workspace", (*argv, *_given(request, variables, early=True), request.workspace))


def selected(request: Request) -> dict[str, str]:
    """The environment's part that keeps every call, from `init` on, to the chosen workspace."""
    return {"TF_WORKSPACE": request.workspace} if request.selects else {}


def plan(request: Request, folder: Folder, variables: str) -> Command:
    """Plans take no lock: what they show is judged again under the lock of the apply."""
    what = ["-destroy"] if request.task is Task.DESTROY else []
    argv = [request.program, "plan", "-input=false", "-no-color", "-json", "-lock=false", f"-out={folder.plan}", *what]
    return Command("plan", (*argv, *_given(request, variables)))


def show(request: Request, folder: Folder, variables: str) -> Command:
    argv = [request.program, "show", "-json", "-no-color"]
    early = _given(request, variables, early=True) if request.tool is Tool.OPENTOFU else []
    return Command("show", (*argv, *early, str(folder.plan)), str(folder.shown))


def apply(request: Request, folder: Folder, variables: str) -> Command:
    """Of the saved plan, never of anything else. Variables that are not saved with a plan are given again."""
    again = _given(request, variables) if _at_least(request, opentofu=(1, 8), terraform=(1, 10)) else []
    argv = [request.program, "apply", "-input=false", "-no-color", "-json", "-lock-timeout=30s"]
    return Command("apply", (*argv, *again, str(folder.plan)))


def outputs(request: Request, folder: Folder, variables: str) -> Command:
    argv = [request.program, "output", "-json", "-no-color"]
    return Command("outputs", (*argv, *_given(request, variables, early=True)), str(folder.outputs))


def _given(request: Request, variables: str, *, early: bool = False) -> Sequence[str]:
    """`early`: OpenTofu evaluates the sources of modules with them."""
    if early and not (request.tool is Tool.OPENTOFU and _at_least(request, opentofu=(1, 8), terraform=(1, 0))):
        return []
    return [f"-var-file={path}" for path in (*request.variable_files, variables)]


def _at_least(request: Request, *, opentofu: tuple[int, int], terraform: tuple[int, int]) -> bool:
    version = read(request.version, loose=True) or Version(0)
    return (version.major, version.minor) >= (opentofu if request.tool is Tool.OPENTOFU else terraform)


def cli_config(mirror: str, cache: str) -> str:
    """The tool's configuration file. Where there is a mirror, providers come from nowhere else."""
    lines = ["disable_checkpoint = true"]
    if cache:
        lines.append(f"plugin_cache_dir = {_quoted(cache)}")
    if mirror:
        lines.append(f"provider_installation {{\n  filesystem_mirror {{\n    path = {_quoted(mirror)}\n  }}\n}}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A string of HCL: templates in it are none."""
    if not text.isprintable():
        raise Invalid(f"{text[:60]!r} is no path for a tool's configuration file")
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + plain.replace("${", "$${").replace("%{", "%%{") + '"'
