"""What people declare in Git (`apiVersion: kedge.dev/v1alpha1`), each field with its default.

The defaults are what a cautious user would choose. `kedge.dialects.kedge` reads these from YAML; `docs/reference`
prints them from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kedge.model.errors import Where

API_VERSION = "kedge.dev/v1alpha1"


class Heal(StrEnum):
    ALWAYS = "always"
    NEVER = "never"


class When(StrEnum):
    """When a plan needs a person's approval."""

    NEVER = "never"
    DESTRUCTIVE = "destructive"
    ALWAYS = "always"


class OnRemove(StrEnum):
    """What becomes of a unit's objects when its declaration leaves Git."""

    ASK = "ask"
    KEEP = "keep"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class SourceSection:
    """Where the unit's files are. Repository and ref default to those of the declaring file."""

    path: str = ""
    repository: str = ""
    ref: str = ""


@dataclass(frozen=True, slots=True)
class TargetSection:
    """Cluster (a declared Cluster's name) and the namespace for objects that name none."""

    cluster: str = "default"
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class DirectorySection:
    """Plain manifests, as Argo CD's directory source: globs are relative to the source path."""

    recurse: bool = False
    include: str = ""
    exclude: str = ""


@dataclass(frozen=True, slots=True)
class KustomizeSection:
    """Kustomize overlay at the source path."""


@dataclass(frozen=True, slots=True)
class HelmSection:
    """A chart at the source path. `values` win over `valuesFiles`, later files over earlier ones."""

    releaseName: str = ""
    valuesFiles: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
    kubeVersion: str = ""
    apiVersions: tuple[str, ...] = ()
    includeCRDs: bool = True


@dataclass(frozen=True, slots=True)
class SyncSection:
    """`auto`: apply new commits unattended. `prune`: delete what left Git. `heal`: repair drift. `timeout`: seconds."""

    auto: bool = True
    prune: bool = True
    heal: Heal = Heal.ALWAYS
    timeout: float = 600.0


@dataclass(frozen=True, slots=True)
class ApproveSection:
    """Who must agree, and when. `by` holds `group:NAME` or `user:NAME`; empty means anybody who may approve."""

    when: When = When.DESTRUCTIVE
    by: tuple[str, ...] = ()
    count: int = 1


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    source: SourceSection = SourceSection()
    target: TargetSection = TargetSection()
    directory: DirectorySection | None = None
    kustomize: KustomizeSection | None = None
    helm: HelmSection | None = None
    after: tuple[str, ...] = ()
    sync: SyncSection = SyncSection()
    approve: ApproveSection = ApproveSection()
    onRemove: OnRemove = OnRemove.ASK
    environments: tuple[tuple[str, ApplicationSpec], ...] = ()


@dataclass(frozen=True, slots=True)
class Application:
    """One Kubernetes application. In `environments`, each spec is already laid over the one above."""

    name: str
    project: str
    labels: tuple[tuple[str, str], ...] = ()
    spec: ApplicationSpec = ApplicationSpec()
    where: Where = Where()


@dataclass(frozen=True, slots=True)
class Root:
    """A further place that may declare units: of these projects and kinds only. Read from the admin root alone."""

    name: str
    repository: str = ""
    ref: str = ""
    path: str = ""
    projects: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("Application",)
    where: Where = Where()


@dataclass(frozen=True, slots=True)
class AllowedTarget:
    """Globs over cluster and namespace."""

    cluster: str = "*"
    namespace: str = "*"


@dataclass(frozen=True, slots=True)
class Project:
    """What units of a project may use. Empty `sources`, `targets` or `kinds` mean: whatever the admin root trusts."""

    name: str
    sources: tuple[str, ...] = ()
    targets: tuple[AllowedTarget, ...] = ()
    kinds: tuple[str, ...] = ()
    deniedKinds: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    approve: ApproveSection | None = None
    where: Where = Where()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kubernetes API. `server` "" with `inCluster` false means the cluster that `kedge up` was started with."""

    name: str
    server: str = ""
    credential: str = ""
    caData: str = ""
    where: Where = Where()


@dataclass(frozen=True, slots=True)
class SecretFrom:
    """Where a secret's value is: one of an environment variable, a file on the server, or the store."""

    env: str = ""
    file: str = ""
    store: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential for every repository or server whose URL starts with `prefix`. The secret itself is never in Git."""

    name: str
    prefix: str = ""
    username: str = ""
    password: SecretFrom | None = None
    token: SecretFrom | None = None
    sshKey: SecretFrom | None = None
    knownHosts: SecretFrom | None = None
    where: Where = Where()


Declaration = Application | Root | Project | Cluster | Credential
