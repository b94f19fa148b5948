"""An execution: one process of OpenTofu or Terraform, which plans or applies one stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

LARGEST_WORD = 128 << 20
"""Bytes of a `Word` as JSON."""


class Task(StrEnum):
    PLAN = "plan"
    DESTROY = "destroy"
    """A plan that takes everything away."""
    APPLY = "apply"

    @property
    def plans(self) -> bool:
        return self is not Task.APPLY


class Tool(StrEnum):
    OPENTOFU = "opentofu"
    TERRAFORM = "terraform"


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file of a bundle. `path` is from the repository's root, with `/`; never absolute, never with `..`."""

    path: str
    content: bytes = field(repr=False)
    executable: bool = False


@dataclass(frozen=True, slots=True)
class StateAccess:
    """How one execution reaches the built-in state backend: its URL and a token that ends with the execution."""

    address: str
    user: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Execution:
    """What is to be executed. The same `id` is never started twice.

    `folder` is the stack's, from the bundle's root. `version` is a range of versions of `tool`, "" for any.
    `variables` is the text of a `.tfvars.json` and may hold secrets, as `environment` (the stack's own) does;
    `variable_files` are paths from `folder`, laid below them. `state` None: the code declares a `backend` (its kind) of
    its own, and `workspace` is chosen of it ("": its default one).
    `hidden` are texts (values of secrets among the variables) that no line and no problem may show, beside the values
    of the environment and the token. `plan` is the saved plan that is applied, made by the execution `planned` (whose
    folder is used again where it is at hand). `drift`: a plan that looks for drift, and for which nobody waits: all
    others go first. `timeout` is in seconds, `memory` in bytes.
    """

    id: str
    unit: str
    task: Task
    tool: Tool
    version: str
    folder: str
    files: tuple[BundleFile, ...]
    variables: bytes = field(default=b"{}", repr=False)
    variable_files: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    state: StateAccess | None = None
    backend: str = ""
    workspace: str = ""
    plan: bytes = field(default=b"", repr=False)
    planned: str = ""
    drift: bool = False
    timeout: float = 600.0
    memory: int = 4 << 30


class Ending(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    """Asked to end (superseded, cancelled, timed out), and ended in order."""
    LOST = "lost"
    """Its process is gone without a word: killed, or the machine went down."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of an execution. `ending` is None while it is at work; then `stage` (prepare, init, workspace,
    plan, show, apply, outputs; "" while it waits) and `told`, one sentence, say how far it is. Times are epoch seconds.

    `problems` are the tool's own diagnostics, errors first, without secrets. `version` is the tool's that was used.
    """

    id: str
    unit: str
    task: Task
    started: float
    stage: str = ""
    told: str = ""
    finished: float | None = None
    ending: Ending | None = None
    problems: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class Yield:
    """What an ended execution has left, each b"" where there is none: the saved `plan` and what `show -json` says of it
    (both may hold secrets), the `errored` state that it could not send home, and the `outputs` as `output -json` tells
    them (only where the code declares a backend of its own)."""

    plan: bytes = field(default=b"", repr=False)
    shown: bytes = field(default=b"", repr=False)
    errored: bytes = field(default=b"", repr=False)
    outputs: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Word:
    """What an execution that runs elsewhere tells of itself. `lines` are a piece of its lines, from byte `at` of them.
    `left` comes with the last report."""

    report: Report
    lines: bytes = field(default=b"", repr=False)
    at: int = 0
    left: Yield | None = None
