"""Git as a source: the git program asks and fetches, libgit2 reads what came home.

Each (repository, ref) is asked once for all who want it at the same time; nothing is fetched when nothing moved.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pygit2

from kedge import process
from kedge.model import version as versions
from kedge.model.errors import Invalid, KedgeError, Unavailable
from kedge.model.origin import of_range, range_of
from kedge.model.source import Revision
from kedge.model.version import Range
from kedge.ports import Secrets
from kedge.sources import history, ignore
from kedge.sources.address import Address, Allowed, parse
from kedge.sources.mirror import Limits, Mirror, folder_of
from kedge.sources.pieces import missing
from kedge.sources.remote import Remote, Run
from kedge.sources.snapshot import GitSnapshot

_REF_UNFIT = re.compile(r"[\x00-\x20\x7f-\x9f~^:?*\[\\]|\.\.|@\{|//")
_FULL = re.compile(r"[0-9a-f]{40}\Z")
_SHORT = re.compile(r"[0-9a-f]{7,39}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST_REF = 250
_SUBJECT = 200
_STANDARD = Allowed()
_EVERYTHING = ("+refs/heads/*:refs/remote/heads/*", "+refs/tags/*:refs/remote/tags/*")


@dataclass(slots=True)
class _Flight:
    """One question under way. Whoever comes before it is `asking` gets its answer; None: nobody knows, ask again."""

    answer: asyncio.Future[Revision | KedgeError | None]
    asking: bool = False


class GitSource:
    """`kedge.ports.Source` over mirrors below `data`."""

    def __init__(
        self,
        data: Path,
        secrets: Secrets,
        *,
        run: Run = process.run,
        search: str = "/usr/local/bin:/usr/bin:/bin",
        allowed: Allowed = _STANDARD,
        limits: Limits | None = None,
    ) -> None:
        self._data = data
        self._allowed = allowed
        self._limits = limits or Limits()
        self._remote = Remote(data / "git", secrets, run, search=search, allowed=allowed)
        self._mirrors: dict[str, Mirror] = {}
        self._flights: dict[tuple[str, str], _Flight] = {}

    async def fetch(self, repository: str, ref: str) -> Revision:
        """As `kedge.ports.Source.fetch`. A branch goes before a tag of the same name; "" is the default branch."""
        address = parse(repository, self._allowed)
        check(ref)
        key = (repository, ref)
        joined = False
        while (flight := self._flights.get(key)) is not None:
            joined = joined or not flight.asking
            answer = await asyncio.shield(flight.answer)
            if joined and isinstance(answer, Revision):
                return answer
            if joined and isinstance(answer, KedgeError):
                raise answer
            joined = True  # the next one has not asked yet
        return await self._lead(key, address)

    async def _lead(self, key: tuple[str, str], address: Address) -> Revision:
        flight = _Flight(asyncio.get_running_loop().create_future())
        self._flights[key] = flight
        answer: Revision | KedgeError | None = None
        try:
            mirror = self._mirror(key[0])
            await asyncio.sleep(0)  # those who came together fly together
            async with mirror.lock:
                flight.asking = True
                answer = await self._resolved(mirror, address, *key)
                if mirror.partial:
                    await self._have(mirror, address, answer, (ignore.FILE,))
            return answer
        except KedgeError as error:
            answer = error
            raise
        finally:
            del self._flights[key]
            flight.answer.set_result(answer)

    async def _resolved(self, mirror: Mirror, address: Address, repository: str, ref: str) -> Revision:
        if _FULL.match(ref):
            return _revision(await self._by_id(mirror, address, ref), repository, ref)
        wanted_range = range_of(ref)
        if wanted_range is not None:
            return await self._by_version(mirror, address, repository, versions.parse(wanted_range))
        names = _candidates(ref)
        found = await self._remote.refs(address, [*names, *(f"{name}^{{}}" for name in names if "/tags/" in name)])
        name = next((name for name in names if name in found), None)
        if name is not None:
            wanted = found.get(f"{name}^{{}}", found[name])
            return _revision(await self._by_name(mirror, address, name, wanted), repository, ref)
        if _SHORT.match(ref):
            return _revision(await self._by_short_id(mirror, address, ref), repository, ref)
        raise _unknown(address, ref)

    async def _by_version(self, mirror: Mirror, address: Address, repository: str, wanted: Range) -> Revision:
        """The newest tag in a range, as Flux reads them: `v1.2.3` or `1.2.3`, every number written out."""
        tags = tags_of(await self._remote.refs(address, ["refs/tags/*"]))
        chosen = versions.newest(wanted, tags.items())
        if chosen is None:
            text = f"none of the {len(tags)} tags of {address.url} is a version in “{wanted.text}”"
            raise Invalid(text, hint="push such a tag (v1.2.3), or correct source.version")
        commit = await self._by_name(mirror, address, f"refs/tags/{chosen[0]}", chosen[1])
        return replace(_revision(commit, repository, of_range(wanted.text)), version=chosen[0])

    async def _by_name(self, mirror: Mirror, address: Address, name: str, wanted: str) -> pygit2.Commit:
        """A ref's commit; fetched only when it is not the one that is here."""
        local = f"refs/kedge/{sha256(name.encode()).hexdigest()[:40]}"
        here = mirror.commit(local)
        if here is not None and str(here.id) == wanted and _whole(here):
            return here
        await mirror.fetch(address, [f"+{name}:{local}"])
        return _got(mirror.commit(local), address, name)

    async def _by_id(self, mirror: Mirror, address: Address, identity: str) -> pygit2.Commit:
        """A commit by its full id: never asked for again once it is here."""
        local = f"refs/kedge/commit/{identity}"
        here = mirror.commit(local)
        if here is not None and _whole(here):
            return here
        try:
            await mirror.fetch(address, [f"+{identity}:{local}"])
        except Invalid:
            await mirror.fetch(address, _EVERYTHING, whole=True)  # a server that serves only what its refs name
            found = mirror.commit(identity)
            if found is None:
                raise Invalid(f"there is no commit {identity} in {address.url}") from None
            return found
        return _got(mirror.commit(local), address, identity)

    async def _by_short_id(self, mirror: Mirror, address: Address, identity: str) -> pygit2.Commit:
        await mirror.fetch(address, _EVERYTHING, whole=True)
        found = mirror.commit(identity)
        if found is None:
            text = f"there is no branch, tag or single commit {identity} in {address.url}"
            raise Invalid(text, hint="write the commit's full id")
        return found

    def objects(self, repository: str) -> Path:
        """The folder of the object database that a repository's files are in."""
        return folder_of(self._data / "mirrors", repository) / "objects"

    def doubt(self, repository: str) -> None:
        """Something of it was not there: what is here is fetched anew."""
        self._mirror(repository).suspect()

    async def bring(self, revision: Revision, paths: Sequence[str]) -> None:
        """As `kedge.ports.Source.bring`."""
        mirror = self._mirror(revision.repository)
        if mirror.partial:
            address = parse(revision.repository, self._allowed)
            async with mirror.lock:
                await self._have(mirror, address, revision, paths)

    async def _have(self, mirror: Mirror, address: Address, revision: Revision, paths: Sequence[str]) -> None:
        found = missing(mirror.repository, revision, paths, mirror.brought)
        if found.files:
            await mirror.bring(address, found.files)
        mirror.brought |= found.folders

    def snapshot(self, revision: Revision) -> GitSnapshot:
        """As `kedge.ports.Source.snapshot`."""
        mirror = self._mirror(revision.repository)
        return GitSnapshot(mirror.repository, revision, self._limits.file, mirror.suspect, partial=mirror.partial)

    def changed(self, before: Revision, after: Revision) -> Sequence[str] | None:
        """As `kedge.ports.Source.changed`; None for two repositories, and for too many paths."""
        mirror = self._mirror(after.repository)
        old = mirror.commit(before.commit) if before.repository == after.repository else None
        new = mirror.commit(after.commit)
        if old is None or new is None:
            return None
        try:
            found = history.changed(old.tree, new.tree, scales=mirror.scales)
            return found if found is None or ignore.FILE in found else self.snapshot(after).seen(found)
        except (Invalid, KeyError, pygit2.GitError, Unavailable):
            return None

    def touched(self, revision: Revision, paths: Sequence[str]) -> Revision:
        """As `kedge.ports.Source.touched`; `revision` itself where the search ends without finding one."""
        commit = self._mirror(revision.repository).commit(revision.commit)
        if commit is None or not paths:
            return revision
        try:
            found = history.touched(commit, [path.strip("/") for path in paths])
        except (KeyError, pygit2.GitError):
            return revision
        return _revision(found, revision.repository, revision.ref)

    def descends(self, before: Revision, after: Revision) -> bool:
        """As `kedge.ports.Source.descends`; False where `before` is not at hand any more."""
        if before.repository != after.repository:
            return False
        if before.version != after.version:
            return True  # another version is another tag, on whatever branch it is
        mirror = self._mirror(after.repository)
        old, new = mirror.commit(before.commit), mirror.commit(after.commit)
        if old is None or new is None:
            return False
        return old.id == new.id or bool(mirror.repository.descendant_of(new.id, old.id))

    def _mirror(self, repository: str) -> Mirror:
        if repository not in self._mirrors:
            folder = folder_of(self._data / "mirrors", repository)
            self._mirrors[repository] = Mirror(folder, self._remote, self._limits)
        return self._mirrors[repository]


def tags_of(found: Mapping[str, str]) -> dict[str, str]:
    """Tag → commit, from what ls-remote lists: an annotated tag is listed twice, as itself and as what it leads to."""
    prefix, peeled = "refs/tags/", "^{}"
    names = [name for name in found if name.startswith(prefix) and not name.endswith(peeled)]
    return {name.removeprefix(prefix): found.get(name + peeled, found[name]) for name in names}


def check(ref: str) -> None:
    """Raises Invalid for what can be no branch, tag or commit, and no range of versions."""
    wanted = range_of(ref)
    if wanted is None:
        check_ref(ref)
    else:
        versions.parse(wanted)


def check_ref(ref: str) -> None:
    """Raises Invalid for what can be no branch, tag or commit (as git check-ref-format)."""
    unfit = ref.startswith(("-", "/")) or ref.endswith(("/", ".", ".lock")) or len(ref) > _LONGEST_REF
    if unfit or _REF_UNFIT.search(ref):
        raise Invalid("a ref is the name of a branch or tag, or a commit's id", hint="check source.ref")


def _unknown(address: Address, ref: str) -> Invalid:
    if not ref:
        text = f"{address.url} has no default branch: it is empty, or its HEAD leads nowhere"
        return Invalid(text, hint="push a first commit, or name a branch")
    return Invalid(f"there is no branch or tag “{ref}” in {address.url}", hint="check source.ref")


def _candidates(ref: str) -> list[str]:
    if not ref or ref == "HEAD":
        return ["HEAD"]
    if ref.startswith("refs/"):
        return [ref]
    return [f"refs/heads/{ref}", f"refs/tags/{ref}"]


def _whole(commit: pygit2.Commit) -> bool:
    """Whether its root tree is here: a mirror that lost objects is noticed before it is read from."""
    try:
        return commit.tree is not None
    except (KeyError, pygit2.GitError):
        return False


def _got(commit: pygit2.Commit | None, address: Address, name: str) -> pygit2.Commit:
    if commit is None:
        raise Invalid(f"{name} of {address.url} leads to no commit")
    if not _whole(commit):
        raise Unavailable(f"{name} of {address.url} came without its files")
    return commit


def _revision(commit: pygit2.Commit, repository: str, ref: str) -> Revision:
    subject = _shown(bytes(commit.raw_message).split(b"\n", 1)[0])
    author = commit.author
    return Revision(
        repository,
        ref,
        str(commit.id),
        _shown(bytes(author.raw_name)),
        _shown(bytes(author.raw_email)),
        subject,
        float(commit.commit_time),
    )


def _shown(raw: bytes) -> str:
    """What a stranger wrote, fit for one line: no control characters, no reordering of text."""
    return _CONTROL.sub("", raw[: 4 * _SUBJECT].decode("utf-8", "replace"))[:_SUBJECT]
