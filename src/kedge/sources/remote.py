"""The git program and the other side: what it is told, what it may do, and what its failures mean.

A secret reaches git by its environment or by a private file, never by an argument or a URL, and is taken out of
everything that git says before anybody sees it.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shlex
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kedge.http import refusal
from kedge.model.errors import Denied, Invalid, Unavailable
from kedge.ports import Secrets
from kedge.process import Completed
from kedge.sources.address import Address, Allowed

LIST_SECONDS = 60.0
FETCH_SECONDS = 600.0
OUTPUT_LIMIT = 32 * 1024 * 1024
MEMORY = 4 << 30
"""Bytes of address space that git may take, most of which are packs that it looks into."""
TOKEN_USER = "x-access-token"  # noqa: S105 - the user name that forges take beside a token
_SHOWN = 400

_CONFIG = """[core]
\thooksPath = /dev/null
\tfsmonitor = false
\tbigFileThreshold = 16m
\tpackedGitWindowSize = 32m
\tpackedGitLimit = 512m
[pack]
\tthreads = 2
[transfer]
\tfsckObjects = true
[fetch]
\trecurseSubmodules = false
\twriteCommitGraph = false
[submodule]
\trecurse = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[http]
\tfollowRedirects = false
\tlowSpeedLimit = 1
\tlowSpeedTime = 60
[safe]
\tdirectory = *
[credential]
\thelper =
[init]
\tdefaultBranch = main
[protocol]
\tallow = never
"""

_DENIED = re.compile(
    r"authentication failed|could not read (username|password)|permission denied|host key verification failed|"
    r"access denied|returned error: 40[13]|http basic: access|not authori[sz]ed|terminal prompts disabled|"
    r"no supported authentication|host key .* (changed|not known)",
    re.IGNORECASE,
)
_INVALID = re.compile(
    r"repository .*not found|does not exist|not appear to be a git repository|couldn't find remote ref|"
    r"returned error: 404|not our ref|transport .* not allowed|unadvertised object|"
    r"unable to update url base from redirection|returned error: 30\d|mismatched algorithms|"
    r"unexpected.*object.?format|fsck error|error in object|unknown object format",
    re.IGNORECASE,
)
_REDIRECT = re.compile(r"redirect|returned error: 30\d", re.IGNORECASE)


class Run(Protocol):
    """How a process is run: `kedge.process.run`."""

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout: float,
        max_output: int = ...,
        cwd: str = ...,
        memory: int | None = ...,
        file: int | None = ...,
    ) -> Completed: ...


@dataclass(frozen=True, slots=True)
class Call:
    """What one conversation with a remote needs: the environment, and which texts must not be seen."""

    environment: Mapping[str, str]
    secrets: tuple[str, ...] = ()


class Remote:
    """Runs git against remotes. `home` is a private folder of ours; `search` the PATH that git is found on."""

    def __init__(self, home: Path, secrets: Secrets, run: Run, *, search: str, allowed: Allowed) -> None:
        self._home = home
        self._secrets = secrets
        self._run = run
        self._search = search
        self._allowed = allowed
        self._git = shutil.which("git", path=search) or "git"
        self._ready = False

    async def refs(self, address: Address, patterns: Sequence[str]) -> dict[str, str]:
        """Full ref name → object id, of those that match one of the patterns (as git ls-remote)."""
        done = await self.talk(address, ["ls-remote", "--", address.url, *patterns], timeout=LIST_SECONDS)
        lines = (line.split("\t", 1) for line in done.stdout.decode("utf-8", "replace").splitlines())
        return {parts[1]: parts[0] for parts in lines if len(parts) == 2}

    async def talk(
        self,
        address: Address,
        arguments: Sequence[str],
        *,
        timeout: float,
        folder: Path | None = None,
        largest: int | None = None,
    ) -> Completed:
        """Run git against a remote; no file that it writes gets larger than `largest` bytes. Raises Denied, Invalid or
        Unavailable, with git's words less the secrets."""
        values = await self._secrets.credential(address.url)
        # A proxy looks names up itself, and it is the operator who named it.
        pinned = "" if values.get("proxy") and address.scheme != "ssh" else await self._pinned(address)
        self._prepare()
        with self._call(address, values, pinned) as call:
            try:
                done = await self._git_run(arguments, call.environment, timeout, folder, largest)
            except (Unavailable, Invalid) as error:
                raise type(error)(_scrubbed(str(error), call.secrets)) from None
        if done.code != 0:
            raise _failure(address, _scrubbed(done.stderr, call.secrets))
        return done

    async def local(self, folder: Path, arguments: Sequence[str], *, timeout: float = LIST_SECONDS) -> Completed:
        """Run git on a mirror, without any remote. A failure is the caller's to judge."""
        self._prepare()
        return await self._git_run(arguments, self._plain(), timeout, folder)

    async def _git_run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        timeout: float,
        folder: Path | None,
        largest: int | None = None,
    ) -> Completed:
        argv = [self._git, *(["--git-dir", str(folder)] if folder else []), *arguments]
        return await self._run(
            argv,
            env=environment,
            timeout=timeout,
            max_output=OUTPUT_LIMIT,
            cwd=str(folder or self._home),
            memory=MEMORY,
            file=largest,
        )

    def _prepare(self) -> None:
        if self._ready:
            return
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._home / "config").write_text(_CONFIG)
        for left in self._home.glob("key-*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        self._ready = True

    def _plain(self) -> dict[str, str]:
        transports = ["https", "ssh"]
        transports += ["file"] if self._allowed.local else []
        transports += ["http"] if self._allowed.plain else []
        return {
            "PATH": self._search,
            "HOME": str(self._home),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._home / "config"),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            "GIT_ALLOW_PROTOCOL": ":".join(transports),
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
        }

    @contextmanager
    def _call(self, address: Address, values: Mapping[str, str], pinned: str) -> Iterator[Call]:
        environment = self._plain()
        settings: list[tuple[str, str]] = [("http.curloptResolve", pinned)] if pinned else []
        if address.scheme == "ssh":
            with self._keys(address, values) as command:
                environment |= {"GIT_SSH_COMMAND": command, "GIT_SSH_VARIANT": "ssh"}
                yield Call(environment, _texts(values))
            return
        header = _header(values) if address.scheme in ("https", "http") else ""
        if header:
            settings.append((f"http.{address.url}.extraHeader", f"Authorization: {header}"))
        with self._trust(values) as trusted:
            settings += trusted
            environment["GIT_CONFIG_COUNT"] = str(len(settings))
            for index, (key, value) in enumerate(settings):
                environment[f"GIT_CONFIG_KEY_{index}"] = key
                environment[f"GIT_CONFIG_VALUE_{index}"] = value
            yield Call(environment, (*_texts(values), *([header, header.split(" ", 1)[1]] if header else [])))

    @contextmanager
    def _trust(self, values: Mapping[str, str]) -> Iterator[list[tuple[str, str]]]:
        """Git's settings for a private authority, a client certificate and a proxy; the first two as private files."""
        settings = [("http.proxy", values["proxy"])] if values.get("proxy") else []
        named = {"ca": "http.sslCAInfo", "certificate": "http.sslCert", "key": "http.sslKey"}
        if not any(values.get(field) for field in named):
            yield settings
            return
        folder = Path(tempfile.mkdtemp(prefix="key-", dir=self._home))
        try:
            for field, setting in named.items():
                if values.get(field):
                    _private(folder / field, values[field])
                    settings.append((setting, str(folder / field)))
            yield settings
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _keys(self, address: Address, values: Mapping[str, str]) -> Iterator[str]:
        """The ssh command with key and known hosts in a private folder that lives as long as the call."""
        for field in ("sshKey", "knownHosts"):
            if not values.get(field):
                raise Denied(
                    f"no credential with {field} fits {address.url}",
                    hint="declare a Credential with sshKey and knownHosts for its prefix",
                )
        folder = Path(tempfile.mkdtemp(prefix="key-", dir=self._home))
        try:
            key, hosts = folder / "key", folder / "known_hosts"
            for path, text in ((key, values["sshKey"]), (hosts, values["knownHosts"])):
                _private(path, text)
            yield shlex.join(_ssh(key, hosts, values.get("username", "") if not address.user else ""))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _pinned(self, address: Address) -> str:
        """Look a host up once, judge what it leads to, and have git connect to exactly that (`http.curloptResolve`)."""
        if address.scheme == "file":
            return ""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Unavailable(f"{address.host} is not known: {error}") from None
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        for one in addresses:
            reason = refusal(one, allow_loopback=self._allowed.loopback)
            if reason:
                raise Invalid(f"{address.host} leads to {one}, which is not connected to: {reason}")
        literal = ",".join(f"[{one}]" if ":" in one else one for one in addresses)
        return f"{address.host}:{address.port}:{literal}"


def _private(path: Path, text: str) -> None:
    """A file that nobody else reads."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text.rstrip("\n") + "\n")


def _ssh(key: Path, hosts: Path, user: str) -> list[str]:
    options = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "ForwardAgent": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "ConnectTimeout": "15",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "4",
    }
    if user and re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*", user):
        options["User"] = user
    return ["ssh", "-F", "/dev/null", "-i", str(key), *(f"-o{name}={value}" for name, value in options.items())]


def _header(values: Mapping[str, str]) -> str:
    secret = values.get("token") or values.get("password")
    if not secret:
        return ""
    user = values.get("username") or TOKEN_USER
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def _texts(values: Mapping[str, str]) -> tuple[str, ...]:
    """Every text that must not be seen: the values, and each longer line of those with several."""
    secret = [values[field] for field in ("password", "token", "sshKey", "key", "proxy") if values.get(field)]
    lines = [line for text in secret for line in text.splitlines() if len(line) >= 16]
    return tuple(sorted({*secret, *lines}, key=len, reverse=True))


def _scrubbed(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return re.sub(r"(//[^/@\s:]*):[^/@\s]*@", r"\1:***@", text)


def _failure(address: Address, said: str) -> Denied | Invalid | Unavailable:
    """What git's failure means for who has to act."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    words = " ".join(lines[-4:])[-_SHOWN:] or "git gave no reason"
    text = f"{address.url}: {words}"
    if _DENIED.search(said):
        return Denied(text, hint="declare a Credential whose prefix fits this URL, or correct its value")
    if _REDIRECT.search(said):
        return Invalid(text, hint="write the URL that it redirects to, often the same one ending in .git")
    if _INVALID.search(said):
        return Invalid(text, hint="correct the repository's URL, or make it visible to the credential")
    return Unavailable(text, hint="look whether its server runs and can be reached from here; it is asked again")
