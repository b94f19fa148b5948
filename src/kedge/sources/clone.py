"""A person's own clone: a commit is prepared in it on a branch of its own, and nothing else of it is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from kedge.model.errors import Conflict, Invalid, Unavailable
from kedge.model.restoration import Drafted
from kedge.sources.snapshot import find


class GitClone:
    """`kedge.ports.Clone`. The working tree and the index stay as they are: only objects are written, and at the end
    one branch."""

    def __init__(self, folder: Path) -> None:
        """Raises Invalid where `folder` is in no repository."""
        found = pygit2.discover_repository(str(folder)) if folder.is_dir() else None
        if found is None:
            raise Invalid(
                f"{folder} is in no Git repository", hint="go into a clone of the repository, or name it with --repo"
            )
        self.repository = pygit2.Repository(found)

    def file(self, commit: str, path: str) -> bytes | None:
        node = find(self._commit(commit).tree, path)
        return node.data if isinstance(node, pygit2.Blob) else None

    def drafted(self, base: str, then: str, paths: Sequence[str], texts: Mapping[str, bytes]) -> Drafted:
        index, before, old = pygit2.Index(), self._commit(base), self._commit(then)
        index.read_tree(before.tree)
        for path in paths:
            self._put(index, path, find(old.tree, path))
        for path, text in texts.items():
            index.add(pygit2.IndexEntry(path, self.repository.create_blob(text), FileMode.BLOB))
        tree = index.write_tree(self.repository)
        diff = before.tree.diff_to_tree(self.repository[tree].peel(pygit2.Tree))
        files = sorted({delta.new_file.path for delta in diff.deltas})
        return Drafted(str(tree), base, tuple(files), diff.patch or "")

    def _put(self, index: pygit2.Index, path: str, node: pygit2.Object | None) -> None:
        if node is not None:
            index.add(pygit2.IndexEntry(path, node.id, FileMode(node.filemode)))
        elif path in index:
            index.remove(path)

    def branch(self, name: str, draft: Drafted, message: str) -> str:
        if not pygit2.reference_is_valid_name(f"refs/heads/{name}"):
            raise Invalid(f"“{name}” is no name for a branch")
        if name in self.repository.branches.local:
            raise Conflict(f"there is a branch {name} already", hint=f"git branch -D {name}, or --branch NAME")
        try:
            person = self.repository.default_signature
        except KeyError:
            raise Invalid("Git does not know who you are", hint="git config user.name and user.email") from None
        parents = [self._commit(draft.base).id]
        return str(
            self.repository.create_commit(
                f"refs/heads/{name}", person, person, message, pygit2.Oid(hex=draft.tree), parents
            )
        )

    def _commit(self, commit: str) -> pygit2.Commit:
        try:
            return self.repository[commit].peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError):
            raise Unavailable(
                f"commit {commit[:7]} is not in {self.repository.workdir or self.repository.path}",
                hint="git fetch origin; is it a clone of the right repository, and not a shallow one?",
            ) from None
