"""From a declared cluster to an access: every credential, and what has to be right before anything is sent."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from kedge.certificate import self_signed
from kedge.kube.kubeconfig import Access
from kedge.kube.oidc import Grant
from kedge.kube.opening import Openings, Pinned, Ways, access_of
from kedge.model.declaration import Cluster
from kedge.model.errors import Denied, Invalid, KedgeError

SERVER = "https://10.0.0.1:6443"
PROD = Cluster("prod", SERVER, caData="CA")
OWN, POD = Access("https://own:6443", token="own"), Access("https://10.96.0.1:443", token="pod")
CERTIFICATE, KEY = (part.decode() for part in self_signed(1_700_000_000.0))


def parsed(text: str, name: str) -> Mapping[str, Any]:
    found: dict[str, Any] = orjson.loads(text)
    return found


def kubeconfig(server: str = SERVER, cluster: dict[str, Any] | None = None, **user: Any) -> str:
    ca = {"certificate-authority-data": base64.b64encode(b"THEIR CA").decode()}
    value = {
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, **ca, **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {"token": "t0ken"}}],
    }
    return orjson.dumps(value).decode()


def opened(cluster: Cluster, **values: str) -> Access:
    return access_of(cluster, values, parsed)


async def given(grant: Grant, refused: str) -> str:
    return f"{'another' if refused else 'a'} token for {grant.client} of {grant.issuer}"


class World:
    """Declarations and secrets that a test may change."""

    def __init__(self, *clusters: Cluster, **values: str) -> None:
        self.clusters = list(clusters)
        self.values = values
        self.openings = Openings(Ways(self._clusters, self._values, lambda: OWN, lambda: POD, parsed, given))

    async def _clusters(self) -> list[Cluster]:
        return self.clusters

    async def _values(self, cluster: Cluster) -> Mapping[str, str]:
        return self.values


def test_a_token_or_a_certificate_opens_a_declared_server() -> None:
    assert opened(PROD, token="t") == Access(SERVER, ca="CA", token="t")
    assert opened(PROD, certificate="C", key="K") == Access(SERVER, ca="CA", certificate="C", key="K")


def test_without_a_credential_nothing_is_sent() -> None:
    with pytest.raises(Denied, match=f"no credential opens {SERVER}\n  declare a Credential with prefix: {SERVER}"):
        opened(PROD)
    with pytest.raises(Denied, match="no credential opens"):
        opened(PROD, username="mona", password="for-git")


def test_a_kubeconfig_opens_the_declared_server_with_its_own_authority() -> None:
    bare = Cluster("prod", SERVER)
    assert opened(bare, kubeconfig=kubeconfig()) == Access(SERVER, ca="THEIR CA", token="t0ken")
    assert opened(PROD, kubeconfig=kubeconfig()).ca == "CA"


@pytest.mark.parametrize("other", ["https://evil.example.com", "https://10.0.0.1:6444", f"{SERVER}/elsewhere"])
def test_a_kubeconfig_has_no_say_in_where_the_connection_goes(other: str) -> None:
    with pytest.raises(Invalid, match=r"its kubeconfig is for .*, not for "):
        opened(PROD, kubeconfig=kubeconfig(other))


HOSTILE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a program": ({}, {"exec": {"command": "aws"}}, r"user\.exec is refused.*\n.*kubectl create token"),
    "a provider": ({}, {"auth-provider": {"name": "gcp"}}, r"user\.auth-provider is refused.*\n.*kubectl create token"),
    "no verification": ({"insecure-skip-tls-verify": True}, {}, "insecure-skip-tls-verify is refused.*read the cred"),
    "a proxy": ({"proxy-url": "http://proxy:3128"}, {}, "proxy-url is refused.*another host"),
    "another name": ({"tls-server-name": "x"}, {}, "tls-server-name is refused"),
    "a token's file": ({}, {"tokenFile": "/etc/shadow"}, "give the token itself"),
    "a certificate's file": ({}, {"client-certificate": "../../x"}, "must be inline"),
    "a key's file": ({}, {"token": "t", "client-key": "/srv/key"}, "must be inline"),
    "an authority's file": ({"certificate-authority": "/x", "certificate-authority-data": ""}, {}, "must be inline"),
    "impersonation": ({}, {"token": "t", "as": "admin"}, r"user\.as is refused.*\n.*serviceAccount: NAMESPACE/NAME"),
    "groups": ({}, {"token": "t", "as-groups": ["system:masters"]}, r"user\.as-groups is refused"),
    "a password": ({}, {"username": "u", "password": "p"}, "basic authentication is gone"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_kubeconfig_is_refused_in_a_sentence_that_helps(what: str) -> None:
    cluster, user, sentence = HOSTILE[what]
    with pytest.raises(Invalid, match=sentence):
        opened(PROD, kubeconfig=kubeconfig(cluster=cluster, **user))


def test_a_server_with_a_password_in_it_is_refused() -> None:
    with pytest.raises(Invalid, match="no credential") as refused:
        opened(PROD, kubeconfig=kubeconfig("https://mona:hunter2@10.0.0.1:6443"))
    assert "hunter2" not in str(refused.value)


async def test_the_default_cluster_is_the_one_that_kedge_was_started_with() -> None:
    world = World(Cluster("local"))
    assert await world.openings.access("default") == OWN
    assert await world.openings.access("local") == OWN
    with pytest.raises(Invalid, match="there is no cluster other"):
        await world.openings.access("other")


async def test_the_pods_own_cluster_is_opened_as_its_account() -> None:
    assert await World(Cluster("home", inCluster=True)).openings.access("home") == POD


async def test_a_new_token_is_sent_by_the_connection_that_is_there() -> None:
    world = World(Cluster("prod", SERVER), token="first")
    transport: Any = await world.openings.open("prod")
    assert b"authorization: Bearer first\r\n" in transport._asked("GET", "/", {}, {}, b"")
    world.values["token"] = "second"
    await world.openings.access("prod")
    assert b"authorization: Bearer second\r\n" in transport._asked("GET", "/", {}, {}, b"")


@pytest.mark.parametrize(
    ("cluster", "values", "sentence"),
    [
        (PROD, {"token": "t"}, "the CA is not a PEM certificate"),
        (Cluster("prod", SERVER), {"certificate": "no", "key": "no"}, "the client certificate cannot be loaded"),
        (Cluster("prod", SERVER), {"certificate": CERTIFICATE, "key": ""}, "the client certificate cannot be loaded"),
    ],
)
async def test_what_can_not_work_is_told_before_anybody_is_asked(
    cluster: Cluster, values: dict[str, str], sentence: str
) -> None:
    with pytest.raises(KedgeError, match=sentence):
        await World(cluster, **values).openings.open("prod")


async def test_a_client_certificate_that_fits_its_key_is_taken() -> None:
    world = World(Cluster("prod", SERVER), certificate=CERTIFICATE, key=KEY)
    assert await world.openings.open("prod") is not None
    assert (await world.openings.access("prod")).key == KEY


def test_another_context_or_server_in_the_kubeconfig_moves_nobody() -> None:
    contexts = {
        "": Access("https://mine", token="first", context="mine"),
        "mine": Access("https://mine", token="second", context="mine"),
    }
    asked: list[str] = []

    def read(context: str) -> Access:
        asked.append(context)
        if context not in contexts:
            raise Invalid("there is no such context")
        return contexts[context]

    own = Pinned(read)
    assert own().token == "first"
    contexts[""] = Access("https://another", context="another")
    assert own().token == "second"
    contexts["mine"] = Access("https://elsewhere", token="third", context="mine")
    assert own() == Access("https://mine", token="second")
    del contexts["mine"]
    assert own() == Access("https://mine", token="second")
    assert asked == ["", "mine", "mine", "mine"]


def test_a_kubeconfig_that_can_not_be_read_at_the_start_is_told() -> None:
    def read(context: str) -> Access:
        raise Invalid("there is no kubeconfig")

    with pytest.raises(Invalid, match="there is no kubeconfig"):
        Pinned(read)()
