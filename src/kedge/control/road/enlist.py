"""Enlist: which units there are. Reads a root at its newest commit and takes over what it declares.

The admin root also says which projects, clusters, credentials and further roots there are. Only a complete, error-free
read removes a unit: a broken file, an unreachable repository or a half-read root removes nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from kedge.control.road.doors import Doors
from kedge.dialects.kedge import Reading, read
from kedge.dialects.root import CONFIG, RootConfig, included, places, read_config
from kedge.engine.health.trying import problems_of
from kedge.engine.resolve import Resolved, resolve
from kedge.engine.trust import Trust
from kedge.model.declaration import Cluster, Credential, Declaration, Project, Root
from kedge.model.enlistment import Enlisted, Enlistment, Head, RootState
from kedge.model.errors import Invalid, Problem, Where
from kedge.model.event import Event
from kedge.model.person import AUTOMATION
from kedge.model.ref import UnitName
from kedge.model.rule import HealthRule
from kedge.model.source import Entry, EntryKind, Revision
from kedge.ports import Snapshot

ADMIN = "admin"
_REMEMBERED = 20_000
_BREATH = 64 << 10
"""Bytes that are parsed before others have their turn."""
MOST_FILES = 20_000
MOST_BYTES = 64 << 20
"""Of one root: a tree of a few kilobytes may name one file a million times over."""

Key = tuple[str, str]
D = TypeVar("D", bound=Root | Project | Cluster | Credential | HealthRule)


@dataclass(frozen=True, slots=True)
class AdminRoot:
    """Where everything begins: the repository that the server was started with."""

    repository: str
    ref: str = ""
    path: str = ""


class Readings:
    """What a declaration file said, by its Git id and place: a commit that touches one file parses one file."""

    def __init__(self, limit: int = _REMEMBERED) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[str, str], Reading] = OrderedDict()

    def knows(self, entry: Entry) -> bool:
        return (entry.path, entry.id) in self._known

    def read(self, snapshot: Snapshot, entry: Entry) -> Reading:
        key = (entry.path, entry.id)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = read(snapshot.read(entry), entry.path)
            while len(self._known) > self._limit:
                self._known.popitem(last=False)
        return found


class Enlister:
    """Remembers what the admin root last said, so that other roots can be read on their own."""

    def __init__(self, doors: Doors, admin: AdminRoot) -> None:
        self._doors = doors
        self._readings = Readings()
        self._roots: dict[str, Root] = {ADMIN: Root(ADMIN, admin.repository, admin.ref, admin.path)}
        self._configs: dict[str, RootConfig] = {}
        self._projects: tuple[Project, ...] = ()
        self._clusters: tuple[Cluster, ...] = ()
        self._credentials: tuple[Credential, ...] = ()
        self._rules: tuple[HealthRule, ...] = ()

    def roots(self) -> tuple[str, ...]:
        return tuple(self._roots)

    def places(self) -> tuple[Key, ...]:
        """Every (repository, ref) that a root is read from."""
        return tuple(dict.fromkeys((root.repository, root.ref) for root in self._roots.values()))

    def place(self, name: str) -> Key | None:
        """Where the root `name` is read from, None where it is no root by now."""
        root = self._roots.get(name)
        return (root.repository, root.ref) if root is not None else None

    def credentials(self) -> tuple[Credential, ...] | None:
        """None until the admin root has been read: it may declare none any more."""
        return self._credentials if ADMIN in self._configs else None

    async def recall(self) -> None:
        """Judge by the health rules that are remembered, until the admin root is read: it may be out of reach."""
        self._rules = tuple(filter(_is_sound, await self._doors.store.rules()))
        self._doors.target.judge_by(self._rules)

    def unread(self) -> tuple[str, ...]:
        """Roots that the admin root names and that have not been read since it last changed."""
        return tuple(name for name in self._roots if name not in self._configs)

    def concerned(self, key: Key, changed: Sequence[str] | None) -> tuple[str, ...]:
        """Roots whose declarations a move of `key` may have touched."""
        return tuple(
            name
            for name, root in self._roots.items()
            if (root.repository, root.ref) == key and (changed is None or self._touches(name, root, changed))
        )

    def _touches(self, name: str, root: Root, changed: Sequence[str]) -> bool:
        config = self._configs.get(name)
        prefix = f"{root.path}/" if root.path else ""
        below = [path[len(prefix) :] for path in changed if path.startswith(prefix)]
        return config is None or any(path == CONFIG or included(config, path) for path in below)

    async def read(self, name: str, news: Revision | None = None) -> Enlisted:
        """Read one root, at `news` where that was just fetched, and take over its units. Raises Unavailable while its
        repository can not be fetched."""
        root = self._roots[name]
        revision = news
        if revision is None or (revision.repository, revision.ref) != (root.repository, root.ref):
            revision = await self._doors.source.fetch(root.repository, root.ref)
        readings, config, problems = await self._readings_of(root, revision)
        declared = [declaration for reading in readings for declaration in reading.declarations]
        unread = (*problems, *(problem for reading in readings for problem in reading.problems))
        if name == ADMIN:
            await self._take_over(declared, whole=not unread)
        self._configs[name] = config
        resolved = await self._resolve(root, declared)
        every = (*unread, *resolved.problems)
        taken = await self._taken(root, resolved)
        enlisted = await self._doors.store.enlist(self._enlistment(root, revision, resolved, (*every, *taken)))
        if enlisted.refused and not taken:  # another root was quicker, between the look and the write
            taken = await self._taken(root, resolved)
            await self._doors.store.enlist(self._enlistment(root, revision, resolved, (*every, *taken)))
        if name == ADMIN:
            await self._let_go()
        return enlisted

    async def _let_go(self) -> None:
        """Roots that are not named any more: what they declared stays as it is, and that is told. Nobody has asked for
        its removal: it may be named again, under whatever name."""
        store, now = self._doors.store, self._doors.clock.now()
        lost = [state for state in await store.roots() if state.name not in self._roots]
        others = set(await store.declared_elsewhere(ADMIN)) if lost else set()
        for state in lost:
            standing = len(others - set(await store.declared_elsewhere(state.name)))
            problems = (_unnamed(standing),) if standing else ()
            if problems == state.problems:
                continue
            told = RootState(state.name, state.revision, not problems, problems, now)
            events = (_event(state.name, state.revision, problems, now),) if problems else ()
            await store.enlist(Enlistment(told, (), events=events))

    async def _readings_of(
        self, root: Root, revision: Revision
    ) -> tuple[list[Reading], RootConfig, tuple[Problem, ...]]:
        source = self._doors.source
        snapshot = source.snapshot(revision)
        prefix = f"{root.path}/" if root.path else ""
        await source.bring(revision, (f"{prefix}{CONFIG}",))
        try:
            config = _config(snapshot, prefix)
        except Invalid as error:
            return [], RootConfig(), error.problems
        if root.path and snapshot.entry(root.path) is None:
            gone = Problem(f"there is no folder {root.path} at {revision.short}", Where(root.path))
            return [], config, (gone,)
        files = [
            entry
            for entry in candidates(snapshot, root.path, config)
            if entry.kind is EntryKind.FILE and included(config, entry.path[len(prefix) :])
        ]
        size = sum(entry.size for entry in files)
        if len(files) > MOST_FILES or size > MOST_BYTES:
            told = f"{len(files)} files of {size} bytes are too many to be read for declarations"
            hint = f"at most {MOST_FILES} files of {MOST_BYTES} bytes together are: include less in {CONFIG}"
            return [], config, (Problem(told, Where(root.path), hint),)
        await source.bring(revision, [entry.path for entry in files])
        readings, parsed = [], 0
        for entry in files:
            parsed += 0 if self._readings.knows(entry) else entry.size
            readings.append(self._readings.read(snapshot, entry))
            if parsed > _BREATH:
                parsed = 0
                await asyncio.sleep(0)
        return readings, config, ()

    async def _take_over(self, declared: Sequence[Declaration], *, whole: bool) -> None:
        """What the admin root says beside units. Where it was half-read, what it does not say now stays as it was."""
        admin, store = self._roots[ADMIN], self._doors.store
        # Clusters and credentials the store remembers too, so that they outlive a restart.
        roots = _in_force(tuple(self._roots.values()), declared, Root, whole)
        self._roots = {ADMIN: admin, **{root.name: root for root in roots if root.name != ADMIN}}
        self._projects = _in_force(self._projects, declared, Project, whole)
        self._clusters = _in_force(await store.clusters(), declared, Cluster, whole)
        self._credentials = _in_force(await store.credentials(), declared, Credential, whole)
        sound = tuple(filter(_is_sound, declared))  # one that does not do what it says stays as it was, too
        self._rules = _in_force(await store.rules(), sound, HealthRule, whole and len(sound) == len(declared))
        self._doors.target.judge_by(self._rules)
        self._configs = {}

    async def _taken(self, root: Root, resolved: Resolved) -> tuple[Problem, ...]:
        """Units whose name another root holds: they stay that root's for as long as it declares them."""
        elsewhere = set(await self._doors.store.declared_elsewhere(root.name))
        found = []
        for unit in resolved.units:
            if str(unit.name) in elsewhere:
                holder = await self._doors.store.load(unit.name)
                first = f"the root {holder.unit.root} ({holder.unit.where})" if holder is not None else "another root"
                text = f"{unit.name} is declared already, by {first}"
                found.append(Problem(text, unit.where, "rename it, or remove it from one of them"))
        return tuple(found)

    async def _resolve(self, root: Root, declared: Sequence[Declaration]) -> Resolved:
        elsewhere = [UnitName.parse(unit) for unit in await self._doors.store.declared_elsewhere(root.name)]
        trust = Trust(
            root,
            admin=root.name == ADMIN,
            projects=self._projects,
            clusters=self._clusters,
            credentials=self._credentials,
            elsewhere=tuple(elsewhere),
        )
        return resolve(trust, declared)

    def _enlistment(
        self,
        root: Root,
        revision: Revision,
        resolved: Resolved,
        problems: Sequence[Problem],
    ) -> Enlistment:
        now = self._doors.clock.now()
        state = RootState(root.name, revision, not problems, tuple(problems), now)
        admin = root.name == ADMIN
        events = (_event(root.name, revision, problems, now),) if problems else ()
        return Enlistment(
            state,
            resolved.units,
            self._clusters if admin else (),
            self._credentials if admin else (),
            self._rules if admin else (),
            events,
            self._head(root, revision, now),
        )

    def _head(self, root: Root, revision: Revision, now: float) -> Head | None:
        """Units take up this commit with its declarations, not before: it may be the one that asks for an approval.
        Where several roots are read from one place, whoever looks for news takes it up after all of them."""
        key = (root.repository, root.ref)
        alone = sum((other.repository, other.ref) == key for other in self._roots.values()) == 1
        return Head(*key, revision, now) if alone else None


def _in_force(before: Sequence[D], declared: Sequence[Declaration], kind: type[D], whole: bool) -> tuple[D, ...]:
    """The declarations of a kind; after a read that is not `whole`, those of `before` too whose names it lacks."""
    now = tuple(declaration for declaration in declared if isinstance(declaration, kind))
    names = {declaration.name for declaration in now}
    return now if whole else (*now, *(declaration for declaration in before if declaration.name not in names))


def _is_sound(declaration: Declaration) -> bool:
    """Whether it may be in force: a health rule that does not compile, or fails its own cases, may not."""
    return not isinstance(declaration, HealthRule) or not problems_of(declaration)


def candidates(snapshot: Snapshot, folder: str, config: RootConfig) -> list[Entry]:
    """Entries that may be included, ordered by path: what can not be is not even listed, however large the tree is."""
    found: dict[str, Entry] = {}
    for place in places(config):
        path = "/".join(part for part in (folder, place) if part)
        entry = snapshot.entry(path) if path else None
        if entry is not None and entry.kind is not EntryKind.FOLDER:
            found[path] = entry
        elif entry is not None or not path:
            found.update((below.path, below) for below in snapshot.entries(path, recurse=True))
    return sorted(found.values())


def _unnamed(units: int) -> Problem:
    what = (
        "the application that it declared stays as it is, and follows"
        if units == 1
        else (f"the {units} applications that it declared stay as they are, and follow")
    )
    hint = "name it again; to have them removed, take their declarations out of it while it is named"
    return Problem(f"the admin root does not name it any more: {what} no new declaration", hint=hint)


def _config(snapshot: Snapshot, prefix: str) -> RootConfig:
    entry = snapshot.entry(f"{prefix}{CONFIG}")
    if entry is None or entry.kind is not EntryKind.FILE:
        return RootConfig()
    return read_config(snapshot.read(entry), entry.path)


def _event(root: str, revision: Revision | None, problems: Sequence[Problem], now: float) -> Event:
    first = str(problems[0]).replace("\n", " ")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Event(
        "root.trouble",
        now,
        AUTOMATION.name,
        commit=revision.known if revision is not None else "",
        message=f"root {root}: {first}{more}",
    )
