"""The vocabulary that controllers share in reasons, condition types, phases and states.

Reasons and types are CamelCase by the Kubernetes API conventions, phases and states anything; all are split into
lower-case words first, so that one small list serves every spelling.
"""

from __future__ import annotations

import re
from functools import lru_cache

from kedge.model.health import Status


def vocabulary(text: str) -> frozenset[str]:
    """A set of words, written as they are read."""
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_FAILED = vocabulary(
    "fail fails failed failing failure failures error errors err invalid denied forbidden unauthorized rejected "
    "refused crash crashed backoff timeout exceeded unsupported misconfigured expired aborted degraded unhealthy "
    "broken exception unreachable unprocessable incorrect incompatible cancelled canceled"
)
_FAILED_PAIRS = frozenset(
    {("not", "found"), ("timed", "out"), ("not", "allowed"), ("not", "permitted"), ("back", "off")}
)
_DENIED = frozenset({"no", "not", "without", "non"})  # “NoErrors”: a word of failure after these is good news
_PROSE = re.compile(
    r"\b(error|errors|failed|failure|fails|cannot|could not|couldn't|unable to|invalid|denied|forbidden|"
    r"unauthorized|no \w+ (could|match|matches|matched)|not found|does not exist|doesn't exist|timed out|exceeded|"
    r"refused|rejected)\b",
    re.IGNORECASE,
)

_PERSON = re.compile(
    r"\b(approval|manual(ly)?|intervention|confirmation|user action)\b|Approval|Manual(ly)?(?![a-z])", re.ASCII
)
_ENDING = vocabulary(
    "backup benchmark build experiment export import job migration pipelinerun report restore restoration run scan "
    "task test upgrade workflow"
)
_REFUSAL = re.compile(r"\b(not(?! yet)|cannot|already exists?|mismatch)\b", re.IGNORECASE)
_NEGATIVE = vocabulary(
    "failed failure failures error errors degraded stalled invalid terminal unhealthy rejected expired orphan "
    "orphaned conflict conflicted violated violation deadlock missing pressure unavailable unreachable "
    "unsupported"
)
_MATCH = vocabulary("match matched matches matching")
_MOVING = vocabulary(
    "reconciling progressing issuing updating upgrading installing creating provisioning initializing scaling "
    "migrating deploying restarting pending terminating deleting restoring progress"
)
_WAYS = (("up",), ("down",), ("out",), ("in",))
_RESTING = vocabulary("paused suspended stopped hibernated ignored")

_WELL = vocabulary(
    "active accepted alive applied available bound complete completed compliant connected created deployed done "
    "enabled established exists finished green healthy initialized installed issued normal ok online operational "
    "passed processed provisioned ready reconciled running serving started succeed succeeded success successful "
    "synced up uptodate valid verified"
)
_UNDERWAY = vocabulary(
    "accepting bootstrap building cloning creation deployment draining inprogress new notready notreconciled "
    "planned queued requested scheduled submitted unready update upgrade yellow"
)
_BAD = vocabulary(
    "abandoned abnormal aborted broken cancelled canceled conflict crashed critical dead degraded denied error "
    "errored expired fail failed failing failure faulted incompatible invalid lost noncompliant notcompliant "
    "offline red rejected timeout timedout unavailable unhealthy unreachable"
)
_STATES = vocabulary("phase state status health stage compliant robustness")
KNOWN = 2_000  # words of controllers that are remembered: a cluster has some hundreds

_STATE: dict[str, Status] = {
    **dict.fromkeys(_WELL, Status.HEALTHY),
    **dict.fromkeys(_UNDERWAY, Status.PROGRESSING),
    **dict.fromkeys(_BAD, Status.DEGRADED),
    **dict.fromkeys(
        vocabulary("disabled halted hibernated paused poweredoff poweroff sleeping stopped suspended suspending"),
        Status.SUSPENDED,
    ),
    **dict.fromkeys(vocabulary("missing notfound"), Status.MISSING),
    "unknown": Status.UNKNOWN,
}


@lru_cache(maxsize=KNOWN)
def words(name: str) -> tuple[str, ...]:
    """The words of a CamelCase, snake_case, dotted or spaced name, in lower case."""
    return tuple(part.lower() for part in _WORD.findall(name))


@lru_cache(maxsize=KNOWN)
def tells_failure(reason: str) -> bool:
    """Whether a reason names something that will not pass by waiting: `UpdateFailed`, `ErrImagePull`, `NotFound`."""
    parts = words(reason)
    pairs = zip(("", *parts), parts, strict=False)
    return any((part in _FAILED and before not in _DENIED) or (before, part) in _FAILED_PAIRS for before, part in pairs)


def prose_tells_failure(message: str) -> bool:
    """Whether a sentence speaks of a failure; weaker evidence than a reason, for conditions that have none."""
    return bool(_PROSE.search(message))


@lru_cache(maxsize=KNOWN)
def is_negative(kind: str) -> bool:
    """Whether a condition of this type is bad when True: `Failed`, `HasErrors`, `InvalidSpec`, `NoMatchingX`."""
    parts = words(kind.rpartition("/")[2])
    if parts[:1] == ("no",) and _MATCH.intersection(parts):
        return True
    if not parts or any(part in _DENIED and part != "not" for part in parts):
        return False
    return (
        parts == ("not", "ready") or parts[-2:] == ("not", "found") or parts[0] == "invalid" or parts[-1] in _NEGATIVE
    )


@lru_cache(maxsize=KNOWN)
def is_moving(kind: str) -> bool:
    """Whether a condition of this type means work going on when True: `Issuing`, `RollingUpdate`, `ScalingUp`."""
    parts = words(kind)
    if parts[:1] == ("rolling",) or parts == ("running",):
        return True
    return bool(parts) and (parts[-1] in _MOVING or (parts[0] in _MOVING and parts[1:] in _WAYS))


def is_resting(kind: str) -> bool:
    """Whether a condition of this type means held back on purpose when True: `Stopped`, `ReconciliationPaused`."""
    parts = words(kind)
    if _DENIED.intersection(parts):
        return False
    return (len(parts) == 1 and parts[0] in _RESTING) or parts[-1:] in (("paused",), ("suspended",))


def is_pending(kind: str) -> bool:
    """Whether a condition of this type means that something is waited for when True: `Waiting`."""
    parts = words(kind)
    return bool(parts) and parts[-1] in ("waiting", "pending")


def awaits_person(*said: str) -> bool:
    """Whether the words tell of a decision that only a person can take: an approval, a promotion by hand."""
    return any(_PERSON.search(text) for text in said)


def ends(kind: str) -> bool:
    """Whether objects of a kind have work to end, so that running is not arrival yet: `TaskRun`, `Backup`."""
    parts = words(kind)
    return bool(parts) and parts[-1] in _ENDING


@lru_cache(maxsize=KNOWN)
def state_of(phase: str) -> Status | None:
    """What a phase or state word means, or None for a word of the kind's own.

    A phase of several words is read by its last word (`UpdateFailed`), else by its first (`ApplyingChanges`), where a
    verb in -ing means work going on.
    """
    parts = words(phase)
    if not parts:
        return None
    whole = _STATE.get("".join(parts))
    if whole is not None:
        return whole
    if tells_failure(phase):
        return Status.DEGRADED
    if awaits_person(phase, " ".join(parts)):
        return Status.SUSPENDED
    if parts[-2:] == ("not", "ready"):
        return Status.PROGRESSING
    if len(parts) > 3 and not _is_doing(parts[0]) and _REFUSAL.search(phase):
        return Status.DEGRADED
    if _is_doing(parts[0]) or _is_doing(parts[-1]):
        return Status.PROGRESSING
    last = _STATE.get(parts[-1])
    return last if len(parts) == 2 and parts[0] not in _DENIED else None


@lru_cache(maxsize=KNOWN)
def is_state(name: str) -> bool:
    """Whether a field of this name holds a phase or state: `phase`, `currentState`, `overallStatus`."""
    parts = words(name[:100])
    return bool(parts) and parts[-1] in _STATES


def _is_doing(word: str) -> bool:
    known = _STATE.get(word, Status.PROGRESSING)
    return len(word) > 5 and word.endswith("ing") and known is Status.PROGRESSING and word != "warning"
