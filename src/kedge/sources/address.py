"""A repository's URL, taken apart and judged: which transports there are, and what a URL may not hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from kedge.http import refusal
from kedge.model.errors import Invalid

_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_SCP = re.compile(r"(?:([A-Za-z0-9_.][A-Za-z0-9_.-]*)@)?([A-Za-z0-9][A-Za-z0-9.-]*):(?!/?/)([^:]*)\Z")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9.])?\Z|[0-9A-Fa-f:.]+\Z")
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*\Z")
_LITERAL = re.compile(r"(.*\.)?(0[xX][0-9a-fA-F]*|[0-9]+)\.?\Z|.*:")
"""What a resolver would take for an address, odd spellings included: none of those is a name."""
_PORTS = {"https": 443, "http": 80, "ssh": 22}
_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Allowed:
    """Which transports beside https and ssh: `local` for paths and file://, `plain` for http://; `loopback` hosts."""

    local: bool = False
    plain: bool = False
    loopback: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    """`url` is what Git is given. `host` and `port` are "" and 0 for `file`."""

    scheme: str
    url: str
    host: str = ""
    port: int = 0
    user: str = ""
    path: str = ""


def parse(repository: str, allowed: Allowed = Allowed()) -> Address:
    """The address of a repository. Raises Invalid for what Kedge does not talk to; never echoes a password."""
    if not repository or len(repository) > _LONGEST or _CONTROL.search(repository) or repository.startswith("-"):
        raise Invalid("a repository is a URL without spaces, backslashes or control characters")
    if "::" in repository.partition("/")[0]:
        raise Invalid("Git's remote helpers are not used", hint="write an https://, ssh:// or file:// URL")
    if repository.startswith("/"):
        return _local(repository, repository, allowed)
    if "://" in repository:
        return _split(repository, allowed)
    scp = _SCP.match(repository)
    if scp is None or scp[2].startswith("-") or scp[3].startswith("-"):
        raise Invalid(f"“{repository[:100]}” is not a repository's URL", hint="write an https:// or ssh:// URL")
    user, host, path = scp.groups()
    _judge_host(host, allowed)
    return Address("ssh", repository, host.lower(), 22, user or "", "/" + path)


def _split(repository: str, allowed: Allowed) -> Address:
    try:
        parts = urlsplit(repository)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise Invalid("the repository's URL cannot be taken apart: its host or port is wrong") from None
    scheme = parts.scheme.lower()
    if parts.password is not None or (scheme in ("http", "https") and parts.username is not None):
        raise Invalid("a repository's URL holds no user or password", hint="declare a Credential for its prefix")
    if scheme == "file":
        return _local(repository, unquote(parts.path), allowed, host)
    if scheme not in _PORTS or (scheme == "http" and not allowed.plain):
        raise Invalid(f"the transport {scheme}:// is not used", hint="write an https:// or ssh:// URL")
    user = parts.username or ""
    if not _HOST.match(host) or (user and not _USER.match(user)):
        raise Invalid("the repository's URL has no proper host or user")
    if parts.query or parts.fragment or not parts.path.strip("/"):
        raise Invalid("a repository's URL has a path, and neither ? nor #")
    _judge_host(host, allowed)
    return Address(scheme, repository, host.lower(), port or _PORTS[scheme], user, parts.path)


def _local(repository: str, path: str, allowed: Allowed, host: str = "") -> Address:
    if not allowed.local:
        raise Invalid("repositories on this machine's own disk are not allowed here")
    if host not in ("", "localhost") or not path.startswith("/") or ".." in path.split("/"):
        raise Invalid("a local repository is an absolute path without ..")
    return Address("file", repository, path=path)


def _judge_host(host: str, allowed: Allowed) -> None:
    if not _LITERAL.match(host):
        return
    reason = refusal(host, allow_loopback=allowed.loopback)
    if reason:
        raise Invalid(f"{host} is not connected to: {reason}")
