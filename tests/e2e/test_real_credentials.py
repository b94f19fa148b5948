"""Accounts of a real cluster, beside another cluster: revoked midway, wrong, without rights, and well again."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.test_clusters import documents, keep
from tests.e2e.world import PATIENCE, standing
from tests.parts.api import Api, Refused
from tests.parts.fixtures import RealCluster

from kedge.kube.kubeconfig import Access

pytestmark = pytest.mark.e2e

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setattr("kedge.targets.kubernetes.sites.RENEW", 0.2)


def token(api: Api) -> str:
    """The account `kedge`, made anew, and a token of it."""
    api.call("POST", ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "kedge"}})
    wish = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    found: str = api.call("POST", f"{ACCOUNTS}/kedge/token", wish)["status"]["token"]
    return found


def bind(api: Api) -> None:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "namespace": "default", "name": "kedge"}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "roleRef": role}
    api.call("POST", BINDINGS, {**binding, "metadata": {"name": "kedge-test-admin"}, "subjects": [subject]})


async def unknown(access: Access, revoked: str) -> None:
    """Until the API server, which remembers for some seconds whom it knew, refuses the token."""
    with closing(Api(replace(access, token=revoked))) as api:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    api.call("GET", "/api/v1/namespaces/default/configmaps")
                except Refused as refused:
                    if refused.code != 401:
                        raise
                    return
                await asyncio.sleep(0.2)


async def test_an_account_that_is_revoked_midway_is_told_and_a_new_token_mends_it(
    tmp_path: Path, real_cluster: RealCluster
) -> None:
    api = real_cluster.api
    async with standing(tmp_path) as world:
        real = application("real").replace("target: {", "target: {cluster: real, ")
        world.repository.write(
            {
                ".kedge/shop.yaml": PROJECT,
                ".kedge/cluster.yaml": documents("real", real_cluster.access, "token: {store: real}"),
                ".kedge/web.yaml": application("web"),
                ".kedge/real.yaml": real,
                **folder_of("web", "hello"),
                **folder_of("real", "hello"),
            }
        )
        first = token(api)
        await keep(world, "real", first)
        begun = world.pushed("begin")
        await world.synced("shop/web", begun)
        await world.said("cannot", "get", "real")
        bind(api)
        await world.synced("shop/real", begun)
        api.call("DELETE", f"{ACCOUNTS}/kedge")
        await unknown(real_cluster.access, first)
        world.repository.write({"apps/real/config.yaml": config("goodbye"), **folder_of("web", "goodbye")})
        pushed = world.pushed("goodbye")
        await world.synced("shop/web", pushed)
        assert "renew it" in await world.said("Unauthorized", "get", "real")
        await world.said("the credential is not accepted", "get", "cluster")
        await keep(world, "real", token(api))
        await world.synced("shop/real", pushed)
        await world.silent("not accepted", "get", "cluster")
        live = api.call("GET", "/api/v1/namespaces/real/configmaps/web")
        assert live["data"] == {"greeting": "goodbye"}
        said = await world.kedge("get", "cluster", "-o", "json")
        assert first not in said.out + "".join(event.message for event in await world.house.doors.store.latest())
