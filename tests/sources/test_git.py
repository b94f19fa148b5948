"""Git as a source, against real repositories."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kedge.model.errors import Invalid, KedgeError, Unavailable
from kedge.model.source import EntryKind, Revision
from kedge.sources.git import GitSource, Limits
from kedge.sources.mirror import folder_of

from .conftest import LOCAL, Recorder, Repository, Vault


def mirror_of(tmp_path: Path, repository: str) -> Path:
    return folder_of(tmp_path / "data" / "mirrors", repository)


def lose(mirror: Path, blob: str) -> None:
    """Take one object out of a mirror, whether it is packed or loose."""
    for pack in list(mirror.glob("objects/pack/*.pack")):
        moved = pack.rename(mirror / "moved.pack")
        pack.with_suffix(".idx").unlink()
        with moved.open("rb") as packed:
            subprocess.run(["git", "--git-dir", str(mirror), "unpack-objects", "-q"], stdin=packed, check=True)
    (mirror / "objects" / blob[:2] / blob[2:]).unlink()


async def test_a_branch_resolves_to_its_newest_commit(source: GitSource, repository: Repository) -> None:
    commit = repository.commit({"a.yaml": "a: 1"}, "raise \x1b[31mreplicas")
    found = await source.fetch(repository.url, "main")
    assert found == Revision(repository.url, "main", commit, "Mona", "mona@example.com", "raise [31mreplicas", 1.7e9)


@pytest.mark.parametrize("ref", ["", "HEAD", "main", "refs/heads/main", "v1", "refs/tags/v1", "note", "refs/tags/note"])
async def test_every_way_to_name_a_commit_leads_to_it(source: GitSource, repository: Repository, ref: str) -> None:
    commit = repository.commit({"a.yaml": "a: 1"})
    repository.git("tag", "v1")
    repository.git("tag", "-a", "note", "-m", "an annotated tag")
    repository.push("--tags")
    assert (await source.fetch(repository.url, ref)).commit == commit


async def test_full_and_short_ids_lead_to_commits_that_no_branch_ends_in(
    source: GitSource, repository: Repository
) -> None:
    old = repository.commit({"a.yaml": "a: 1"})
    repository.commit({"a.yaml": "a: 2"})
    assert (await source.fetch(repository.url, old)).commit == old
    assert (await source.fetch(repository.url, old[:9])).commit == old


async def test_a_commit_by_its_id_is_asked_for_once(
    source: GitSource, repository: Repository, recorder: Recorder
) -> None:
    commit = repository.commit({"a.yaml": "a: 1"})
    await source.fetch(repository.url, commit)
    calls = len(recorder.calls)
    shutil.rmtree(repository.bare)
    assert (await source.fetch(repository.url, commit)).commit == commit
    assert len(recorder.calls) == calls


async def test_a_branch_goes_before_a_tag_of_its_name(source: GitSource, repository: Repository) -> None:
    repository.commit({"a.yaml": "a: 1"})
    repository.git("tag", "twice")
    repository.git("switch", "-q", "-c", "twice")
    commit = repository.commit({"a.yaml": "a: 2"})
    repository.push("--tags")
    assert (await source.fetch(repository.url, "twice")).commit == commit


async def test_nothing_is_fetched_when_nothing_moved(
    source: GitSource, repository: Repository, recorder: Recorder
) -> None:
    repository.commit({"a.yaml": "a: 1"})
    first = await source.fetch(repository.url, "main")
    assert await source.fetch(repository.url, "main") == first
    assert (recorder.verbs("ls-remote"), recorder.verbs("fetch")) == (2, 1)


async def test_all_who_come_together_share_one_question(
    source: GitSource, repository: Repository, recorder: Recorder
) -> None:
    repository.commit({"a.yaml": "a: 1"})
    found = await asyncio.gather(*(source.fetch(repository.url, "main") for _ in range(50)))
    assert len(set(found)) == 1
    assert recorder.verbs("ls-remote") == 1


async def test_who_comes_while_it_is_asked_gets_a_newer_answer(
    tmp_path: Path, vault: Vault, repository: Repository
) -> None:
    repository.commit({"a.yaml": "a: 1"})
    pushed: list[str] = []
    later: list[asyncio.Task[Revision]] = []

    class Late(Recorder):
        async def __call__(self, argv, *, env, **more):  # type: ignore[no-untyped-def]
            done = await super().__call__(argv, env=env, **more)
            if "ls-remote" in argv and not pushed:  # the answer is out; now somebody pushes, and a webhook comes
                pushed.append(repository.commit({"a.yaml": "a: 2"}))
                later.append(asyncio.create_task(source.fetch(repository.url, "main")))
                await asyncio.sleep(0)
            return done

    source = GitSource(tmp_path / "data", vault, run=Late(), search=os.environ["PATH"], allowed=LOCAL)
    await source.fetch(repository.url, "main")
    assert (await later[0]).commit == pushed[0]


async def test_a_cancelled_leader_does_not_take_the_others_down(source: GitSource, repository: Repository) -> None:
    commit = repository.commit({"a.yaml": "a: 1"})
    leader = asyncio.create_task(source.fetch(repository.url, "main"))
    follower = asyncio.create_task(source.fetch(repository.url, "main"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leader.cancel()
    assert (await follower).commit == commit


async def test_refs_of_one_repository_are_fetched_one_after_the_other(
    source: GitSource, repository: Repository
) -> None:
    commits = []
    for number in range(4):
        repository.git("switch", "-q", "-c", f"b{number}")
        commits.append(repository.commit({f"{number}.yaml": "a: 1"}))
    found = await asyncio.gather(*(source.fetch(repository.url, f"b{number}") for number in range(4)))
    assert [revision.commit for revision in found] == commits


async def test_a_forced_push_is_followed_and_told(source: GitSource, repository: Repository) -> None:
    repository.commit({"a.yaml": "a: 1"})
    before = await source.fetch(repository.url, "main")
    repository.git("commit", "-q", "--amend", "-m", "another history")
    repository.push()
    after = await source.fetch(repository.url, "main")
    assert after.subject == "another history"
    assert not source.descends(before, after)
    repository.commit({"a.yaml": "a: 2"})
    newest = await source.fetch(repository.url, "main")
    assert source.descends(after, newest)
    assert source.descends(newest, newest)
    assert not source.descends(newest, after)
    assert source.changed(before, newest) == ["a.yaml"]


@pytest.mark.parametrize("ref", ["nope", "refs/heads/nope", "f" * 40, "abcdef0", "refs/tags/main"])
async def test_a_ref_that_is_not_there_is_invalid(source: GitSource, repository: Repository, ref: str) -> None:
    repository.commit({"a.yaml": "a: 1"})
    with pytest.raises(Invalid):
        await source.fetch(repository.url, ref)


@pytest.mark.parametrize(
    "ref", ["-x", "--upload-pack=x", "a b", "a..b", "a:b", "*", "a\nb", "a^{}", "x" * 251, "a.lock"]
)
async def test_what_can_be_no_ref_is_refused_before_git_is_asked(
    source: GitSource, repository: Repository, recorder: Recorder, ref: str
) -> None:
    with pytest.raises(Invalid):
        await source.fetch(repository.url, ref)
    assert not recorder.calls


async def test_an_empty_repository_says_so(source: GitSource, repository: Repository) -> None:
    with pytest.raises(Invalid, match="empty"):
        await source.fetch(repository.url, "")


async def test_a_tag_of_a_file_leads_to_no_commit(source: GitSource, repository: Repository) -> None:
    repository.commit({"a.yaml": "a: 1"})
    repository.git("tag", "file", repository.git("rev-parse", "HEAD:a.yaml"))
    repository.push("--tags")
    with pytest.raises(Invalid, match="no commit"):
        await source.fetch(repository.url, "file")


async def test_a_repository_that_is_gone_is_an_error_and_what_was_read_stays(
    source: GitSource, repository: Repository
) -> None:
    repository.commit({"a.yaml": "a: 1"})
    revision = await source.fetch(repository.url, "main")
    shutil.rmtree(repository.bare)
    with pytest.raises(KedgeError):
        await source.fetch(repository.url, "main")
    assert source.snapshot(revision).entry("a.yaml") is not None


async def test_a_snapshot_of_what_was_never_fetched_is_unavailable(source: GitSource, repository: Repository) -> None:
    with pytest.raises(Unavailable):
        source.snapshot(Revision(repository.url, "main", "f" * 40))


class TestSnapshot:
    async def test_files_are_read_from_the_object_database(self, source: GitSource, repository: Repository) -> None:
        repository.write({"run.sh": "#!"})
        (repository.work / "run.sh").chmod(0o755)
        repository.commit({"apps/web/a.yaml": "a: 1", "apps/b.yaml": "", "README": "x"})
        snapshot = source.snapshot(await source.fetch(repository.url, "main"))
        assert [entry.path for entry in snapshot.entries("", recurse=True)] == [
            "README",
            "apps",
            "apps/b.yaml",
            "apps/web",
            "apps/web/a.yaml",
            "run.sh",
        ]
        assert [entry.path for entry in snapshot.entries("apps")] == ["apps/b.yaml", "apps/web"]
        file = snapshot.entry("apps/web/a.yaml")
        assert file is not None
        assert (snapshot.read(file), file.size, file.kind) == (b"a: 1", 4, EntryKind.FILE)
        script = snapshot.entry("run.sh")
        assert script is not None
        assert script.executable
        assert not list(repository.bare.parent.parent.glob("data/mirrors/*/index"))

    async def test_what_is_not_there_is_none(self, source: GitSource, repository: Repository) -> None:
        repository.commit({"apps/a.yaml": "a: 1"})
        snapshot = source.snapshot(await source.fetch(repository.url, "main"))
        for path in ("", "nope", "apps/nope", "apps/a.yaml/x", "../x", "apps/../apps/a.yaml", "apps//a.yaml", "\udc80"):
            assert snapshot.entry(path) is None
        assert snapshot.entries("nope") == ()
        assert snapshot.entries("apps/a.yaml") == ()

    async def test_a_symlink_is_shown_and_never_followed(self, source: GitSource, repository: Repository) -> None:
        (repository.work / "out").symlink_to("/etc")
        (repository.work / "passwd").symlink_to("../../../../etc/passwd")
        repository.commit({})
        snapshot = source.snapshot(await source.fetch(repository.url, "main"))
        link = snapshot.entry("passwd")
        assert link is not None
        assert (link.kind, snapshot.read(link)) == (EntryKind.SYMLINK, b"../../../../etc/passwd")
        assert snapshot.entry("out/passwd") is None
        assert snapshot.entries("out") == ()

    async def test_a_submodule_is_shown_and_never_fetched(
        self, source: GitSource, repository: Repository, recorder: Recorder
    ) -> None:
        repository.commit({".gitmodules": '[submodule "x"]\n\tpath = lib\n\turl = https://127.0.0.1:1/x\n'})
        repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib")
        repository.git("commit", "-q", "-m", "a submodule")
        repository.push()
        snapshot = source.snapshot(await source.fetch(repository.url, "main"))
        module = snapshot.entry("lib")
        assert module is not None
        assert (module.kind, module.id) == (EntryKind.SUBMODULE, "1" * 40)
        with pytest.raises(Invalid):
            snapshot.read(module)
        assert snapshot.entries("lib") == ()

    async def test_a_file_over_the_limit_is_listed_and_not_read(
        self, source: GitSource, repository: Repository
    ) -> None:
        repository.commit({"huge.yaml": b"#" * 1_000_001, "small.yaml": "a: 1"})
        snapshot = source.snapshot(await source.fetch(repository.url, "main"))
        huge = snapshot.entry("huge.yaml")
        assert huge is not None
        assert huge.size == 1_000_001
        with pytest.raises(Invalid, match=r"huge\.yaml"):
            snapshot.read(huge)

    async def test_names_in_every_writing_are_read(self, source: GitSource, repository: Repository) -> None:
        repository.commit({"größe/日本.yaml": "a: 1", "with space.yaml": "b"})
        snapshot = source.snapshot(await source.fetch(repository.url, "main"))
        assert snapshot.entry("größe/日本.yaml") is not None
        assert [entry.path for entry in snapshot.entries("größe")] == ["größe/日本.yaml"]

    async def test_a_name_that_is_no_text_is_written_out(self, source: GitSource, repository: Repository) -> None:
        Path(os.fsdecode(os.fsencode(repository.work) + b"/caf\xe9.yaml")).write_text("a: 1")
        commit = repository.commit({})
        before = await source.fetch(repository.url, "main")
        (entry,) = source.snapshot(before).entries("")
        assert entry.path == "caf\\xe9.yaml"
        assert source.snapshot(before).read(entry) == b"a: 1"
        repository.commit({"b.yaml": "b"})
        assert source.changed(before, await source.fetch(repository.url, "main")) == ["b.yaml"]
        assert before.commit == commit


class TestHistory:
    async def test_changed_paths_are_files(self, source: GitSource, repository: Repository) -> None:
        repository.commit({"a/x.yaml": "1", "a/y.yaml": "1", "gone/z.yaml": "1", "turn": "1", "mode": "1"})
        before = await source.fetch(repository.url, "main")
        repository.git("rm", "-q", "-r", "gone", "turn")
        (repository.work / "mode").chmod(0o755)
        repository.commit({"a/x.yaml": "2", "new/deep/n.yaml": "1", "turn/inside": "1"})
        after = await source.fetch(repository.url, "main")
        paths = ["a/x.yaml", "gone/z.yaml", "mode", "new/deep/n.yaml", "turn", "turn/inside"]
        assert source.changed(before, after) == paths
        assert source.changed(after, before) == paths
        assert source.changed(after, after) == []

    async def test_what_is_not_at_hand_is_not_compared(self, source: GitSource, repository: Repository) -> None:
        repository.commit({"a": "1"})
        here = await source.fetch(repository.url, "main")
        assert source.changed(Revision(repository.url, "main", "f" * 40), here) is None
        assert source.changed(Revision("https://elsewhere/x", "main", here.commit), here) is None

    async def test_the_commit_that_touched_a_path_is_found(self, source: GitSource, repository: Repository) -> None:
        first = repository.commit({"a/x": "1", "b/x": "1"}, "first")
        second = repository.commit({"b/x": "2"}, "second")
        repository.commit({}, "empty")
        head = await source.fetch(repository.url, "main")
        assert source.touched(head, ["a"]).commit == first
        assert source.touched(head, ["b/x"]).commit == second
        assert source.touched(head, ["a", "b"]).commit == second
        assert source.touched(head, [""]).commit == second
        assert source.touched(head, []) == head

    async def test_through_a_merge_the_side_that_changed_it_is_found(
        self, source: GitSource, repository: Repository
    ) -> None:
        repository.commit({"a": "1", "b": "1"})
        repository.git("switch", "-q", "-c", "side")
        side = repository.commit({"b": "2"}, "on the side", push=False)
        repository.git("switch", "-q", "main")
        main = repository.commit({"a": "2"}, "on main", push=False)
        repository.git("merge", "-q", "--no-ff", "-m", "merge", "side")
        repository.push()
        head = await source.fetch(repository.url, "main")
        assert source.touched(head, ["b"]).commit == side
        assert source.touched(head, ["a"]).commit == main

    async def test_the_cost_of_changed_follows_the_change(
        self, source: GitSource, repository: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        repository.commit({f"apps/{n // 20:03}/{n % 20:02}.yaml": f"n: {n}" for n in range(10_000)})
        before = await source.fetch(repository.url, "main")
        repository.commit({"apps/007/07.yaml": "n: changed"})
        after = await source.fetch(repository.url, "main")
        opened: list[object] = []
        from kedge.sources import history

        plain = history._entries
        monkeypatch.setattr(history, "_entries", lambda folder: (opened.append(folder), plain(folder))[1])
        assert source.changed(before, after) == ["apps/007/07.yaml"]
        assert len(opened) == 6  # the root, apps and apps/007, in two versions


class TestRecovery:
    async def test_a_ruined_mirror_is_made_anew(
        self, tmp_path: Path, source: GitSource, repository: Repository
    ) -> None:
        commit = repository.commit({"a.yaml": "a: 1"})
        await source.fetch(repository.url, "main")
        folder = mirror_of(tmp_path, repository.url)
        for ruin in (
            lambda: (folder / "HEAD").unlink(),
            lambda: shutil.rmtree(folder / "objects"),
            lambda: (folder / "config").write_text("[core\nnonsense"),
            lambda: shutil.rmtree(folder),
        ):
            ruin()
            again = GitSource(tmp_path / "data", Vault(), search=os.environ["PATH"], allowed=LOCAL)
            revision = await again.fetch(repository.url, "main")
            assert revision.commit == commit
            entry = again.snapshot(revision).entry("a.yaml")
            assert entry is not None
            assert again.snapshot(revision).read(entry) == b"a: 1"

    async def test_lost_objects_are_noticed_when_read_and_fetched_again(
        self, tmp_path: Path, source: GitSource, repository: Repository
    ) -> None:
        repository.commit({"a.yaml": "a: 1", "b/c.yaml": "c: 1"})
        revision = await source.fetch(repository.url, "main")
        blob = repository.git("rev-parse", "HEAD:b/c.yaml")
        lose(mirror_of(tmp_path, repository.url), blob)
        again = GitSource(tmp_path / "data", Vault(), search=os.environ["PATH"], allowed=LOCAL)
        assert await again.fetch(repository.url, "main") == revision
        with pytest.raises(Unavailable):
            again.snapshot(revision).entries("b")
        await again.fetch(repository.url, "main")
        assert len(again.snapshot(revision).entries("b")) == 1

    async def test_a_mirror_is_not_thrown_away_for_the_ruin_of_the_other_side(
        self, source: GitSource, repository: Repository
    ) -> None:
        repository.commit({"a.yaml": "a: 1"})
        before = await source.fetch(repository.url, "main")
        repository.commit({"a.yaml": "a: 2"})
        blob = repository.git("rev-parse", "HEAD:a.yaml")
        lose(repository.bare, blob)
        with pytest.raises(KedgeError):
            await source.fetch(repository.url, "main")
        entry = source.snapshot(before).entry("a.yaml")
        assert entry is not None
        assert source.snapshot(before).read(entry) == b"a: 1"

    async def test_what_is_left_of_a_mirror_stays_until_the_other_side_answers(
        self, tmp_path: Path, source: GitSource, repository: Repository
    ) -> None:
        repository.commit({"a.yaml": "a: 1", "b/c.yaml": "c: 1"})
        revision = await source.fetch(repository.url, "main")
        lose(mirror_of(tmp_path, repository.url), repository.git("rev-parse", "HEAD:b/c.yaml"))
        again = GitSource(tmp_path / "data", Vault(), search=os.environ["PATH"], allowed=LOCAL)
        with pytest.raises(Unavailable):
            again.snapshot(revision).entries("b")
        away = repository.bare.rename(repository.bare.with_name("away"))
        with pytest.raises(KedgeError):
            await again.fetch(repository.url, "main")
        assert again.snapshot(revision).entry("a.yaml") is not None
        away.rename(repository.bare)
        await again.fetch(repository.url, "main")
        assert len(again.snapshot(revision).entries("b")) == 1

    async def test_locks_of_a_killed_process_do_not_last(
        self, tmp_path: Path, source: GitSource, repository: Repository
    ) -> None:
        repository.commit({"a.yaml": "a: 1"})
        await source.fetch(repository.url, "main")
        folder = mirror_of(tmp_path, repository.url)
        (ref,) = (folder / "refs" / "kedge").iterdir()
        left = [folder / "packed-refs.lock", folder / "config.lock", ref.with_suffix(".lock"), folder / "HEAD.lock"]
        for lock in left:
            lock.touch()
        newest = repository.commit({"a.yaml": "a: 2"})
        assert (await source.fetch(repository.url, "main")).commit == newest
        assert not any(lock.exists() for lock in left)

    async def test_a_fetch_that_is_killed_halfway_leaves_nothing_that_matters(
        self, tmp_path: Path, vault: Vault, repository: Repository
    ) -> None:
        commit = repository.commit({"a.yaml": "a: 1"})
        wrapper = tmp_path / "bin" / "git"
        wrapper.parent.mkdir()
        marker = tmp_path / "killed"
        wrapper.write_text(
            f'#!/bin/sh\ncase "$*" in *fetch*) [ -e {marker} ] || {{ : >{marker}; kill -9 $$; }};; esac\n'
            f'exec {shutil.which("git")} "$@"\n'
        )
        wrapper.chmod(0o755)
        search = f"{wrapper.parent}:{os.environ['PATH']}"
        source = GitSource(tmp_path / "data", vault, search=search, allowed=LOCAL)
        with pytest.raises(Unavailable):
            await source.fetch(repository.url, "main")
        assert (await source.fetch(repository.url, "main")).commit == commit

    async def test_many_small_fetches_are_put_together_and_everything_stays_readable(
        self, source: GitSource, repository: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kedge.sources.mirror._CONSOLIDATE", 3)
        seen = []
        for number in range(7):
            repository.commit({"a.yaml": f"a: {number}"})
            seen.append(await source.fetch(repository.url, "main"))
        snapshots = [source.snapshot(revision) for revision in seen]
        entries = [snapshot.entry("a.yaml") for snapshot in snapshots]
        read = [snapshot.read(entry) for snapshot, entry in zip(snapshots, entries, strict=True) if entry is not None]
        assert read == [f"a: {number}".encode() for number in range(7)]

    async def test_a_repository_over_the_limit_is_not_kept(
        self, tmp_path: Path, vault: Vault, repository: Repository
    ) -> None:
        repository.commit({f"{n}.bin": os.urandom(5_000) for n in range(150)})
        source = GitSource(
            tmp_path / "data", vault, search=os.environ["PATH"], allowed=LOCAL, limits=Limits(mirror=100_000)
        )
        with pytest.raises(Invalid, match="100000"):
            await source.fetch(repository.url, "main")
        assert not mirror_of(tmp_path, repository.url).exists()


async def tagged(source: GitSource, repository: Repository, tag: str, *more: str) -> str:
    commit = repository.commit({"a.yaml": f"tag: {tag}"}, f"release {tag}")
    repository.git("tag", *more, tag)
    repository.push(f"refs/tags/{tag}")
    return commit


async def test_the_newest_tag_in_a_range_is_followed_and_is_the_revision(source: GitSource, repository: Repository):
    await tagged(source, repository, "v1.2.0")
    second = await tagged(source, repository, "v1.10.0", "-a", "-m", "annotated")
    for tag in ("v2.0.0", "v1.11.0-rc.1", "nightly", "1.9.9"):
        await tagged(source, repository, tag)
    found = await source.fetch(repository.url, "version >=1.2 <2")
    assert (found.commit, found.version, found.ref) == (second, "v1.10.0", "version >=1.2 <2")
    third = await tagged(source, repository, "v1.10.1")
    newer = await source.fetch(repository.url, "version >=1.2 <2")
    assert (newer.commit, newer.version) == (third, "v1.10.1")
    assert source.changed(found, newer) == ["a.yaml"]
    assert source.descends(newer, found)  # another version is no rewritten history


async def test_prereleases_are_followed_only_by_a_range_that_names_one(source: GitSource, repository: Repository):
    await tagged(source, repository, "v1.0.0")
    await tagged(source, repository, "v1.1.0-rc.1")
    assert (await source.fetch(repository.url, "version 1.x")).version == "v1.0.0"
    assert (await source.fetch(repository.url, "version >=1.0.0-0")).version == "v1.1.0-rc.1"


async def test_a_tag_that_is_moved_is_followed_and_counts_as_rewritten(source: GitSource, repository: Repository):
    await tagged(source, repository, "v1.0.0")
    before = await source.fetch(repository.url, "version 1.x")
    repository.git("checkout", "-q", "--orphan", "other")
    moved = repository.commit({"a.yaml": "another"}, "another")
    repository.git("tag", "-f", "v1.0.0")
    repository.push("refs/tags/v1.0.0")
    after = await source.fetch(repository.url, "version 1.x")
    assert (after.commit, after.version) == (moved, "v1.0.0")
    assert not source.descends(before, after)


async def test_a_range_that_no_tag_is_in_says_so(source: GitSource, repository: Repository):
    await tagged(source, repository, "v1.0.0")
    with pytest.raises(Invalid, match=r"none of the 1 tags of .* is a version in “>=2”"):
        await source.fetch(repository.url, "version >=2")
    with pytest.raises(Invalid, match="range of versions"):
        await source.fetch(repository.url, "version --upload-pack=x")


async def test_a_long_history_is_fetched_from_its_end_and_goes_on_from_there(tmp_path: Path, repository: Repository):
    for number in range(12):
        repository.commit({"a.yaml": str(number)}, f"change {number}", push=False)
    repository.push()
    first = repository.git("rev-list", "--max-parents=0", "HEAD")
    url = f"file://{repository.bare}"
    source = GitSource(tmp_path / "data", Vault(), search=os.environ["PATH"], allowed=LOCAL, limits=Limits(depth=5))
    before = await source.fetch(url, "main")
    mirror = mirror_of(tmp_path, url)
    assert count(mirror) == 5
    repository.commit({"b.yaml": "new"}, "more")
    after = await source.fetch(url, "main")
    assert count(mirror) == 6
    assert source.descends(before, after)
    assert source.changed(before, after) == ["b.yaml"]
    assert source.touched(after, ["a.yaml"]).commit == before.commit
    assert (await source.fetch(url, first)).commit == first  # what is older comes when it is asked for
    assert (await source.fetch(url, first[:9])).commit == first


def count(mirror: Path) -> int:
    done = subprocess.run(
        ["git", "--git-dir", str(mirror), "rev-list", "--all", "--count"], capture_output=True, check=True
    )
    return int(done.stdout)
