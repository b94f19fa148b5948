"""A real API server that believes an OpenID Connect provider, and a credential that gets its tokens there."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.test_clusters import documents, keep
from tests.e2e.world import standing
from tests.parts.api import Api
from tests.parts.fixtures import RealCluster
from tests.parts.provider import Provider, providing
from tests.parts.proxy import Asked, proxied

pytestmark = pytest.mark.e2e

BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
PATIENCE = 30.0
"""Seconds until the API server, which looks for its provider every ten, has found it."""


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setattr("kedge.targets.kubernetes.sites.RENEW", 0.2)


def bind(api: Api, subject: str) -> None:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    who = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": f"oidc:{subject}"}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "roleRef": role}
    api.call("POST", BINDINGS, {**binding, "metadata": {"name": "kedge-test-oidc"}, "subjects": [who]})


def context(cluster: RealCluster) -> ssl.SSLContext:
    """The provider's certificate is the API server's, so that one authority opens both."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(cluster.folder / "tls.crt", cluster.folder / "tls.key")
    return found


def credential(provider: Provider, authority: str) -> str:
    ca = authority.replace("\n", "\\n")
    secret = "clientSecret: {store: login}"
    return f'oidc: {{issuer: "{provider.issuer}", clientId: {provider.client}, {secret}, caData: "{ca}"}}'


async def test_a_cluster_is_opened_with_tokens_of_a_provider_that_are_renewed_before_they_end(
    tmp_path: Path, real_cluster: RealCluster
) -> None:
    issuer = (real_cluster.folder / "issuer").read_text()
    provider = Provider(issuer, lasting=6.0)
    async with providing(provider, context(real_cluster), urlsplit(issuer).port or 0), standing(tmp_path) as world:
        bind(real_cluster.api, provider.subject)
        real = application("real").replace("target: {", "target: {cluster: real, ")
        opener = credential(provider, real_cluster.access.ca)
        world.repository.write(
            {
                ".kedge/shop.yaml": PROJECT,
                ".kedge/cluster.yaml": documents("real", real_cluster.access, opener),
                ".kedge/real.yaml": real,
                **folder_of("real", "hello"),
            }
        )
        await keep(world, "login", provider.secret)
        await world.synced("shop/real", world.pushed("begin"))
        first = len(provider.issued)
        await world.eventually(lambda: later(provider, first + 4))
        world.repository.write({"apps/real/config.yaml": config("goodbye")})
        await world.synced("shop/real", world.pushed("goodbye"))
        live = real_cluster.api.call("GET", "/api/v1/namespaces/real/configmaps/web")
        assert live["data"] == {"greeting": "goodbye"}
        said = (await world.kedge("get", "cluster", "-o", "json")).out
        told = said + "".join(event.message for event in await world.house.doors.store.latest())
        assert not any(text in told for text in (provider.secret, *provider.issued))


async def test_a_token_that_is_revoked_long_before_its_time_is_replaced_at_once(
    tmp_path: Path, real_cluster: RealCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedge.kube.oidc.AGAIN", 1.0)
    issuer = (real_cluster.folder / "issuer").read_text()
    provider, revoked = Provider(issuer, lasting=3600.0), set[str]()

    def spoilt(asked: Asked) -> Asked:
        """The API server does not know whoever shows it a revoked token."""
        if asked.headers.get("Authorization", "").removeprefix("Bearer ") not in revoked:
            return asked
        return replace(asked, headers={**asked.headers, "Authorization": "Bearer nobody.knows.it"})

    async with (
        providing(provider, context(real_cluster), urlsplit(issuer).port or 0),
        proxied(real_cluster.access, tmp_path / "proxy") as (proxy, through),
        standing(tmp_path) as world,
    ):
        bind(real_cluster.api, provider.subject)
        proxy.change = spoilt
        real = application("real").replace("target: {", "target: {cluster: real, ")
        files = {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/cluster.yaml": documents("real", through, credential(provider, real_cluster.access.ca)),
            ".kedge/real.yaml": real,
        }
        world.repository.write({**files, **folder_of("real", "hello")})
        await keep(world, "login", provider.secret)
        await world.synced("shop/real", world.pushed("begin"))
        first = len(provider.asked)  # until the API server has found its provider, it refuses every token
        revoked.update(provider.issued)
        world.repository.write({"apps/real/config.yaml": config("goodbye")})
        await world.synced("shop/real", world.pushed("goodbye"))
        assert len(provider.asked) == first + 1
        said = (await world.kedge("get", "cluster", "-o", "json")).out
        assert not any(text in said for text in (provider.secret, *provider.issued))


async def later(provider: Provider, issued: int) -> bool:
    return len(provider.issued) >= issued
