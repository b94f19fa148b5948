"""Declared credentials, by the longest prefix of a URL that fits; values from where they are declared to be."""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlsplit

from kedge.model.declaration import Credential, OidcSection, SecretFrom
from kedge.model.errors import Denied

_FILE_LIMIT = 64 * 1024
_FIELDS = ("password", "token", "sshKey", "knownHosts", "certificate", "key", "ca", "proxy", "kubeconfig")
_OIDC = ("clientSecret", "refreshToken", "assertion")
_PORTS = {"https": 443, "http": 80, "ssh": 22}


class DeclaredSecrets:
    """`kedge.ports.Secrets` over the admin root's Credentials. `declared` answers those in force just now.

    `environment` holds the variables that credentials may name; `kept` answers a secret of the store by name.
    """

    def __init__(
        self,
        declared: Callable[[], Sequence[Credential]],
        environment: Mapping[str, str],
        kept: Callable[[str], Awaitable[str | None]],
    ) -> None:
        self._declared = declared
        self._environment = environment
        self._kept = kept

    async def credential(self, url: str) -> Mapping[str, str]:
        """Raises Denied where the fitting credential's value is not to be had; the text names where it should be."""
        fitting = [found for found in self._declared() if fits(found.prefix, url)]
        if not fitting:
            return {}
        chosen = max(fitting, key=lambda found: (len(_parts(found.prefix)[1]), found.name))
        return await self._values(chosen)

    async def named(self, name: str, url: str) -> Mapping[str, str]:
        """Of the credential of that name. Raises Denied where it is not declared, or is for other URLs than `url`."""
        chosen = next((found for found in self._declared() if found.name == name), None)
        if chosen is None:
            raise Denied(f"there is no credential {name}", hint="declare it in the admin root: kind: Credential")
        if not fits(chosen.prefix, url):
            raise Denied(
                f"credential {name} is not sent to {url}: it is for {chosen.prefix}",
                hint="give the credential the prefix of that server",
            )
        return await self._values(chosen)

    async def _values(self, chosen: Credential) -> Mapping[str, str]:
        values = {"username": chosen.username} if chosen.username else {}
        for field in _FIELDS:
            place: SecretFrom | None = getattr(chosen, field)
            if place is not None:
                values[field] = await self._value(chosen.name, field, place)
        return values if chosen.oidc is None else values | await self._provider(chosen.name, chosen.oidc)

    async def environment(self, name: str) -> dict[str, str]:
        """The variables that a credential gives to a stack's tool. Raises Denied where there is none of that name, or
        a value is not there."""
        chosen = next((credential for credential in self._declared() if credential.name == name), None)
        if chosen is None:
            raise Denied(f"there is no credential {name}", hint="declare it in the admin root")
        found = {key: await self._value(name, f"environment.{key}", place) for key, place in chosen.environment.items()}
        return {key: value.rstrip("\r\n") for key, value in found.items()}

    async def _provider(self, name: str, oidc: OidcSection) -> dict[str, str]:
        values = {"issuer": oidc.issuer, "clientId": oidc.clientId, "scopes": " ".join(oidc.scopes)}
        values |= {"audience": oidc.audience, "use": oidc.use.value, "caData": oidc.caData}
        for field in _OIDC:
            place: SecretFrom | None = getattr(oidc, field)
            if place is not None:
                values[field] = (await self._value(name, f"oidc.{field}", place)).strip()
        if oidc.refreshToken is not None and oidc.refreshToken.store:
            values["refreshTokenStore"] = oidc.refreshToken.store
        return values

    async def _value(self, credential: str, field: str, place: SecretFrom) -> str:
        if place.env:
            value, where = self._environment.get(place.env), f"the environment variable {place.env}"
        elif place.file:
            value, where = _read(place.file), f"the file {place.file}"
        else:
            value, where = await self._kept(place.store), f"the store's secret {place.store}"
        if not value:
            raise Denied(
                f"credential {credential} has no {field}: {where} is not set or cannot be read",
                hint=f"kedge create secret {place.store}" if place.store else "set it where the server runs",
            )
        return value.rstrip("\r\n") if field in ("password", "token") else value


def fits(prefix: str, url: str) -> bool:
    """Whether `url` is at or below `prefix`, on boundaries of host and path."""
    if not prefix:
        return False
    origin, below = _parts(prefix)
    other, path = _parts(url)
    return origin == other and path[: len(below)] == below and ".." not in path


def _parts(url: str) -> tuple[tuple[str, str, int], tuple[str, ...]]:
    """(scheme, host, port) and the names of the path; `git@host:a/b` counts as ssh."""
    if "://" not in url:
        host, _, path = url.rpartition("@")[2].partition(":")
        return ("ssh", host.lower(), 22), _names(path)
    try:
        split = urlsplit(url)
        scheme, port = split.scheme.lower(), split.port
    except ValueError:
        return ("", "", 0), ()
    return (scheme, (split.hostname or "").lower(), port or _PORTS.get(scheme, 0)), _names(split.path)


def _names(path: str) -> tuple[str, ...]:
    names = [name for name in path.split("/") if name]
    if names:
        names[-1] = names[-1].removesuffix(".git")
    return tuple(names)


def _read(path: str) -> str | None:
    """A regular file's text, at most 64 KiB. Its own name is not followed when it is a symlink, unless mounted so.

    Kubernetes mounts secrets as symlinks inside the mounted folder; those stay below the folder and are allowed.
    """
    folder = os.path.realpath(os.path.dirname(path))
    real = os.path.realpath(path)
    if not os.path.isabs(path) or os.path.commonpath([folder, real]) != folder:
        return None
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        raw = file.read(_FILE_LIMIT + 1)
    if len(raw) > _FILE_LIMIT:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
