"""A unit: one declared application in one environment, with every default and project rule resolved."""

from __future__ import annotations

from dataclasses import dataclass

from kedge.model.declaration import (
    AllowedTarget,
    ApproveSection,
    OnRemove,
    SyncSection,
    TargetSection,
)
from kedge.model.errors import Where
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
class Unit:
    """`digest` covers everything that can change what the unit does; `root` names the root that declares it.

    `kinds` and `targets` are the project's: which kinds it admits, and which clusters and namespaces (none: any). So is
    `account`, NAMESPACE/NAME of the service account that it is written as ("": as Kedge itself).
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
