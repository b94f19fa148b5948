"""Kubeconfigs: what is read, and what is refused with the reason."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kedge.kube.kubeconfig import Files, in_cluster, read_kubeconfig
from kedge.model.errors import Invalid

PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
INLINE = base64.b64encode(PEM.encode()).decode()


def config(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "web"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": "t0ken", **(user or {})}}],
    }


def files(**found: str) -> Files:
    def read(path: str) -> bytes:
        try:
            return found[path.rpartition("/")[2]].encode()
        except KeyError:
            raise FileNotFoundError(path) from None

    return Files("/srv/mona/.kube", read)


def test_a_token_and_a_ca_are_read() -> None:
    access = read_kubeconfig(config({"certificate-authority-data": INLINE}))
    assert (access.server, access.token, access.ca, access.namespace) == ("https://10.0.0.1:6443", "t0ken", PEM, "web")


def test_a_client_certificate_is_read() -> None:
    access = read_kubeconfig(config(user={"client-certificate-data": INLINE, "client-key-data": INLINE}))
    assert access.certificate == access.key == PEM


def test_files_beside_the_kubeconfig_are_read() -> None:
    given = config({"certificate-authority": "ca.crt"}, {"token": "", "tokenFile": "tokens/t"})
    access = read_kubeconfig(given, files=files(**{"ca.crt": PEM, "t": "secret\n"}))
    assert (access.ca, access.token) == (PEM, "secret")


@pytest.mark.parametrize("name", ["/etc/passwd", "../../etc/passwd", "a/../../x", "/srv/mona/.kube2/t"])
def test_files_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(Invalid, match="outside the kubeconfig's folder"):
        read_kubeconfig(config(user={"token": "", "tokenFile": name}), files=files())


def test_without_files_everything_must_be_inline() -> None:
    with pytest.raises(Invalid, match="must be inline"):
        read_kubeconfig(config({"certificate-authority": "ca.crt"}))
    with pytest.raises(Invalid, match="give the token itself"):
        read_kubeconfig(config(user={"token": "", "tokenFile": "t"}))


@pytest.mark.parametrize(
    ("section", "key", "value", "reason"),
    [
        ("user", "exec", {"command": "sh"}, "runs a program"),
        ("user", "auth-provider", {"name": "gcp"}, "runs code"),
        ("user", "password", "hunter2", "basic authentication"),
        ("user", "as-groups", ["system:masters"], "a Project says whom"),
        ("user", "as-user-extra", {"scopes": ["all"]}, "a Project says whom"),
        ("user", "username", "admin", "basic authentication"),
        ("user", "as", "root", "a Project says whom"),
        ("cluster", "insecure-skip-tls-verify", True, "could read the credential"),
        ("cluster", "proxy-url", "http://evil", "through another host"),
        ("cluster", "tls-server-name", "x", "name in its certificate"),
    ],
)
def test_hostile_settings_are_refused_by_name(section: str, key: str, value: object, reason: str) -> None:
    with pytest.raises(Invalid, match=rf"{section}\.{key} is refused: .*{reason}"):
        read_kubeconfig(config(**{section: {key: value}}))


@pytest.mark.parametrize(
    "server", ["http://10.0.0.1", "ftp://x", "", "https://u:p@host", "https://host/?a=b", "https://"]
)
def test_a_server_must_be_a_plain_https_address(server: str) -> None:
    with pytest.raises(Invalid, match=r"cluster\.server"):
        read_kubeconfig(config({"server": server}))


def test_plain_http_is_for_loopback_only() -> None:
    assert read_kubeconfig(config({"server": "http://127.0.0.1:8001"})).server == "http://127.0.0.1:8001"


@pytest.mark.parametrize("broken", [{}, {"current-context": "x"}, {"current-context": "x", "contexts": "y"}])
def test_what_is_missing_is_named(broken: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="kubeconfig: "):
        read_kubeconfig(broken)


def test_broken_data_is_named() -> None:
    with pytest.raises(Invalid, match="certificate-authority-data is not base64"):
        read_kubeconfig(config({"certificate-authority-data": "%%"}))


def test_secrets_are_not_in_the_repr() -> None:
    access = read_kubeconfig(config(user={"client-key-data": base64.b64encode(b"k3y").decode()}))
    assert "t0ken" not in repr(access)
    assert "k3y" not in repr(access)


def test_in_a_pod_the_token_is_read_anew() -> None:
    tokens = ["first\n"]
    access = in_cluster(
        "10.96.0.1", "443", lambda path: PEM.encode() if path.endswith("ca.crt") else tokens[-1].encode()
    )
    assert (access.server, access.ca) == ("https://10.96.0.1:443", PEM)
    tokens.append("second\n")
    assert access.renewed is not None
    assert access.renewed() == "second"


def test_outside_a_pod_it_says_so() -> None:
    with pytest.raises(Invalid, match="does not run in a Kubernetes pod"):
        in_cluster("", "", lambda _path: b"")
