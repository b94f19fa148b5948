"""What people declare in Git (`apiVersion: kedge.dev/v1alpha1`), each field with its default.

The defaults are what a cautious user would choose. `kedge.dialects.kedge` reads these from YAML; the JSON Schemas and
`docs/reference` are made from here, with the sentence beside each field.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from kedge.model.errors import Where
from kedge.model.rendering import (
    DecryptSection,
    DirectorySection,
    HelmSection,
    JsonnetSection,
    KustomizeSection,
    Patch,
    SubstituteSection,
)
from kedge.model.rule import HealthRule

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
class OtherSource:
    """One more source of an application, for values files: `$NAME/path` is a file of it."""

    name: Annotated[str, "The name that `$NAME/…` in `helm.valuesFiles` refers to."] = ""
    repository: Annotated[str, "URL of its repository. By default the declaring file's."] = ""
    ref: Annotated[str, "Its branch, tag, commit or digest, as for the source itself."] = ""
    version: Annotated[str, "Instead of `ref`: a range of versions."] = ""


@dataclass(frozen=True, slots=True)
class SourceSection:
    """Where the unit's files are. Repository and ref default to those of the declaring file."""

    path: Annotated[str, "The unit's folder, from the repository's root."] = ""
    repository: Annotated[
        str, "URL of the repository: https, ssh or file; of charts; or `oci://`. By default the declaring file's."
    ] = ""
    ref: Annotated[
        str,
        "Branch, tag or commit; of a registry, tag or digest. By default the declaring file's, or the repository's "
        "default branch.",
    ] = ""
    version: Annotated[
        str, "Instead of `ref`: a range of versions (`>=1.2 <2`, `~1.4`, `1.x`); the newest tag in it is followed."
    ] = ""
    chart: Annotated[str, "Name of a Helm chart in `repository`, a chart repository or registry, at `version`."] = ""
    others: Annotated[tuple[OtherSource, ...], "Further sources, whose files `helm.valuesFiles` may name."] = ()
    allow: Annotated[
        tuple[str, ...], "Beginnings of URLs that the files themselves may name: of chart dependencies and submodules."
    ] = ()
    submodules: Annotated[bool, "Whether Git submodules are fetched, from what `allow` names."] = False
    lfs: Annotated[bool, "Whether files kept in Git LFS are fetched, from the repository's own server."] = False


@dataclass(frozen=True, slots=True)
class TargetSection:
    """Cluster (a declared Cluster's name) and the namespace for objects that name none."""

    cluster: Annotated[str, "Name of a declared Cluster; `default` is the one that Kedge was started with."] = "default"
    namespace: Annotated[str, "Namespace of the objects that name none."] = ""


@dataclass(frozen=True, slots=True)
class SyncSection:
    """`auto`: apply new commits unattended. `prune`: delete what left Git. `heal`: repair drift. `timeout`: seconds."""

    auto: Annotated[bool, "Apply new commits unattended; otherwise they wait for `kedge sync`."] = True
    prune: Annotated[bool, "Delete what left Git; otherwise it is only shown."] = True
    heal: Annotated[Heal, "Repair drift, or only show it."] = Heal.ALWAYS
    timeout: Annotated[float, "How long a run may take, until all is healthy, before it fails."] = 600.0


@dataclass(frozen=True, slots=True)
class ApproveSection:
    """Who must agree, and when. `by` holds `group:NAME` or `user:NAME`; empty means anybody who may approve."""

    when: Annotated[When, "Which plans wait for an approval."] = When.DESTRUCTIVE
    by: Annotated[
        tuple[str, ...], "Who may approve: `group:NAME` or `user:NAME`; empty means anybody with the right."
    ] = ()
    count: Annotated[int, "How many different people must agree."] = 1


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    source: SourceSection = SourceSection()
    target: TargetSection = TargetSection()
    directory: DirectorySection | None = None
    kustomize: KustomizeSection | None = None
    helm: HelmSection | None = None
    jsonnet: JsonnetSection | None = None
    patches: Annotated[tuple[Patch, ...], "Patches that are laid over what was rendered, whatever rendered it."] = ()
    substitute: SubstituteSection | None = None
    decrypt: DecryptSection | None = None
    after: Annotated[
        tuple[str, ...], "Units that must be synced and healthy first, as `app/NAME`: same project and environment."
    ] = ()
    sync: SyncSection = SyncSection()
    approve: ApproveSection = ApproveSection()
    onRemove: Annotated[OnRemove, "What becomes of the objects when this declaration leaves Git."] = OnRemove.ASK
    environments: Annotated[
        tuple[tuple[str, ApplicationSpec], ...], "The same fields, laid over these: one unit for each environment."
    ] = ()


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
    repository: Annotated[str, "URL of the repository that holds the declarations."] = ""
    ref: Annotated[str, "Its branch, tag or commit; by default its default branch."] = ""
    path: Annotated[str, "The folder in it that is read."] = ""
    projects: Annotated[tuple[str, ...], "Projects that it may declare units of."] = ()
    kinds: Annotated[tuple[str, ...], "Kinds that it may declare."] = ("Application",)
    where: Where = Where()


@dataclass(frozen=True, slots=True)
class AllowedTarget:
    """Globs over cluster and namespace."""

    cluster: Annotated[str, "Glob over the names of clusters."] = "*"
    namespace: Annotated[str, "Glob over namespaces."] = "*"


@dataclass(frozen=True, slots=True)
class Project:
    """What units of a project may use. Empty `sources`, `targets` or `kinds` mean: whatever the admin root trusts."""

    name: str
    sources: Annotated[tuple[str, ...], "Globs over repository URLs that its units may use."] = ()
    targets: Annotated[tuple[AllowedTarget, ...], "Clusters and namespaces that its units may write to."] = ()
    kinds: Annotated[tuple[str, ...], "Globs over `group/Kind` (core kinds as `Kind`) that its units may contain."] = ()
    deniedKinds: Annotated[tuple[str, ...], "Globs over kinds that they may not contain; these win."] = ()
    environments: Annotated[tuple[str, ...], "Names of environments that its units may have."] = ()
    secrets: Annotated[tuple[str, ...], "Globs over secrets of the store that its units may use; empty: none."] = ()
    approve: ApproveSection | None = None
    serviceAccount: Annotated[
        str, "NAMESPACE/NAME of the account that its units are written as, so that the cluster's RBAC limits them."
    ] = ""
    where: Where = Where()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kubernetes API. `server` "" with `inCluster` false means the cluster that `kedge up` was started with.

    Without `credential`, the Credential whose prefix fits the server opens it."""

    name: str
    server: Annotated[str, "URL of the API server; empty means the cluster that Kedge was started with."] = ""
    credential: Annotated[str, "Name of the Credential that opens it; its prefix has to fit the server."] = ""
    inCluster: Annotated[bool, "The cluster that Kedge runs in, as its pod's service account."] = False
    caData: Annotated[str, "Certificate authority of the server, as PEM text."] = ""
    where: Where = Where()


@dataclass(frozen=True, slots=True)
class SecretFrom:
    """Where a secret's value is: one of an environment variable, a file on the server, or the store."""

    env: Annotated[str, "Name of an environment variable of the server."] = ""
    file: Annotated[str, "Path of a file on the server."] = ""
    store: Annotated[str, "Name of a secret in the store."] = ""


class OidcToken(StrEnum):
    """Which token of a provider's answer is shown to the cluster."""

    ID = "idToken"
    ACCESS = "accessToken"


@dataclass(frozen=True, slots=True)
class OidcSection:
    """Tokens from an OpenID Connect provider, renewed before they end. With `refreshToken` for the user that it is of,
    else for the client itself (client credentials), which shows `clientSecret` or `assertion`."""

    issuer: Annotated[str, "URL of the provider, as it names itself: its token endpoint is found from there."] = ""
    clientId: Annotated[str, "The client that Kedge is at the provider."] = ""
    clientSecret: Annotated[SecretFrom | None, "Secret of the client."] = None
    refreshToken: Annotated[
        SecretFrom | None, "Refresh token; one in the store is replaced where the provider hands out another."
    ] = None
    assertion: Annotated[
        SecretFrom | None, "Instead of a secret: a signed token, such as a projected service account token's file."
    ] = None
    scopes: Annotated[tuple[str, ...], "Scopes to ask for."] = ("openid",)
    audience: Annotated[str, "Audience to ask for, where the provider wants one."] = ""
    use: Annotated[OidcToken, "Which token the cluster is shown; client credentials get an access token alone."] = (
        OidcToken.ID
    )
    caData: Annotated[str, "PEM text of the provider's authority; without it, those that the system trusts."] = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential for every repository or server whose URL starts with `prefix`. The secret itself is never in Git."""

    name: str
    prefix: Annotated[str, "Beginning of the URLs that it is for; the longest that ends at a `/` wins."] = ""
    username: Annotated[str, "User name that goes with the password."] = ""
    password: Annotated[SecretFrom | None, "Password, or a token that is used as one."] = None
    token: Annotated[SecretFrom | None, "Bearer token."] = None
    sshKey: Annotated[SecretFrom | None, "Private key in OpenSSH's form."] = None
    knownHosts: Annotated[SecretFrom | None, "Host keys as in OpenSSH's `known_hosts`."] = None
    certificate: Annotated[SecretFrom | None, "Client certificate for a cluster, as PEM text; it needs `key`."] = None
    key: Annotated[SecretFrom | None, "Private key of the client certificate, as PEM text."] = None
    ca: Annotated[SecretFrom | None, "Certificate authority of a source's server, as PEM text."] = None
    proxy: Annotated[SecretFrom | None, "URL of the HTTP proxy that a source is reached through."] = None
    kubeconfig: Annotated[SecretFrom | None, "A kubeconfig with everything inline, instead of the other ways."] = None
    oidc: Annotated[OidcSection | None, "For a cluster: tokens from an OpenID Connect provider."] = None
    where: Where = Where()


Declaration = Application | Root | Project | Cluster | Credential | HealthRule
