"""One bare mirror of one repository: what was fetched, kept whole across crashes.

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
from hashlib import sha256
from pathlib import Path

import pygit2

from kedge.model.errors import Invalid, KedgeError, Unavailable
from kedge.sources.address import Address
from kedge.sources.remote import FETCH_SECONDS, Remote

SIZE_LIMIT = 4 * 1024 * 1024 * 1024
_BROKEN = re.compile(
    r"not a git repository|corrupt|bad object|loose object|unable to read|inflate|bad config|"
    r"did not send all necessary objects|missing (blob|tree|commit)|object file .* is empty|"
    r"invalid index-pack|packfile .* (cannot|is far)|unresolved delta|garbage at end|bad ref|broken|null sha1",
    re.IGNORECASE,
)
DEPTH = 500
"""Commits of a branch's history that come at first: who changed a file last is searched among them."""
_CONSOLIDATE = 50
"""Fetches after which the small packs are put together."""


class Mirror:
    """A bare repository below `folder`. `lock` is held by whoever changes it."""

    def __init__(self, folder: Path, remote: Remote, size_limit: int = SIZE_LIMIT, depth: int = DEPTH) -> None:
        self.lock = asyncio.Lock()
        self._folder = folder
        self._remote = remote
        self._size_limit = size_limit
        self._depth = depth
        self._open: pygit2.Repository | None = None
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

    def commit(self, name: str) -> pygit2.Commit | None:
        """The commit that a local ref or a (short) id leads to, or None. A short id must be unique."""
        if self._suspected:
            return None
        try:
            return self.repository.revparse_single(name).peel(pygit2.Commit)
        except (Unavailable, KeyError, ValueError, pygit2.GitError):
            return None

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
        arguments = [
            "fetch",
            "--quiet",
            "--force",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--refmap=",
            *self._how_far(whole),
            "--",
            address.url,
            *specs,
        ]
        await self._remote.talk(address, arguments, timeout=FETCH_SECONDS, folder=self._folder)
        self._fetches += 1
        size = _size(self._folder)
        if size > self._size_limit:
            self.discard()
            raise Invalid(f"{address.url} has {size} bytes, more than the {self._size_limit} that are kept")
        if self._fetches % _CONSOLIDATE == 0:
            await self._consolidate()

    def _how_far(self, whole: bool) -> list[str]:
        if whole:
            return ["--unshallow"] if (self._folder / "shallow").is_file() else []
        fresh = self._depth and not any((self._folder / "objects" / "pack").glob("*.pack")) and not self._commits()
        return [f"--depth={self._depth}"] if fresh else []

    def _commits(self) -> bool:
        """Whether anything was fetched: small packs are kept as single objects."""
        return any(self._folder.glob("refs/kedge/**/*")) or (self._folder / "packed-refs").is_file()

    async def _consolidate(self) -> None:
        """Put small packs together; failing to costs only space. Objects that no ref leads to are kept."""
        await self._remote.local(self._folder, ["repack", "-d", "-q", "--geometric=2"], timeout=FETCH_SECONDS)
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
        self._suspected = False
        shutil.rmtree(self._folder, ignore_errors=True)

    def suspect(self) -> None:
        """An object was not there that should be: begin anew at the next fetch, once the other side answers."""
        self._suspected = True

    def forget(self) -> None:
        """Close the object database, so that it is opened anew."""
        if self._open is not None:
            self._open.free()
        self._open = None


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
