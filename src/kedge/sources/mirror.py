"""One bare mirror of one repository: what was fetched, kept whole across crashes.

Of a repository whose first fetch would bring more than `PIECES`, commits and folders come (`--filter=blob:none`), and
files when somebody reads them (`bring`).

A mirror is a cache: whatever is wrong with it, it is thrown away and fetched anew. One fetch at a time, so every lock
file that is found before one was left by a process that was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import cast

import pygit2
from pygit2.enums import ObjectType

from kedge.model.errors import Invalid, KedgeError, Unavailable
from kedge.sources.address import Address
from kedge.sources.remote import FETCH_SECONDS, Remote
from kedge.sources.snapshot import FILE_LIMIT, Scales

SIZE_LIMIT = 4 * 1024 * 1024 * 1024
_BROKEN = re.compile(
    r"not a git repository|corrupt|bad object|loose object|unable to read|inflate|bad config|"
    r"did not send all necessary objects|missing (blob|tree|commit)|object file .* is empty|"
    r"invalid index-pack|packfile .* (cannot|is far)|unresolved delta|garbage at end|bad ref|broken|null sha1",
    re.IGNORECASE,
)
DEPTH = 500
"""Commits of a branch's history that come at first: who changed a file last is searched among them."""
PIECES = 64 * 1024 * 1024
"""Bytes that a first fetch may bring; of a repository that has more, files are left where they are until read."""
_PARTIAL = "promisor = true"
"""What git writes into the configuration of a mirror that not everything came to."""
_AT_ONCE = 5_000
"""Files that are asked for in one request."""
_NO_FILES = "--filter=blob:none"
_FETCH = (
    "fetch",
    "--quiet",
    "--force",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
    "--no-auto-maintenance",
    "--refmap=",
)
_LARGEST = 1 << 20
"""Bytes of a commit, or of a tag."""
_TAGS = 5
"""Tags of tags that are followed."""
_CONSOLIDATE = 50
"""Fetches after which the small packs are put together."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of a file that is read, of a mirror that is kept, and of a first fetch that brings everything; commits of
    history that come at first (0: all)."""

    file: int = FILE_LIMIT
    mirror: int = SIZE_LIMIT
    depth: int = DEPTH
    pieces: int = PIECES


class Mirror:
    """A bare repository below `folder`. `lock` is held by whoever changes it."""

    def __init__(self, folder: Path, remote: Remote, limits: Limits) -> None:
        self.lock = asyncio.Lock()
        self.brought: set[str] = set()
        """Ids of folders that all files are here of."""
        self._folder = folder
        self._remote = remote
        self._limits = limits
        self._partial: bool | None = None
        self._open: pygit2.Repository | None = None
        self._scales: Scales | None = None
        self._fetches = 0
        self._suspected = False

    @property
    def repository(self) -> pygit2.Repository:
        """The object database. Raises Unavailable when nothing was fetched yet or it cannot be opened."""
        if self._open is None:
            try:
                self._open = pygit2.Repository(str(self._folder), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
            except (pygit2.GitError, KeyError, ValueError):
                raise Unavailable(f"the mirror {self._folder.name} is not here", hint="it is fetched again") from None
        return self._open

    @property
    def partial(self) -> bool:
        """Whether files of it are left where they are until they are brought."""
        if self._partial is None:
            place = self._folder / "config"
            self._partial = place.is_file() and _PARTIAL in place.read_text()
        return self._partial

    def commit(self, name: str) -> pygit2.Commit | None:
        """The commit that a local ref or a (short) id leads to, or None. A short id must be unique. Raises Invalid for
        one that is too large to be looked at: a few kilobytes may unpack to gigabytes of words."""
        if self._suspected:
            return None
        try:
            identity = self._identity(name)
            for _ in range(_TAGS):
                kind, size = self.repository.odb.read_header(identity)
                if size > _LARGEST:
                    raise Invalid(f"{str(identity)[:7]} has {size} bytes of words, and at most {_LARGEST} are read")
                found = self.repository[identity]
                if kind != ObjectType.TAG:
                    commit = found.peel(pygit2.Commit)
                    self.scales.weigh(commit.tree_id)
                    return commit
                identity = pygit2.Oid(hex=str(cast(pygit2.Tag, found).target))
            return None
        except (Unavailable, KeyError, ValueError, pygit2.GitError):
            return None

    @property
    def scales(self) -> Scales:
        if self._scales is None:
            self._scales = Scales(self.repository)
        return self._scales

    def _identity(self, name: str) -> pygit2.Oid:
        if not name.startswith("refs/"):
            return self.repository.expand_id(name)
        found = self.repository.references[name].resolve().target
        return pygit2.Oid(hex=str(found))

    async def fetch(self, address: Address, specs: Sequence[str], *, whole: bool = False) -> None:
        """Fetch refspecs; a mirror that turns out to be broken is made anew, once. The first time only the newest
        commits come, and from then on all that is new; `whole` brings the rest of the history too."""
        try:
            await self._fetch(address, specs, whole=whole)
        except KedgeError as error:
            if isinstance(error, Invalid) or not _BROKEN.search(str(error)) or await self._healthy():
                raise
            self.discard()
            await self._fetch(address, specs, whole=whole)

    async def _healthy(self) -> bool:
        """Whether it is whole: then it was the other side that spoke of ruin, and what is here stays."""
        arguments = ["fsck", "--connectivity-only", "--no-dangling", "--no-progress"]
        return (await self._remote.local(self._folder, arguments, timeout=FETCH_SECONDS)).code == 0

    async def _fetch(self, address: Address, specs: Sequence[str], *, whole: bool) -> None:
        await self._prepare()
        far = self._how_far(whole)
        if not far or whole or self.partial:
            await self._talk(address, [*self._filter(), *far], specs)
            return
        try:
            await self._talk(address, far, specs, largest=self._limits.pieces)
        except Unavailable:
            if not self._outgrown(self._limits.pieces):
                raise
            self.discard()
            await self._prepare()
            await self._talk(address, [_NO_FILES, *far], specs)

    async def bring(self, address: Address, files: Sequence[str]) -> None:
        """Have files (by their ids) at hand that were left where they are."""
        for start in range(0, len(files), _AT_ONCE):
            wanted = files[start : start + _AT_ONCE]
            # Told of the commits that are here, the other side would take it that their files are here too.
            await self._talk(address, [_NO_FILES], wanted, settings=("-c", "fetch.negotiationAlgorithm=noop"))

    async def _talk(
        self,
        address: Address,
        more: Sequence[str],
        specs: Sequence[str],
        *,
        largest: int | None = None,
        settings: Sequence[str] = (),
    ) -> None:
        arguments = [*settings, *_FETCH, *more, "--", address.url, *specs]
        most = self._limits.mirror
        try:
            await self._remote.talk(
                address, arguments, timeout=FETCH_SECONDS, folder=self._folder, largest=largest or most
            )
        except KedgeError as error:
            if not self._outgrown(most):
                raise
            self.discard()
            raise Invalid(f"{address.url} sends too many bytes, more than the {most} that are kept") from error
        self._partial = None
        self._fetches += 1
        size = _size(self._folder)
        if size > self._limits.mirror:
            self.discard()
            raise Invalid(f"{address.url} has {size} bytes, more than the {self._limits.mirror} that are kept")
        if self._fetches % _CONSOLIDATE == 0:
            await self._consolidate()

    def _outgrown(self, bound: int) -> bool:
        """Whether a fetch was ended for the size of what it brought: git is silent about it, and leaves it behind."""
        left = (self._folder / "objects").rglob("tmp_*")
        return any(file.stat().st_size >= bound for file in left if file.is_file())

    def _filter(self) -> list[str]:
        return [_NO_FILES] if self.partial else []

    def _how_far(self, whole: bool) -> list[str]:
        if whole:
            return ["--unshallow"] if (self._folder / "shallow").is_file() else []
        fresh = (
            self._limits.depth and not any((self._folder / "objects" / "pack").glob("*.pack")) and not self._commits()
        )
        return [f"--depth={self._limits.depth}"] if fresh else []

    def _commits(self) -> bool:
        """Whether anything was fetched: small packs are kept as single objects."""
        return any(self._folder.glob("refs/kedge/**/*")) or (self._folder / "packed-refs").is_file()

    async def _consolidate(self) -> None:
        """Put small packs together; failing to costs only space. Objects that no ref leads to are kept."""
        how = "-a" if self.partial else "--geometric=2"  # git's geometry forgets which files were left where they are
        await self._remote.local(self._folder, ["repack", "-d", "-q", how], timeout=FETCH_SECONDS)
        self.forget()

    async def _prepare(self) -> None:
        """Make sure of a whole, unlocked, empty or filled repository."""
        if self._suspected or not (self._folder / "HEAD").is_file() or not (self._folder / "objects").is_dir():
            self.discard()
            fresh = self._folder.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                pygit2.init_repository(str(fresh), bare=True).free()
                fresh.rename(self._folder)
            except (pygit2.GitError, OSError) as error:
                raise Unavailable(f"a mirror can not be made: {error}", hint="look at the disk") from None
            return
        self._unlock()

    def _unlock(self) -> None:
        for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/**/tmp_obj_*"):
            for left in self._folder.glob(pattern):
                with contextlib.suppress(FileNotFoundError):
                    left.unlink()
        for left in self._folder.glob("objects/tmp_objdir-*"):
            shutil.rmtree(left, ignore_errors=True)

    def discard(self) -> None:
        """Throw the mirror away. What is not here any more is fetched again by whoever asks."""
        self.forget()
        self._suspected, self._partial = False, None
        self.brought.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def suspect(self) -> None:
        """An object was not there that should be: begin anew at the next fetch, once the other side answers."""
        self._suspected = True

    def forget(self) -> None:
        """Close the object database, so that it is opened anew."""
        if self._open is not None:
            self._open.free()
        self._open, self._scales = None, None


def folder_of(data: Path, repository: str) -> Path:
    """Named by the hash of the URL: neither its length nor its letters matter to the file system."""
    return data / f"{sha256(repository.encode()).hexdigest()[:40]}.git"


def _size(folder: Path) -> int:
    total = 0
    for place, _, files in os.walk(folder / "objects" / "pack"):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total
