"""Git over ssh, against a real server: the key opens, the host must be known, and neither is left lying about."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from kedge import compose
from kedge.control.road.enlist import AdminRoot
from kedge.model.errors import Denied
from kedge.sources.git import GitSource
from kedge.sources.secrets import DeclaredSecrets

from .conftest import LOCAL, Repository, Vault

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="git asks over ssh with the ssh program: not here")


class Forge:
    """An ssh server that serves one folder of repositories to one key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.commands: list[str] = []
        self.port = 0

    @property
    def private_key(self) -> str:
        return self.key.export_private_key().decode()

    @property
    def known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key.export_public_key().decode()}"

    @property
    def url(self) -> str:
        return f"ssh://git@127.0.0.1:{self.port}/shop.git"

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        program, path = shlex.split(process.command or "")
        self.commands.append(program)
        child = await asyncio.create_subprocess_exec(
            program, str(self.folder / path.strip("/")), stdin=-1, stdout=-1, stderr=-1
        )
        await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
        process.exit(await child.wait())
        await process.wait_closed()


@asynccontextmanager
async def serving(forge: Forge) -> AsyncIterator[Forge]:
    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return True

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            return username == "git" and key == forge.key.convert_to_public()

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Server,
        server_host_keys=[forge.host_key],
        process_factory=forge.serve,
        encoding=None,
    )
    forge.port = server.get_port()
    try:
        yield forge
    finally:
        server.close()
        await server.wait_closed()


def source_of(tmp_path: Path, secrets: Any) -> GitSource:
    return GitSource(tmp_path / "data", secrets, allowed=LOCAL)


async def test_the_right_key_and_a_known_host_open_the_repository_and_leave_nothing_behind(
    tmp_path: Path, repository: Repository
) -> None:
    commit = repository.commit({"a.yaml": "a: 1"})
    async with serving(Forge(repository.bare.parent)) as forge:
        vault = Vault({"sshKey": forge.private_key, "knownHosts": forge.known_hosts})
        source = source_of(tmp_path, vault)
        assert (await source.fetch(forge.url, "main")).commit == commit
        assert set(forge.commands) == {"git-upload-pack"}
    secret = forge.private_key.splitlines()[1].encode()
    assert all(secret not in file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())


@pytest.mark.parametrize("wrong", ["key", "host"])
async def test_a_strange_key_or_host_is_denied_and_says_what_to_do(
    tmp_path: Path, repository: Repository, wrong: str
) -> None:
    repository.commit({"a.yaml": "a: 1"})
    async with serving(Forge(repository.bare.parent)) as forge:
        other = Forge(tmp_path)
        other.port = forge.port
        vault = Vault(
            {
                "sshKey": (other if wrong == "key" else forge).private_key,
                "knownHosts": (other if wrong == "host" else forge).known_hosts,
            }
        )
        with pytest.raises(Denied) as denied:
            await source_of(tmp_path, vault).fetch(forge.url, "main")
    assert ("permission denied" if wrong == "key" else "host key verification failed") in str(denied.value).lower()
    assert "Credential" in str(denied.value)
    assert forge.commands == []


async def test_the_admin_roots_own_key_comes_from_files_that_the_environment_names(
    tmp_path: Path, repository: Repository
) -> None:
    commit = repository.commit({"a.yaml": "a: 1"})

    async def nothing(name: str) -> str | None:
        return None

    async with serving(Forge(repository.bare.parent)) as forge:
        (tmp_path / "key").write_text(forge.private_key)
        (tmp_path / "hosts").write_text(forge.known_hosts)
        environment = {
            compose.REPO_SSH_KEY: str(tmp_path / "key"),
            compose.REPO_KNOWN_HOSTS: str(tmp_path / "hosts"),
        }
        credentials = compose.admin_credential(AdminRoot(forge.url, "main"), environment)
        source = source_of(tmp_path, DeclaredSecrets(lambda: credentials, environment, nothing))
        assert (await source.fetch(forge.url, "main")).commit == commit
