"""What whoever may push, or keeps the server, can do to us by it."""

from __future__ import annotations

import os
from pathlib import Path

import pygit2
import pytest

from kedge.model.errors import Invalid
from kedge.sources.git import GitSource, Limits
from kedge.sources.mirror import folder_of

from .conftest import LOCAL, Repository, Vault


async def test_a_commit_of_endless_words_is_refused_before_it_is_unpacked(
    source: GitSource, repository: Repository
) -> None:
    # 600 KB of pack, and every look at the commit took 1.2 GB of this process.
    bare = pygit2.Repository(str(repository.bare))
    tree, by = bare.TreeBuilder().write(), pygit2.Signature("Mallory", "m@example.com", 0, 0)
    bare.create_commit("refs/heads/main", by, by, "m" * (2 << 20), tree, [])
    with pytest.raises(Invalid, match="bytes of words"):
        await source.fetch(repository.url, "main")


async def test_a_server_that_sends_without_end_is_cut_off_at_the_bound(
    tmp_path: Path, repository: Repository, vault: Vault
) -> None:
    limits = Limits(mirror=3 << 20, pieces=16 << 20)
    source = GitSource(tmp_path / "d", vault, search=os.environ["PATH"], allowed=LOCAL, limits=limits)
    first = repository.commit({"a": "a"})
    assert (await source.fetch(repository.url, "main")).commit == first
    repository.commit({f"big{n}": os.urandom(1 << 20) for n in range(8)})
    with pytest.raises(Invalid, match="that are kept"):
        await source.fetch(repository.url, "main")
    assert sum(file.stat().st_size for file in (tmp_path / "d").rglob("*") if file.is_file()) < 1 << 20
    repository.git("reset", "-q", "--hard", first)
    repository.push()
    assert (await source.fetch(repository.url, "main")).commit == first


async def test_what_a_repository_says_of_filters_and_links_is_never_acted_upon(
    tmp_path: Path, source: GitSource, repository: Repository
) -> None:
    canary = tmp_path / "ran"
    repository.write(
        {
            ".gitattributes": "* filter=evil diff=evil merge=evil text eol=crlf ident export-subst\n",
            ".gitconfig": f'[filter "evil"]\n\tsmudge = touch {canary}\n',
            ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% {canary}\n',
            ".lfsconfig": "[lfs]\n\turl = http://169.254.169.254/\n",
            "a.yaml": "$Id$ $Format:%H$\n",
        }
    )
    (repository.work / "loop").symlink_to("loop")
    (repository.work / "passwd").symlink_to("/etc/passwd")
    revision = await source.fetch(repository.url, repository.commit({}))
    snapshot = source.snapshot(revision)
    read = {e.path: snapshot.read(e) for e in snapshot.entries("", recurse=True)}
    assert read["a.yaml"] == b"$Id$ $Format:%H$\n"
    assert (read["loop"], read["passwd"]) == (b"loop", b"/etc/passwd")
    assert not canary.exists()


async def test_a_submodule_that_would_run_a_program_is_refused_as_it_comes(
    source: GitSource, repository: Repository
) -> None:
    evil = '[submodule "x"]\n\tpath = x\n\turl = https://example.com/x\n\tupdate = !touch /tmp/canary\n'
    repository.commit({".gitmodules": evil})
    with pytest.raises(Invalid, match="gitmodulesUpdate"):
        await source.fetch(repository.url, "main")


@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "a\0b", "x" * 10_000, "A", "a/../b", "git~1", "\u202e"])
def test_no_name_of_a_repository_becomes_a_path(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path, name)
    assert folder.parent == tmp_path
    assert len(folder.name) == 44
    assert folder.name.isascii()
