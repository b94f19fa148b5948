"""What is beside what should be: one object seen twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kedge.model.manifest import Manifest
from kedge.model.ref import Ref
from kedge.model.unit import StackTool

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """Another hand on an object: `kind` is unit, installation, argocd, flux, helm or kubectl; `name` says which."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Along:
    """What a deletion takes with it: `own` objects of the unit itself, and `others`, of which `named` are the first.
    `why` says what could not be told."""

    own: int = 0
    others: int = 0
    named: tuple[Ref, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """The target could say what would become of it.

    `live` None: it would be created. `predicted` None: it would be deleted. `manifest` is None for a deletion.
    `rejection` is the API server's refusal of the dry run, and `immutable` says that only a replacement would do.
    `interactive` names the people's tools (kubectl edit …) whose fields would go. `uid` is the live object's.
    `autoscaled`: an autoscaler has set other replicas than the manifest states, and was left its number. `going`: it is
    being deleted already, and something holds it. `untried`: why the cluster could not be asked; `predicted` is then a
    guess (Git's values over the live ones), and what Git no longer states can not be seen in it. `along` is of a
    deletion that takes other objects with it.
    """

    ref: Ref
    live: Object | None
    predicted: Object | None
    manifest: Manifest | None = None
    owner: Owner | None = None
    interactive: tuple[str, ...] = ()
    rejection: str = ""
    immutable: bool = False
    uid: str = ""
    autoscaled: bool = False
    going: bool = False
    untried: str = ""
    along: Along | None = None


@dataclass(frozen=True, slots=True)
class Presumed:
    """The target could not say yet: `why` names what is missing (a definition, a namespace). It counts as rendered.

    `by_others`: nothing in this set brings it, somebody else has to."""

    ref: Ref
    manifest: Manifest
    why: str
    by_others: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """A resource or an output of a stack, as a saved plan says what would become of it.

    `manifest` is the stack's, None where all of it goes. `actions` are the tool's words (`create`, `delete` …);
    `unknown` marks the values of `after` that nobody knows yet, `secret_before` and `secret_after` those that are not
    shown: trees of the values' shape, or True for a whole one. `replaces` are the paths that force a replacement,
    `previous` the address that it moves from, `importing` the id that it is imported by, `why` the tool's reason.
    `outside`: the world is otherwise than the state says, and somebody else than the tool made it so.
    """

    ref: Ref
    manifest: Manifest | None
    actions: tuple[str, ...]
    before: Any = None
    after: Any = None
    unknown: Any = False
    secret_before: Any = False
    secret_after: Any = False
    replaces: tuple[str, ...] = ()
    previous: str = ""
    importing: str = ""
    why: str = ""
    outside: bool = False

    def __repr__(self) -> str:
        return f"Planned({self.ref}, {self.actions})"


Pair = Seen | Presumed | Planned


@dataclass(frozen=True, slots=True)
class Known:
    """What was true of one object when it was last verified: the manifest's digest and our field fingerprint."""

    ref: Ref
    digest: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All pairs that may differ. `unchanged` were skipped: neither wish nor live fingerprint has moved.

    `verified` holds the fingerprints of objects whose pair was looked at or skipped. `strays` are
    uids of objects that the unit once applied, as far as the cluster tells, and that nobody asked about.
    `artifact` names the saved plan that the pairs are of, `made` at that time (epoch seconds); "" and 0 where there
    is none. `cosmetic` are the addresses of what is otherwise in the world than in a stack's state, and leads to no
    change, `warned` what its tool and its own checks say of it. `put_off`: drift is due to be looked for, and is from
    then on (epoch seconds), for others are looked at.
    """

    pairs: tuple[Pair, ...]
    unchanged: tuple[Ref, ...] = ()
    fingerprints: tuple[Known, ...] = ()
    strays: Mapping[Ref, str] = field(default_factory=dict)
    artifact: str = ""
    made: float = 0.0
    cosmetic: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    put_off: float = 0.0


@dataclass(frozen=True, slots=True)
class Scope:
    """On whose behalf the target acts. `operation` is "" while only looking. Without a `cluster` it is a stack's, and
    then `tool` says how it is planned and applied, and what was planned before `since` (epoch seconds) does not count;
    `drift`: that is so because drift is to be looked for, and for nothing else; `held`: drift that was found waits, and
    is asked about. `aside`: somebody looks, beside the unit's own turns.

    `account` is NAMESPACE/NAME of the service account that writes and dry runs are made as, "" for Kedge's own. `pin`
    is noted on what is applied, so that a rollback is not forgotten with the database."""

    installation: str
    unit: str
    cluster: str
    namespace: str
    operation: str = ""
    adopt: bool = False
    account: str = ""
    pin: str = ""
    tool: StackTool | None = None
    since: float = 0.0
    drift: bool = False
    held: bool = False
    timeout: float = 0.0
    aside: bool = False
