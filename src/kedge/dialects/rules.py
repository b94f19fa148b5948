"""What single values must look like: names, paths, references, durations. Each answers a complaint, "" for none."""

from __future__ import annotations

import re
from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kedge.model.declaration import (
    ApplicationSpec,
    ApproveSection,
    Cluster,
    Credential,
    InputSection,
    OidcSection,
    OtherSource,
    OutputSection,
    Project,
    Root,
    SourceSection,
    StackApproveSection,
    StackCredentialsSection,
    StackSpec,
    StackSyncSection,
    SyncSection,
    TargetSection,
    ToolSection,
    WindowSection,
)
from kedge.model.errors import Invalid
from kedge.model.ref import is_name
from kedge.model.rendering import (
    DecryptSection,
    FileParameter,
    HelmSection,
    JsonnetSection,
    KustomizeSection,
    Parameter,
    Patch,
    SubstituteSection,
)
from kedge.model.rule import HealthCheck
from kedge.model.version import parse

Rule = Callable[[str], str]

LONGEST = 4_000
"""Characters of a text that is one name, path, URL or line."""

_DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?\Z")
_UNITS = (86_400, 3_600, 60, 1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SECRET = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@:]*:[^@]*@|[^/@:\[]*:(?!\d+(?:/|\Z)))")
_WEB_USER = re.compile(r"https?://[^/@]*@", re.IGNORECASE)
_REF_UNFIT = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{")
_APPROVER = re.compile(r"(group|user):[^\s:][^\x00-\x1f]{0,250}\Z")
_LOOPBACK = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?(?:/|\Z)")
_CHART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,3}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]\Z")
_NEIGHBOUR = re.compile(r"(?:app|stack)/([^/]+)\Z")
_OUTPUT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,250}\Z")
_WORKSPACE = re.compile(r"(?!\.{1,2}\Z|-)[A-Za-z0-9._~$&+=:@-]{1,250}\Z")
_OBJECT = re.compile(r"[A-Z][A-Za-z0-9]{0,62}(?:\.[a-z0-9.-]{1,253})?/[a-z0-9][a-z0-9.:-]{0,252}\Z")


def shown(text: str) -> str:
    """The beginning of a text for a message, without what a URL may hold before its host."""
    scheme, _, rest = text.partition("://")
    _, at, host = rest.rpartition("@")
    return f"{scheme}://***@{host}"[:60] if at else text[:60]


def duration(text: str) -> float | None:
    """`1h30m`, `5m`, `90s` or `2d` in seconds; None for anything else."""
    match = _DURATION.match(text)
    if match is None or not text:
        return None
    return float(sum(int(part or 0) * unit for part, unit in zip(match.groups(), _UNITS, strict=True)))


def name(text: str) -> str:
    if is_name(text):
        return ""
    return "a name has lower-case letters, digits and dashes, begins and ends with a letter or digit, at most 63"


def path(text: str) -> str:
    """A path inside a repository: relative, without steps out of it."""
    if "\\" in text or _CONTROL.search(text):
        return "a path has no backslash and no control character"
    if text.startswith("/"):
        return "a path begins at the repository's root, without a slash"
    if any(part in ("..", ".git") for part in text.split("/")):
        return "a path does not lead out of the repository, nor into .git"
    return ""


def beside(text: str) -> str:
    """A path from `source.path` on, which may climb, but not out of the repository: where that ends, a render knows."""
    return path("/".join(part for part in text.split("/") if part != ".."))


def repository(text: str) -> str:
    if _SECRET.match(text) or _WEB_USER.match(text):
        return "a URL holds no user or password: declare a Credential for its prefix instead"
    if text.startswith("-") or "\\" in text or _CONTROL.search(text) or " " in text:
        return "a repository is a URL without spaces, backslashes or control characters"
    if "::" in text.partition("/")[0] or ".." in text.split("/"):
        return "a repository is a plain https://, ssh:// or file:// URL"
    return ""


def ref(text: str) -> str:
    """As git-check-ref-format, which Kedge asks of branches, tags and commits alike; or the digest of an artifact."""
    if _DIGEST.match(text):
        return ""
    if text.startswith(("-", "/")) or text.endswith(("/", ".", ".lock")) or "//" in text or _REF_UNFIT.search(text):
        return "a ref is the name of a branch or tag, or a commit's id"
    return "" if len(text) <= 250 else "a ref has at most 250 characters"


def chart(text: str) -> str:
    return "" if _CHART.match(text) else "the name of a chart is wanted, as in the index of its repository"


def version(text: str) -> str:
    """A range of versions, as `kedge.model.version`."""
    try:
        parse(text)
    except Invalid:
        return "a range of versions is wanted, such as “>=1.2 <2”, “~1.4” or “1.x”; one tag alone is a ref"
    return ""


def approver(text: str) -> str:
    return "" if _APPROVER.match(text) else "write group:NAME or user:NAME"


def time_of_day(text: str) -> str:
    return "" if _TIME.match(text) else "write hours and minutes, from 00:00 to 23:59"


def zone(text: str) -> str:
    """A name in the machine's time zone database."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "no time zone of that name is known here; write one such as Europe/Berlin or UTC"
    return ""


def neighbour(text: str) -> str:
    match = _NEIGHBOUR.match(text)
    fits = match is not None and is_name(match[1])
    return "" if fits else "write app/NAME or stack/NAME: a unit of the same project and environment"


def workspace(text: str) -> str:
    """What both tools take: a name that stays as it is in a URL's path. It is a file's name for some backends, too."""
    if _WORKSPACE.match(text):
        return ""
    return "a workspace's name has letters, digits and any of . _ ~ $ & + = : @ -, and does not begin with a dash"


def output(text: str) -> str:
    return (
        "" if _OUTPUT.match(text) else "a variable or an output is named with letters, digits, dashes and underscores"
    )


def live_object(text: str) -> str:
    return "" if _OBJECT.match(text) else "write Kind/name, or Kind.group/name where the kind alone is not enough"


def release(text: str) -> str:
    return "" if is_name(text) and len(text) <= 53 else "a release name is a name of at most 53 characters, as Helm's"


def line(text: str) -> str:
    return "a text on one line is wanted, without control characters" if _CONTROL.search(text) else ""


def server(text: str) -> str:
    if not text.startswith("https://") and not _LOOPBACK.match(text):
        return "write the API server's URL, https://… (http is for loopback only: anybody could read the credential)"
    if "?" in text or "#" in text:
        return "the API server's URL has no query and no fragment"
    return repository(text)


def account(text: str) -> str:
    namespace, _, named = text.partition("/")
    fits = is_name(namespace) and len(named) <= 253 and all(is_name(part) for part in named.split("."))
    return "" if fits else "write NAMESPACE/NAME of a service account"


def prefix(text: str) -> str:
    if not _SCHEME.match(text):
        return "write the beginning of a URL with its scheme, for example https://git.example.com/shop"
    return repository(text)


BY_FIELD: dict[tuple[type, str], Rule] = {
    (SourceSection, "path"): path,
    (SourceSection, "repository"): repository,
    (SourceSection, "ref"): ref,
    (SourceSection, "version"): version,
    (SourceSection, "chart"): chart,
    (SourceSection, "allow"): prefix,
    (OtherSource, "name"): name,
    (OtherSource, "repository"): repository,
    (OtherSource, "ref"): ref,
    (OtherSource, "version"): version,
    (Root, "path"): path,
    (Root, "repository"): repository,
    (Root, "ref"): ref,
    (Root, "projects"): name,
    (TargetSection, "cluster"): name,
    (TargetSection, "namespace"): name,
    (HelmSection, "releaseName"): release,
    (HelmSection, "valuesFiles"): beside,
    (HelmSection, "namespace"): name,
    (FileParameter, "path"): beside,
    (KustomizeSection, "components"): beside,
    (KustomizeSection, "namespace"): name,
    (JsonnetSection, "libs"): path,
    (Patch, "path"): beside,
    (DecryptSection, "keys"): name,
    (SubstituteSection, "secrets"): name,
    (ApproveSection, "by"): approver,
    (StackApproveSection, "by"): approver,
    (Project, "environments"): name,
    (Project, "serviceAccount"): account,
    (Cluster, "server"): server,
    (Cluster, "credential"): name,
    (Credential, "prefix"): prefix,
    (OidcSection, "issuer"): server,
    (ApplicationSpec, "after"): neighbour,
    (StackSpec, "after"): neighbour,
    (StackSpec, "variableFiles"): beside,
    (StackSpec, "workspace"): workspace,
    (ToolSection, "version"): version,
    (StackCredentialsSection, "plan"): name,
    (StackCredentialsSection, "apply"): name,
    (WindowSection, "from_"): time_of_day,
    (WindowSection, "to"): time_of_day,
    (WindowSection, "zone"): zone,
    (InputSection, "from_"): neighbour,
    (InputSection, "output"): output,
    (OutputSection, "object"): live_object,
}
"""What a field's text, or each text of its list, must look like. Every other text is one line without controls."""

MULTILINE = frozenset(
    {
        (Cluster, "caData"),
        (OidcSection, "caData"),
        (HealthCheck, "when"),
        (HealthCheck, "message"),
        (JsonnetSection, "extCode"),
        (JsonnetSection, "tlaCode"),
        (Patch, "patch"),
        (Parameter, "value"),
    }
)
DURATIONS = frozenset({(SyncSection, "timeout"), (StackSyncSection, "timeout"), (StackSyncSection, "every")})
POSITIVE = frozenset({(ApproveSection, "count"), (StackApproveSection, "count"), *DURATIONS})
EMPTY_ALLOWED = frozenset(
    {
        (SourceSection, "path"),
        (SourceSection, "repository"),
        (SourceSection, "ref"),
        (SourceSection, "version"),
        (SourceSection, "chart"),
        (OtherSource, "repository"),
        (OtherSource, "ref"),
        (OtherSource, "version"),
        (Root, "path"),
        (Root, "ref"),
        (Root, "repository"),
        (TargetSection, "namespace"),
        (HelmSection, "releaseName"),
        (HelmSection, "namespace"),
        (KustomizeSection, "namespace"),
        (Cluster, "server"),
        (Cluster, "credential"),
        (Project, "serviceAccount"),
        (StackSpec, "workspace"),
        (ToolSection, "version"),
        (StackCredentialsSection, "plan"),
        (StackCredentialsSection, "apply"),
    }
)
"""Fields whose rule an empty text need not keep: it means the default."""
