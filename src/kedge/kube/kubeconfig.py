"""How to reach a cluster and who we are there: from a kubeconfig, or from inside a pod.

A kubeconfig can run programs (`exec`, `auth-provider`), switch off verification, send everything through a proxy, or
name any file as a token. Kedge may be handed one by somebody else, so all of these are refused by name; what is needed
is the server, its CA, and a token or client certificate.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kedge.model.errors import Invalid

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
FLATTEN = "kubectl config view --raw --flatten --minify > FILE writes one without references to files"
_REFUSED_USER = {
    "exec": "it runs a program on this machine",
    "auth-provider": "it runs code of a cloud provider",
    "username": "basic authentication is gone from Kubernetes since 1.19",
    "password": "basic authentication is gone from Kubernetes since 1.19",
    **dict.fromkeys(("as", "as-uid", "as-groups", "as-user-extra"), "a Project says whom its units are written as"),
}
_INSTEAD = {
    "exec": "where the program logs in to an OIDC provider, declare oidc: in the Credential (issuer, clientId and a "
    "secret, refresh token or token file); else make a service account in that cluster and give its token "
    "(kubectl create token, or a projected token file: token: {file: …} is read again when it changes)",
    **dict.fromkeys(("as", "as-uid", "as-groups", "as-user-extra"), "serviceAccount: NAMESPACE/NAME in the Project"),
}
_INSTEAD["auth-provider"] = _INSTEAD["exec"]
_REFUSED_CLUSTER = {
    "insecure-skip-tls-verify": "anybody on the way could read the credential: give certificate-authority-data instead",
    "proxy-url": "it would send the credential through another host",
    "tls-server-name": "the server must be addressed by the name in its certificate",
}

ReadFile = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Access:
    """`server` is a URL; `ca`, `certificate` and `key` are PEM text, "" where not used. Secrets stay out of repr.
    `context` names the one of the kubeconfig that it was read from.

    `renewed` reads the token anew where it is replaced from time to time, as in a pod."""

    server: str
    ca: str = ""
    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    namespace: str = ""
    renewed: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    context: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Files:
    """Files that a kubeconfig may name: those in its own folder and below. `read` raises OSError."""

    folder: str
    read: ReadFile

    def text(self, name: str, why: str) -> str:
        path = posixpath.normpath(posixpath.join(self.folder, name))
        if not path.startswith(posixpath.join(self.folder, "")):
            raise Invalid(f"kubeconfig: {why} is outside the kubeconfig's folder: {name}", hint=FLATTEN)
        try:
            return self.read(path).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"kubeconfig: {why} can not be read: {error}") from error


def read_kubeconfig(config: Mapping[str, Any], *, context: str = "", files: Files | None = None) -> Access:
    """The access of a context (the current one by default) of a parsed kubeconfig.

    Without `files`, everything has to be inline. Raises Invalid with the reason for whatever is refused or missing."""
    name = context or _text(config, "current-context")
    if not name:
        raise Invalid("kubeconfig: no current-context", hint="name one: --context NAME")
    chosen = _named(config, "contexts", name, "context")
    cluster = _named(config, "clusters", _text(chosen, "cluster"), "cluster")
    user = _named(config, "users", _text(chosen, "user"), "user") if chosen.get("user") else {}
    _refuse(cluster, _REFUSED_CLUSTER, "cluster")
    _refuse(user, _REFUSED_USER, "user")
    return Access(
        server=_server(_text(cluster, "server")),
        ca=_data(cluster, "certificate-authority", files),
        token=_token(user, files),
        certificate=_data(user, "client-certificate", files),
        key=_data(user, "client-key", files),
        namespace=_text(chosen, "namespace"),
        context=name,
    )


def in_cluster(host: str, port: str, read: ReadFile) -> Access:
    """The access of the pod Kedge runs in; `host` and `port` are the service variables that every pod has.

    The token is replaced in its file about once an hour, so that `renewed` reads it for every request."""
    if not host or not port:
        raise Invalid("this process does not run in a Kubernetes pod: there is no API service in its environment")
    try:
        ca, token = (read(f"{SERVICE_ACCOUNT}/{name}").decode() for name in ("ca.crt", "token"))
    except OSError as error:
        raise Invalid(f"the pod's service account can not be read: {error}") from error
    shown = f"[{host}]" if ":" in host else host
    last = token.strip()

    def renewed() -> str:
        try:
            return read(f"{SERVICE_ACCOUNT}/token").decode().strip()
        except OSError:
            # Between two versions of the file the old token is still good.
            return last

    return Access(f"https://{shown}:{port}", ca=ca, token=last, renewed=renewed)


def _named(config: Mapping[str, Any], key: str, name: str, inner: str) -> dict[str, Any]:
    entries = config.get(key)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(inner), dict):
            return dict(entry[inner])
    raise Invalid(f"kubeconfig: there is no {inner} “{name}” under {key}")


def _refuse(section: Mapping[str, Any], table: Mapping[str, str], what: str) -> None:
    for key, reason in table.items():
        if section.get(key):
            hint = _INSTEAD.get(key, "use a token or a client certificate")
            raise Invalid(f"kubeconfig: {what}.{key} is refused: {reason}", hint=hint)


def _server(text: str) -> str:
    parts = urlsplit(text)
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise Invalid(f"kubeconfig: cluster.server must be an https address, not “{text[:100]}”")
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise Invalid("kubeconfig: cluster.server must be a plain address: no credential, query or fragment")
    return text


def _token(user: Mapping[str, Any], files: Files | None) -> str:
    if token := _text(user, "token"):
        return token
    name = _text(user, "tokenFile")
    if not name:
        return ""
    if files is None:
        raise Invalid(f"kubeconfig: user.tokenFile names a file ({name}); give the token itself", hint=FLATTEN)
    return files.text(name, "user.tokenFile").strip()


def _data(section: Mapping[str, Any], key: str, files: Files | None) -> str:
    if inline := _text(section, f"{key}-data"):
        try:
            return base64.b64decode(inline, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Invalid(f"kubeconfig: {key}-data is not base64 of a PEM text: {error}") from error
    name = _text(section, key)
    if not name:
        return ""
    if files is None:
        raise Invalid(f"kubeconfig: {key} names a file ({name}); it must be inline", hint=FLATTEN)
    return files.text(name, key)


def _text(section: Mapping[str, Any], key: str) -> str:
    value = section.get(key)
    return value if isinstance(value, str) else ""
