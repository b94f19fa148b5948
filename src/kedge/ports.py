"""Every protocol of the outside: the map of what Kedge needs from the world.

Laws: a port is small enough that its in-memory twin is easy to write; one contract suite under `tests/contracts`
runs over every adapter. Errors are those of `kedge.model.errors`; anything else an adapter lets through is a bug.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from kedge.model.action import Doing, Done, Possible
from kedge.model.declaration import Cluster, Credential
from kedge.model.dossier import Dossier, Home
from kedge.model.enlistment import Enlisted, Enlistment, Head, RootState
from kedge.model.event import ChainReport, Event, Witness
from kedge.model.execution import Execution, Report, StateAccess, Word, Yield
from kedge.model.family import ClusterEvents, Family, Lineage, LogLine, LogWish
from kedge.model.fleet import Page, UnitQuery, UnitRow
from kedge.model.health import Ailment
from kedge.model.installation import Installation
from kedge.model.manifest import Desired, Manifest
from kedge.model.operation import Operation, Outcome, Sight
from kedge.model.output import Output, OutputPlace, StateHead
from kedge.model.pair import Comparison, Known, Scope
from kedge.model.plan import Plan, Step
from kedge.model.record import Record
from kedge.model.recovery import Recovered
from kedge.model.ref import Ref, UnitName
from kedge.model.restoration import Drafted
from kedge.model.rule import HealthRule
from kedge.model.source import Entry, Revision
from kedge.model.state import StateChange, StateFacts, StateGrant, StateLine, StateText, StateVersion
from kedge.model.unit import Unit

T = TypeVar("T")


class Clock(Protocol):
    def now(self) -> float:
        """Wall clock, epoch seconds."""

    def monotonic(self) -> float:
        """Seconds that never jump."""

    async def sleep(self, seconds: float) -> None: ...


class Entropy(Protocol):
    def token(self, size: int = 16) -> str:
        """`size` random bytes as lower-case hex."""

    def uniform(self) -> float:
        """In [0, 1), for jitter."""


class Snapshot(Protocol):
    """One commit's files, read from the object database without a checkout. Synchronous: reads cost microseconds."""

    @property
    def revision(self) -> Revision: ...

    def entry(self, path: str) -> Entry | None:
        """The entry at `path` from the repository's root, or None. Never follows a symlink."""

    def entries(self, folder: str, *, recurse: bool = False) -> Sequence[Entry]:
        """What is in a folder, ordered by path; empty when the folder is not there."""

    def read(self, entry: Entry) -> bytes:
        """A file's bytes, or a symlink's target text. Raises Invalid over the size limit."""


class Source(Protocol):
    async def fetch(self, repository: str, ref: str) -> Revision:
        """Ask the remote for `ref` (branch, tag or commit) and bring its objects home. Single flight per pair.

        Raises Invalid (no such ref, bad URL), Denied (credentials), Unavailable (unreachable, timed out)."""

    async def bring(self, revision: Revision, paths: Sequence[str]) -> None:
        """Have the files at and below `paths` at hand. Most sources have all of them; of a huge repository only what
        was brought can be read. Raises as `fetch`."""

    def snapshot(self, revision: Revision) -> Snapshot:
        """Open a fetched commit. Raises Unavailable when its objects are not here (fetch again)."""

    def changed(self, before: Revision, after: Revision) -> Sequence[str] | None:
        """Paths that differ between two commits, files only, ordered; None when `before` is not at hand any more."""

    def touched(self, revision: Revision, paths: Sequence[str]) -> Revision:
        """The newest commit at or before `revision` that changed one of `paths` (bounded search)."""

    def descends(self, before: Revision, after: Revision) -> bool:
        """Whether `after` has `before` as an ancestor (false after a force push)."""


class Clone(Protocol):
    """A person's own clone of a repository, in which a commit is prepared."""

    def file(self, commit: str, path: str) -> bytes | None:
        """What a file holds at a commit, None where it is not there. Raises Unavailable as `drafted`."""

    def drafted(self, base: str, then: str, paths: Sequence[str], texts: Mapping[str, bytes]) -> Drafted:
        """`base` with `paths` as they are at `then` (or gone, where they are not there), and with `texts` as they are
        given. Raises Unavailable where one of the commits is not in this clone."""

    def branch(self, name: str, draft: Drafted, message: str) -> str:
        """Commit the draft as the clone's own user on a new branch; answers the commit.

        Raises Conflict where the branch is there already, Invalid for a name that Git does not take, or without a
        user."""


class Renderer(Protocol):
    async def render(self, snapshot: Snapshot, unit: Unit) -> Desired:
        """Bytes to manifests, refs as written (namespaces not yet placed). Raises Invalid with file and line."""

    async def secrets(self, unit: Unit) -> Mapping[str, str]:
        """The secrets that the unit's rendering asks for, by name. Raises Invalid where one is not kept."""

    @property
    def version(self) -> str:
        """Changes whenever the same input could render differently."""


class Target(Protocol):
    async def place(self, scope: Scope, desired: Desired) -> Desired:
        """Give every manifest its final namespace, labels and annotations. Costs no call per object.

        Hooks are placed too, but carry no inventory labels. Raises Unavailable when discovery fails for a needed
        group, Invalid for an object that can not be placed."""

    async def compare(self, scope: Scope, desired: Desired, known: Sequence[Known], extra: Sequence[Ref]) -> Comparison:
        """Pairs of every non-hook manifest of a placed set whose digest or live fingerprint moved, by server-side
        apply dry run, and of every `extra` ref (inventory that is no longer desired) that still lives."""

    async def act(self, scope: Scope, step: Step, manifest: Manifest | None) -> Outcome:
        """Do one step. The outcome is FAILED with a sentence where the API server refuses; raises Unavailable when
        nobody can tell what became of it (it is safe to do the step again)."""

    async def look(self, scope: Scope, refs: Sequence[Ref]) -> Mapping[Ref, Sight]:
        """Objects as the watch index sees them now, absent ones as `exists=False`. Costs no API call once watched."""

    async def stop(self, scope: Scope, why: str) -> None:
        """Ask what the scope's operation has under way to end in order: the apply of a stack, which takes its time and
        shows its end to `look`. Nothing of a cluster is ever half under way."""

    async def outputs(self, scope: Scope, places: Sequence[OutputPlace]) -> Sequence[Output]:
        """What a unit puts out now: of an application the fields at `places` that are there. Raises Unavailable."""

    async def home(self, scope: Scope) -> Home:
        """Which cluster it is that the scope's name leads to now. Costs no call once it is known."""

    async def recover(self, cluster: str, installation: str, namespaces: Collection[str] = ()) -> Recovered:
        """What a cluster alone tells of the units of an installation; in `namespaces`, where Kedge may not list in all
        of them. Raises Unavailable when it tells nothing, Denied when it does not know us."""

    def fresh(self, cluster: str, kinds: Collection[tuple[str, str]] = ()) -> float | None:
        """Epoch seconds up to which the watches of these kinds (group, kind) are known to be current; None where one of
        them sees nothing. Of no kind in particular: when any watch of the cluster told something last."""

    def ailment(self, cluster: str) -> Ailment | None:
        """Why a cluster is of no use just now, and since when; None while nothing is known to be wrong with it."""

    def judge_by(self, rules: Sequence[HealthRule]) -> None:
        """These health rules of people's own are in force from now on, before those that come with Kedge. Rings what
        they judge anew. Raises Invalid for one that does not compile."""

    def subscribe(self, ring: Callable[[str, Ref, str], None]) -> None:
        """`ring(unit, ref, what)` is called for each relevant change; `what` is `drift`, `health`, or `words`
        where the same state is told otherwise."""

    @property
    def live(self) -> Live:
        """What people ask of what runs, beside the road."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Log:
    """Lines of containers; `several` tells that more than one is read."""

    several: bool
    lines: AsyncIterator[LogLine]


class Live(Protocol):
    """What a person asks of a running unit, and may do to it: read when asked for, bounded, nothing of it kept.

    `refs` are the unit's objects. Every call raises Unavailable and Denied when the cluster does not answer at all;
    what only a part of it can not tell is a note in the answer."""

    async def family(self, scope: Scope, refs: Sequence[Ref]) -> Family:
        """The objects and their children, with the health of each."""

    async def lineage(self, cluster: str, kind: str, namespace: str, name: str) -> Lineage | None:
        """A live object and its owners upwards; None where there is none. `kind` is any word that kubectl takes;
        without a namespace, in any. Raises Invalid for a word that is no kind, or means several objects."""

    async def logs(self, scope: Scope, refs: Sequence[Ref], wish: LogWish) -> Log:
        """Lines of the unit's Pods. Raises Invalid before the first of them.

        When they are followed there is no end, and an empty note about every second in which nothing was said."""

    async def events(self, scope: Scope, refs: Sequence[Ref]) -> ClusterEvents:
        """The cluster's own Events about the objects and their children."""

    async def restartable(self, scope: Scope, refs: Sequence[Ref], text: str) -> Sequence[Ref]:
        """What `[KIND/]NAME` means for a restart; "": all that can be restarted. Raises Invalid for nothing."""

    async def restart(self, scope: Scope, ref: Ref, *, dry_run: bool = False) -> str:
        """Make an object's Pods anew, so that no sync undoes it. Answers what follows; raises Invalid, Conflict."""

    async def scalable(self, scope: Scope, refs: Sequence[Ref], text: str) -> Ref:
        """What `[KIND/]NAME` means for scaling. Raises Invalid for nothing or several."""

    async def scale(self, scope: Scope, ref: Ref, replicas: int, *, force: bool = False, dry_run: bool = False) -> str:
        """Set an object's replicas. Answers what follows; raises Invalid where they would not stay (but not with
        `force`), Conflict."""

    async def actions(self, scope: Scope, refs: Sequence[Ref], text: str) -> Sequence[Possible]:
        """What can be done to the objects that `[KIND/]NAME` means; "": to all. Raises Invalid for nothing."""

    async def act(self, scope: Scope, doing: Doing, *, dry_run: bool = False) -> Done:
        """Do an action to an object. Raises Invalid where there is none such, or not now; Conflict."""


class Exec(Protocol):
    """Starts and watches executions. They outlive this process, and are found again by their id."""

    @property
    def looks(self) -> int:
        """How many may look for drift at once."""

    async def start(self, execution: Execution) -> None:
        """Begin, or do nothing where an execution of this id was begun before. Returns once it is on record and will
        run. Raises Invalid where no tool here fits, naming what is wanted and what is there; of one that runs elsewhere
        the report says so."""

    def report(self, id: str) -> Report | None:
        """What is known of it; None where it was never begun, or has been forgotten. Costs no waiting."""

    def reports(self) -> Sequence[Report]:
        """All that are not forgotten, oldest first: also those that were begun before this process."""

    async def result(self, id: str) -> Yield:
        """What an ended one has left. Raises Unavailable where it is not kept any more, or still at work."""

    async def stop(self, id: str, why: str) -> None:
        """Ask it to end in order (an interrupt, and minutes of patience). It has ended when its report says so."""

    async def forget(self, id: str) -> None:
        """Remove all that is kept of an ended one."""

    def follow(self, id: str) -> AsyncIterator[str]:
        """Its lines as people read them, from the first, until it ends. No secrets, no control characters."""

    def subscribe(self, ring: Callable[[str, str], None]) -> None:
        """`ring(unit, id)` is called whenever an execution ends."""


class Seal(Protocol):
    """Encrypts what rests in a file. `name` is part of it: one file can not be passed off as another."""

    def seal_file(self, name: str, text: bytes) -> bytes: ...

    def open_file(self, name: str, raw: bytes) -> bytes:
        """Raises Invalid where its key is not here, Unavailable where it was damaged."""


class Errands(Protocol):
    """What an execution that runs elsewhere asks of Kedge, with a token that ends with it."""

    def admitted(self, id: str, token: str) -> bool:
        """Whether this is the token of that execution, which is known and has not ended."""

    async def claim(self, id: str, runner: str) -> bytes:
        """Become the one that runs it: an `Execution` as JSON, handed out to one runner only, to it as often as it asks
        before its first word. Raises Conflict where another is the runner, or nobody wants it any more."""

    async def hear(self, id: str, word: Word) -> None:
        """What the runner tells. The same may be told twice. Raises Conflict where the execution is over, Invalid for
        what can not be so, Unavailable where it can not be kept."""


class States(Protocol):
    """The built-in state backend, as the rest of the house sees it."""

    async def head(self, unit: str) -> StateHead | None:
        """The newest version of a unit's state, None where there is none. Raises Unavailable."""

    async def grant(self, unit: str, execution: str, *, write: bool) -> StateAccess:
        """A token with which one execution reaches the state of one unit, until it is revoked. The same again for the
        same execution."""

    async def revoke(self, execution: str) -> None:
        """The execution is proven over: its token ends, and a lock that it still holds is broken."""

    async def bring_home(self, unit: str, execution: str, content: bytes) -> None:
        """Keep a state that an execution could not send (`errored.tfstate`), under the lock it had. Raises Conflict
        where the state has moved on without it, Invalid for what is no state."""


class StateStore(Protocol):
    """Where states are kept: every version, encrypted, with the locks and the grants."""

    async def facts(self, unit: str, execution: str = "") -> StateFacts:
        """What is known of a unit's state, and of what the execution was given."""

    async def granted(self, execution: str) -> StateGrant | None: ...

    async def turn(
        self,
        unit: str,
        execution: str,
        decide: Callable[[StateFacts], StateChange],
        text: StateText | None = None,
    ) -> StateChange:
        """Read the facts, decide, keep the change: nothing comes between. `text` is what a new version holds.

        Raises what `decide` raises, Conflict where another was first, Unavailable; then nothing is kept."""

    async def head(self, unit: str) -> tuple[StateVersion, StateText] | None:
        """The newest version and what it says, without its content; None where there is no state."""

    async def content(self, unit: str, number: int) -> bytes | None: ...

    async def versions(self, unit: str, before: int = 0, limit: int = 50) -> Sequence[StateVersion]:
        """Newest first; `before` is a number of a version."""

    async def everything(self) -> Sequence[StateLine]:
        """Every unit that has, or had, a state; by name."""

    async def beside(self, job: Callable[[], T], size: int) -> T:
        """Do something that takes as long as `size` bytes take, so that nobody else has to wait for it."""


class Store(Protocol):
    async def installation(self) -> Installation: ...

    async def load(self, name: UnitName) -> Dossier | None:
        """One query a turn."""

    async def record(self, record: Record) -> Dossier:
        """Write atomically; answers the dossier with its new version and its inventory in order of ref.

        Raises Conflict when the version has moved, Invalid when an object of the inventory is already claimed by
        another unit (naming both) or a run's number is taken, Unavailable when it could not be written."""

    async def enlist(self, enlistment: Enlistment) -> Enlisted:
        """Take over a root's declarations. Removes only when `state.complete`."""

    async def units(self, query: UnitQuery) -> Page[UnitRow]: ...

    async def wakeups(self) -> Sequence[tuple[str, float | None]]:
        """Every unit and when it is due (None: only when something happens), for a start."""

    async def readers(self, repository: str, ref: str) -> Sequence[tuple[str, tuple[str, ...]]]:
        """Unit name → the paths its last render read or looked in vain for ("" after none yet)."""

    async def sources(self) -> Sequence[tuple[str, str]]:
        """Every (repository, ref) that a unit uses."""

    async def declared_elsewhere(self, root: str) -> Sequence[str]:
        """The names of units that other roots declare."""

    async def heads(self) -> Sequence[Head]: ...

    async def set_head(self, head: Head, events: tuple[Event, ...] = ()) -> None: ...

    async def forget_head(self, repository: str, ref: str) -> None:
        """Nobody reads it any more."""

    async def roots(self) -> Sequence[RootState]: ...

    async def clusters(self) -> Sequence[Cluster]:
        """Those that roots declare, by name."""

    async def credentials(self) -> Sequence[Credential]:
        """Those that roots declare, by name; the secrets themselves are not here."""

    async def rules(self) -> Sequence[HealthRule]:
        """Those that roots declare, by name."""

    async def keep(self, name: str, value: str | None, event: Event) -> None:
        """Keep a secret, encrypted, in place of the one of that name; None takes it away. Written with its event."""

    async def kept(self, name: str) -> str | None:
        """The secret of that name."""

    async def kept_names(self) -> Sequence[str]:
        """Names of all secrets, in order."""

    async def claims(self, cluster: str, refs: Sequence[Ref]) -> Mapping[Ref, str]:
        """Which unit claims each of these objects."""

    async def operations(self, unit: str, before: int = 0, limit: int = 50) -> Sequence[Operation]:
        """Newest first; `before` is a run number."""

    async def operation(self, unit: str, number: int) -> Operation | None: ...

    async def plan(self, plan: str) -> Plan | None: ...

    async def frozen(self, unit: str, number: int) -> Unit | None:
        """The unit's declaration as it was in force at a run, for rollback."""

    async def rendered(self, digest: str) -> tuple[Manifest, ...] | None: ...

    async def events(self, after: int = 0, unit: str = "", limit: int = 100) -> Sequence[Event]:
        """Sealed events with an id above `after`, in order."""

    async def latest(self, unit: str = "", before: int = 0, limit: int = 100) -> Sequence[Event]:
        """Sealed events newest first, below `before` (0: from the end)."""

    async def note(self, events: tuple[Event, ...]) -> None:
        """Record events that belong to no unit's turn."""

    def sealed(self) -> AsyncIterator[int]:
        """Yields the newest sealed event id whenever it moves."""

    async def witness(self) -> Witness:
        """The head of the event chain, for keeping elsewhere."""

    async def verify_chain(self, seen: Witness | None = None) -> ChainReport:
        """Walk every sealed event; `seen` is an earlier witness that the log must still contain."""

    @property
    def problem(self) -> str:
        """Why the last write was not kept ("" when it was), for readers: it could not be recorded itself."""

    async def collect(self, now: float) -> int:
        """Delete a bounded number of plans and rendered sets that nothing needs any more; answers how many went."""

    async def close(self) -> None: ...


class Secrets(Protocol):
    async def credential(self, url: str) -> Mapping[str, str]:
        """The credential with the longest prefix that fits `url`: some of username, password, token, sshKey,
        knownHosts, certificate, key, kubeconfig; empty when there is none."""


Ring = Callable[[UnitName, str], None]
Task = Callable[[], Awaitable[None]]
