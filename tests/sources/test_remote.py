"""What git is told and what becomes of its failures: a secret reaches the server it is for, and nobody else."""

from __future__ import annotations

import base64
import os
import shutil
import stat
import traceback
from pathlib import Path

import pytest

from kedge import process
from kedge.model.errors import Denied, Invalid, KedgeError, Unavailable
from kedge.sources.address import Allowed, parse
from kedge.sources.git import GitSource
from kedge.sources.remote import Remote

from .conftest import CANARY, LOCAL, Recorder, Repository, Vault, WebServer


@pytest.fixture
def watched(tmp_path: Path) -> tuple[str, Path]:
    """A git that writes down its command line as the system shows it to everybody, and as it got it."""
    folder = tmp_path / "watching"
    folder.mkdir()
    seen = folder / "seen"
    wrapper = folder / "git"
    wrapper.write_text(
        f'#!/bin/sh\ntr "\\0" " " < /proc/$$/cmdline >> {seen}\necho "$@" >> {seen}\nexec {shutil.which("git")} "$@"\n'
    )
    wrapper.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}", seen


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_password_opens_what_it_is_for_and_is_seen_nowhere(
    tmp_path: Path, repository: Repository, web: WebServer, watched: tuple[str, Path]
) -> None:
    commit = repository.commit({"a.yaml": "a: 1"})
    web.password = CANARY
    search, seen = watched
    vault = Vault({"username": "mona", "password": CANARY})
    source = GitSource(tmp_path / "data", vault, search=search, allowed=LOCAL)
    assert (await source.fetch(f"{web.url}/shop.git", "main")).commit == commit
    assert "fetch" in seen.read_text()
    assert CANARY not in seen.read_text()
    assert CANARY.encode() not in everything_below(tmp_path / "data")
    assert any(given.startswith("Basic ") for given in web.authorizations)


async def test_a_token_goes_with_the_user_name_that_forges_take(
    tmp_path: Path, repository: Repository, web: WebServer, recorder: Recorder
) -> None:
    repository.commit({"a.yaml": "a: 1"})
    source = GitSource(tmp_path / "data", Vault({"token": CANARY}), run=recorder, allowed=LOCAL)
    await source.fetch(f"{web.url}/shop.git", "main")
    sent = [value for _, env in recorder.calls for value in env.values() if value.startswith("Authorization: Basic ")]
    assert sent
    assert base64.b64decode(sent[0].split()[-1]).decode() == f"x-access-token:{CANARY}"


@pytest.mark.parametrize("values", [{}, {"username": "mona", "password": f"{CANARY}-wrong"}])
async def test_a_missing_or_wrong_password_is_denied_without_being_told(
    tmp_path: Path, repository: Repository, web: WebServer, values: dict[str, str]
) -> None:
    repository.commit({"a.yaml": "a: 1"})
    web.password = CANARY
    source = GitSource(tmp_path / "data", Vault(values), allowed=LOCAL)
    with pytest.raises(Denied) as denied:
        await source.fetch(f"{web.url}/shop.git", "main")
    told = "".join(traceback.format_exception(denied.value)) + repr(denied.value.problems)
    assert CANARY not in told
    assert "Credential" in str(denied.value)


async def test_a_secret_that_the_other_side_repeats_is_taken_out(tmp_path: Path) -> None:
    async def parrot(argv, *, env, **more):  # type: ignore[no-untyped-def]
        heard = [value for value in env.values() if "Basic" in value]
        return process.Completed(128, b"", f"fatal: remote said {CANARY} and {heard} at https://u:{CANARY}@h/x")

    remote = Remote(tmp_path / "git", Vault({"password": CANARY}), parrot, search="/usr/bin", allowed=LOCAL)
    with pytest.raises(Unavailable) as failed:
        await remote.refs(parse("https://127.0.0.1/x", LOCAL), ["HEAD"])
    assert CANARY not in str(failed.value)
    assert "***" in str(failed.value)
    assert base64.b64encode(f"x-access-token:{CANARY}".encode()).decode() not in str(failed.value)


async def test_a_redirect_is_not_followed_and_takes_no_secret_along(
    tmp_path: Path, repository: Repository, web: WebServer
) -> None:
    repository.commit({"a.yaml": "a: 1"})
    other = WebServer(repository.bare.parent)
    try:
        web.redirect = f"http://localhost:{other.port}"
        source = GitSource(tmp_path / "data", Vault({"username": "mona", "password": CANARY}), allowed=LOCAL)
        with pytest.raises(Invalid, match="redirect"):
            await source.fetch(f"{web.url}/shop.git", "main")
        assert other.authorizations == []
    finally:
        other.close()


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Denied), (403, Denied), (404, Invalid), (500, Unavailable), (503, Unavailable)]
)
async def test_a_servers_answer_tells_who_has_to_act(
    source: GitSource, web: WebServer, status: int, kind: type[KedgeError]
) -> None:
    web.status = status
    with pytest.raises(kind):
        await source.fetch(f"{web.url}/shop.git", "main")


async def test_a_server_that_is_down_is_unavailable(source: GitSource, web: WebServer) -> None:
    url = f"{web.url}/shop.git"
    web._http.server_close()
    with pytest.raises(Unavailable, match="look whether its server runs"):
        await source.fetch(url, "main")


async def test_a_name_that_nobody_knows_is_unavailable(source: GitSource) -> None:
    with pytest.raises(Unavailable, match="not known"):
        await source.fetch("https://git.invalid/shop.git", "main")


async def test_a_name_that_leads_to_loopback_is_refused_before_git_runs(tmp_path: Path, recorder: Recorder) -> None:
    source = GitSource(tmp_path / "data", Vault(), run=recorder, allowed=Allowed())
    with pytest.raises(Invalid, match="not connected to"):
        await source.fetch("https://localhost/shop.git", "main")
    assert not recorder.calls


async def test_git_gets_nothing_of_our_environment(
    source: GitSource, repository: Repository, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("SECRET_OF_OURS", CANARY)
    repository.commit({"a.yaml": "a: 1"})
    await source.fetch(repository.url, "main")
    for _, env in recorder.calls:
        assert "GIT_DIR" not in env
        assert CANARY not in env.values()
        assert env["GIT_TERMINAL_PROMPT"] == "0"
        assert env["GIT_CONFIG_NOSYSTEM"] == "1"
        assert "ext" not in env["GIT_ALLOW_PROTOCOL"].split(":")


async def test_hooks_of_a_mirror_never_run(tmp_path: Path, source: GitSource, repository: Repository) -> None:
    repository.commit({"a.yaml": "a: 1"})
    await source.fetch(repository.url, "main")
    (mirror,) = (tmp_path / "data" / "mirrors").glob("*.git")
    ran = tmp_path / "ran"
    (mirror / "hooks").mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-fetch", "pre-auto-gc"):
        hook = mirror / "hooks" / name
        hook.write_text(f"#!/bin/sh\n: > {ran}\n")
        hook.chmod(0o755)
    repository.commit({"a.yaml": "a: 2"})
    await source.fetch(repository.url, "main")
    assert not ran.exists()


class TestSsh:
    KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}-line-of-a-key\n-----END OPENSSH PRIVATE KEY-----"

    async def test_key_and_known_hosts_are_private_files_that_live_as_long_as_the_call(self, tmp_path: Path) -> None:
        seen: dict[str, object] = {}

        async def look(argv, *, env, **more):  # type: ignore[no-untyped-def]
            (folder,) = (tmp_path / "git").glob("key-*")
            seen["modes"] = [stat.S_IMODE(path.stat().st_mode) for path in (folder, *sorted(folder.iterdir()))]
            seen["key"] = (folder / "key").read_text()
            seen["command"] = env["GIT_SSH_COMMAND"]
            seen["argv"] = " ".join(argv)
            return process.Completed(128, b"", f"Permission denied (publickey). {CANARY}-line-of-a-key")

        vault = Vault({"sshKey": self.KEY, "knownHosts": "h ssh-ed25519 AAAA"})
        remote = Remote(tmp_path / "git", vault, look, search="/usr/bin", allowed=LOCAL)
        with pytest.raises(Denied) as denied:
            await remote.refs(parse("ssh://git@127.0.0.1/shop.git", LOCAL), ["HEAD"])
        assert seen["modes"] == [0o700, 0o600, 0o600]
        assert str(seen["key"]).endswith("-----\n")
        assert CANARY not in str(seen["command"])
        assert CANARY not in str(seen["argv"])
        assert CANARY not in str(denied.value)
        assert "StrictHostKeyChecking=yes" in str(seen["command"])
        assert not list((tmp_path / "git").glob("key-*"))

    @pytest.mark.parametrize("values", [{}, {"sshKey": KEY}, {"knownHosts": "h ssh-ed25519 AAAA"}])
    async def test_without_key_or_known_hosts_nothing_is_tried(
        self, tmp_path: Path, recorder: Recorder, values: dict[str, str]
    ) -> None:
        source = GitSource(tmp_path / "data", Vault(values), run=recorder, allowed=LOCAL)
        with pytest.raises(Denied, match=r"sshKey|knownHosts"):
            await source.fetch("git@127.0.0.1:shop/web.git", "main")
        assert not recorder.calls

    async def test_keys_that_a_killed_process_left_are_removed(self, tmp_path: Path, repository: Repository) -> None:
        left = tmp_path / "data" / "git" / "key-left"
        left.mkdir(parents=True)
        (left / "key").write_text(self.KEY)
        repository.commit({"a.yaml": "a: 1"})
        await GitSource(tmp_path / "data", Vault(), allowed=LOCAL).fetch(repository.url, "main")
        assert not left.exists()
