"""A unit: one declared application or stack in one environment, with every default and project rule resolved."""

from __future__ import annotations

from dataclasses import dataclass

from kedge.model.declaration import (
    AllowedTarget,
    ApproveSection,
    OnRemove,
    SyncSection,
    TargetSection,
    ValueType,
    WindowSection,
)
from kedge.model.errors import Where
from kedge.model.execution import Tool
from kedge.model.ref import UnitName
from kedge.model.rendering import (
    DecryptSection,
    DirectorySection,
    HelmSection,
    JsonnetSection,
    KustomizeSection,
    Patch,
    SubstituteSection,
)
from kedge.model.source import SourceSpec


@dataclass(frozen=True, slots=True)
class RenderSpec:
    """How a unit's files become manifests. At most one of directory, kustomize and helm is set; none means: detect.
    `jsonnet` goes with plain directories. `patches` and `substitute` come afterwards."""

    directory: DirectorySection | None = None
    kustomize: KustomizeSection | None = None
    helm: HelmSection | None = None
    patches: tuple[Patch, ...] = ()
    jsonnet: JsonnetSection | None = None
    substitute: SubstituteSection | None = None
    decrypt: DecryptSection | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of all secrets of the store that rendering asks for, in order."""
        filled = self.substitute.secrets.values() if self.substitute is not None else ()
        return tuple(sorted({*filled, *(self.decrypt.keys if self.decrypt is not None else ())}))


@dataclass(frozen=True, slots=True)
class KindRules:
    """Which kinds a project admits: globs over `group/Kind` (core kinds as `Kind`); empty `allowed` means any."""

    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecretInput:
    """A sensitive output of another stack, which is asked for when a tool begins. `stamp` moves with its value."""

    name: str
    unit: UnitName
    output: str
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class StackTool:
    """How a stack's files are planned and applied. `variables` is canonical JSON text, in which `{"$input": NAME}`
    stands for an input; `plan_as` and `apply_as` name Credentials; `every` is in seconds. `workspace` is "" for the
    tool's own default.
    In `windows` drift is looked for, without any at any time.
    `modules` are beginnings of addresses that modules may be from, `secrets` the inputs that are not in `variables`.
    `harmless`: drift is repaired only where that deletes and replaces nothing."""

    name: Tool
    version: str = ""
    variables: str = "{}"
    variable_files: tuple[str, ...] = ()
    workspace: str = ""
    plan_as: str = ""
    apply_as: str = ""
    every: float = 3600.0
    windows: tuple[WindowSection, ...] = ()
    harmless: bool = False
    modules: tuple[str, ...] = ()
    secrets: tuple[SecretInput, ...] = ()


@dataclass(frozen=True, slots=True)
class Input:
    """The value that stands for `{$input: name}`: output `output` of `unit`."""

    name: str
    unit: UnitName
    output: str
    type: ValueType = ValueType.ANY

    def __str__(self) -> str:
        return f"{self.unit}.{self.output}"


@dataclass(frozen=True, slots=True)
class OutputField:
    """An output of an application: the field at `path` of its live object `kind[.group]/name`."""

    name: str
    object: str
    path: str


@dataclass(frozen=True, slots=True)
class Unit:
    """`digest` covers everything that can change what the unit does; `root` names the root that declares it.

    `kinds` and `targets` are the project's: which kinds it admits, and which clusters and namespaces (none: any). So is
    `account`, NAMESPACE/NAME of the service account that it is written as ("": as Kedge itself). `tool` is set for a
    stack, which has no target of its own.
    """

    name: UnitName
    root: str
    source: SourceSpec
    target: TargetSection
    render: RenderSpec = RenderSpec()
    sync: SyncSection = SyncSection()
    approve: ApproveSection = ApproveSection()
    on_remove: OnRemove = OnRemove.ASK
    after: tuple[UnitName, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    kinds: KindRules = KindRules()
    targets: tuple[AllowedTarget, ...] = ()
    account: str = ""
    where: Where = Where()
    digest: str = ""
    tool: StackTool | None = None
    inputs: tuple[Input, ...] = ()
    outputs: tuple[OutputField, ...] = ()
