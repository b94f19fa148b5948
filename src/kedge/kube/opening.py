"""From a declared cluster to a connection: who we are there, looked up anew for as long as the connection lives.

Whatever it is made of may change at any time (the declaration, a secret in the store, a mounted file): `access` tells
how things are now, and a new token is sent from then on without opening anything anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from kedge.kube.http_transport import open_transport, prove
from kedge.kube.kubeconfig import Access, read_kubeconfig
from kedge.kube.oidc import Grant
from kedge.kube.transport import Transport
from kedge.model.declaration import Cluster
from kedge.model.errors import Denied, Invalid

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Ways:
    """What an opening asks. `own` is the cluster that Kedge was started with, `pod` the one that it runs in.

    `values` are those of the credential that fits a cluster; `parse` reads a kubeconfig's text, `token` gets one from
    an OIDC provider, another one than the cluster has refused."""

    clusters: Callable[[], Awaitable[Sequence[Cluster]]]
    values: Callable[[Cluster], Awaitable[Mapping[str, str]]]
    own: Callable[[], Access]
    pod: Callable[[], Access]
    parse: Callable[[str, str], Mapping[str, Any]]
    token: Callable[[Grant, str], Awaitable[str]]


class Openings:
    """Opens clusters by name."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._tokens: dict[str, str] = {}

    async def access(self, name: str, refused: str = "") -> Access:
        """How the cluster is reached now; connections made here send its token from now on. `refused` is the token that
        the cluster does not accept any more.

        Raises Invalid (not declared, or declared in a way that can not work), Denied (a secret is not to be had) and
        Unavailable."""
        try:
            access = await self._access(name, refused)
        except (Invalid, Denied):
            self._tokens.pop(name, None)
            raise
        self._tokens[name] = access.token
        return access

    async def _access(self, name: str, refused: str) -> Access:
        ways = self._ways
        declared = next((cluster for cluster in await ways.clusters() if cluster.name == name), None)
        if declared is None and name != DEFAULT:
            raise Invalid(f"there is no cluster {name}", hint="declare it in the admin root: kind: Cluster")
        if declared is not None and declared.inCluster:
            return ways.pod()
        if declared is None or not declared.server:
            return ways.own()
        values = await ways.values(declared)
        if values.get("issuer"):
            values = {"token": await ways.token(grant_of(values), refused)}
        return access_of(declared, values, ways.parse)

    async def open(self, name: str) -> Transport:
        """A connection; nothing has been asked of the cluster yet."""
        access = await self.access(name)
        prove(access)
        if access.renewed is not None:
            return open_transport(access)
        return open_transport(replace(access, renewed=lambda: self._tokens.get(name, "")))


def grant_of(values: Mapping[str, str]) -> Grant:
    """The values of a credential with `oidc`, as `kedge.sources.secrets` names them."""
    return Grant(
        issuer=values["issuer"],
        client=values.get("clientId", ""),
        secret=values.get("clientSecret", ""),
        refresh=values.get("refreshToken", ""),
        assertion=values.get("assertion", ""),
        scopes=values.get("scopes", ""),
        audience=values.get("audience", ""),
        ca=values.get("caData", ""),
        use="access_token" if values.get("use") == "accessToken" else "id_token",
        kept=values.get("refreshTokenStore", ""),
    )


class Pinned:
    """The cluster that Kedge was started with. Its credential may be renewed; that somebody chooses another context in
    a kubeconfig, or points it elsewhere, does not move every unit to another cluster: a restart does."""

    def __init__(self, read: Callable[[str], Access]) -> None:
        self._read = read
        self._found: Access | None = None

    def __call__(self) -> Access:
        """Raises Invalid where it can not be read the first time; later, what was read before stands."""
        if self._found is None:
            self._found = self._read("")
            return self._found
        try:
            now = self._read(self._found.context)
        except Invalid:
            return self._found
        if now.server == self._found.server:
            self._found = now
        return self._found


def access_of(cluster: Cluster, values: Mapping[str, str], parse: Callable[[str, str], Mapping[str, Any]]) -> Access:
    """A declaration and its credential's values as an access. Raises Invalid and Denied with what to do."""
    if text := values.get("kubeconfig"):
        return _from_kubeconfig(cluster, parse(text, f"the kubeconfig of cluster {cluster.name}"))
    token, certificate, key = (values.get(name, "") for name in ("token", "certificate", "key"))
    if not token and not certificate:
        raise Denied(
            f"cluster {cluster.name}: no credential opens {cluster.server}",
            hint=f"declare a Credential with prefix: {cluster.server} and a token, certificate and key, or kubeconfig",
        )
    return Access(cluster.server, ca=cluster.caData, token=token, certificate=certificate, key=key)


def _from_kubeconfig(cluster: Cluster, config: Mapping[str, Any]) -> Access:
    """A kubeconfig opens the declared server alone: it has no say in where the connection goes."""
    access = read_kubeconfig(config)
    if _place(access.server) != _place(cluster.server):
        raise Invalid(
            f"cluster {cluster.name}: its kubeconfig is for {access.server}, not for {cluster.server}",
            hint="declare the same server, or use the kubeconfig of this one",
        )
    return replace(access, server=cluster.server, ca=cluster.caData or access.ca)


def _place(url: str) -> tuple[str, str, int, str]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme.lower(), (parts.hostname or "").lower(), port, parts.path.rstrip("/")
