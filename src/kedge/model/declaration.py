"""What people declare in Git (`apiVersion: kedge.dev/v1alpha1`), each field with its default.

The defaults are what a cautious user would choose. `kedge.dialects.kedge` reads these from YAML; the JSON Schemas and
`docs/reference` are made from here, with the sentence beside each field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from kedge.model.errors import Where
from kedge.model.execution import Tool
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


class StackHeal(StrEnum):
    """Whether a stack's drift is repaired; harmless is what deletes and replaces nothing."""

    NEVER = "never"
    HARMLESS = "harmless"
    ALWAYS = "always"


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


class StackRemoval(StrEnum):
    """What becomes of a stack's resources when its declaration leaves Git."""

    KEEP = "keep"
    DESTROY = "destroy"
    """A plan like any other, which always waits for an approval."""


class ValueType(StrEnum):
    """What an input has to be, as OpenTofu names the types."""

    ANY = "any"
    STRING = "string"
    NUMBER = "number"
    BOOL = "bool"
    LIST = "list"
    MAP = "map"


@dataclass(frozen=True, slots=True)
class InputSection:
    """A value that another unit of the same project and environment puts out."""

    from_: Annotated[str, "The unit: `stack/NAME` or `app/NAME`."] = ""
    output: Annotated[str, "Name of its output."] = ""
    type: Annotated[ValueType, "What the value has to be."] = ValueType.ANY


@dataclass(frozen=True, slots=True)
class OutputSection:
    """A value that other units may read: a field of one of the application's objects, as it is live."""

    object: Annotated[str, "The object, as `Kind/name`, `Kind.group/name` where the kind alone is not enough."] = ""
    path: Annotated[str, "Path of the field: `status.loadBalancer.ingress[0].hostname`."] = ""


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
    inputs: Annotated[
        dict[str, InputSection], "Values of other units; `{$input: NAME}` stands for one in Helm values and the like."
    ] = field(default_factory=dict)
    outputs: Annotated[dict[str, OutputSection], "Values that other units may read."] = field(default_factory=dict)
    after: Annotated[
        tuple[str, ...],
        "Units that must be synced and healthy first, as `app/NAME` or `stack/NAME`: same project and environment.",
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
class ToolSection:
    """What plans and applies the stack."""

    name: Annotated[Tool, "Which tool."] = Tool.OPENTOFU
    version: Annotated[
        str, "A range of its versions (`~1.12`, `~> 1.12.3`); without one, the newest that is installed."
    ] = ""


class Day(StrEnum):
    """A day of the week."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


@dataclass(frozen=True, slots=True)
class WindowSection:
    """A span of the day in a zone's own time, which is another one in summer."""

    days: Annotated[tuple[Day, ...], "On which days it opens; none named means every day."] = ()
    from_: Annotated[str, "When it opens, as `22:00`."] = "00:00"
    to: Annotated[str, "When it closes; not after `from`, it is the next day's. Equal to `from`: 24 hours."] = "00:00"
    zone: Annotated[str, "The time zone, as `Europe/Berlin`."] = "UTC"


@dataclass(frozen=True, slots=True)
class StackSyncSection:
    """`every` and `timeout` are in seconds."""

    auto: Annotated[
        bool, "Apply what is approved, or needs no approval, unattended; else it waits for `kedge sync`."
    ] = True
    heal: Annotated[StackHeal, "Repair drift, or only what deletes and replaces nothing."] = StackHeal.NEVER
    every: Annotated[float, "How often drift is looked for: with a plan, a tenth sooner or later."] = 3600.0
    driftWindows: Annotated[
        tuple[WindowSection, ...], "When drift is looked for; without one, at any time. Commits wait for none."
    ] = ()
    timeout: Annotated[float, "How long a plan or an apply may take before it is interrupted."] = 3600.0


@dataclass(frozen=True, slots=True)
class StackApproveSection:
    """Who must agree, and when. Whatever the rule, what may hold state is not deleted or replaced unattended."""

    when: Annotated[When, "Which plans wait for an approval."] = When.ALWAYS
    by: Annotated[
        tuple[str, ...], "Who may approve: `group:NAME` or `user:NAME`; empty means anybody with the right."
    ] = ()
    count: Annotated[int, "How many different people must agree."] = 1


@dataclass(frozen=True, slots=True)
class StackCredentialsSection:
    """Names of Credentials whose `environment` the tool is given."""

    plan: Annotated[str, "For plans: it should only be able to read."] = ""
    apply: Annotated[str, "For applies; without one, the one for plans."] = ""


@dataclass(frozen=True, slots=True)
class StackSpec:
    source: SourceSection = SourceSection()
    tool: ToolSection = ToolSection()
    inputs: Annotated[
        dict[str, InputSection], "Values of other units; `{$input: NAME}` stands for one in variables."
    ] = field(default_factory=dict)
    variables: Annotated[dict[str, Any], "Values of the stack's variables."] = field(default_factory=dict)
    variableFiles: Annotated[tuple[str, ...], "Files of variables, from `source.path`; later ones win."] = ()
    workspace: Annotated[
        str, "The workspace of the backend that the code declares, and what the code reads as `terraform.workspace`."
    ] = ""
    modules: Annotated[
        tuple[str, ...],
        "Beginnings of the addresses of modules that the code may call, beside paths in the repository.",
    ] = ()
    credentials: StackCredentialsSection = StackCredentialsSection()
    after: Annotated[
        tuple[str, ...],
        "Units that must be synced and healthy first, as `app/NAME` or `stack/NAME`: same project and environment.",
    ] = ()
    sync: StackSyncSection = StackSyncSection()
    approve: StackApproveSection = StackApproveSection()
    onRemove: Annotated[
        StackRemoval, "Whether the resources are kept or destroyed when this declaration leaves Git."
    ] = StackRemoval.KEEP
    environments: Annotated[
        tuple[tuple[str, StackSpec], ...], "The same fields, laid over these: one unit for each environment."
    ] = ()


@dataclass(frozen=True, slots=True)
class Stack:
    """Infrastructure as code. In `environments`, each spec is already laid over the one above."""

    name: str
    project: str
    labels: tuple[tuple[str, str], ...] = ()
    spec: StackSpec = StackSpec()
    where: Where = Where()


@dataclass(frozen=True, slots=True)
class Root:
    """A further place that may declare units: of these projects and kinds only. Read from the admin root alone."""

    name: str
    repository: Annotated[str, "URL of the repository that holds the declarations."] = ""
    ref: Annotated[str, "Its branch, tag or commit; by default its default branch."] = ""
    path: Annotated[str, "The folder in it that is read."] = ""
    projects: Annotated[tuple[str, ...], "Projects that it may declare units of."] = ()
    kinds: Annotated[tuple[str, ...], "Kinds that it may declare: `Application`, `Stack`."] = ("Application",)
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
    credentials: Annotated[tuple[str, ...], "Globs over Credentials that its stacks may name; empty: none."] = ()
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
    environment: Annotated[
        dict[str, SecretFrom], "For stacks: variables of the tool's environment, such as `AWS_ACCESS_KEY_ID`."
    ] = field(default_factory=dict)
    where: Where = Where()


Declaration = Application | Stack | Root | Project | Cluster | Credential | HealthRule
