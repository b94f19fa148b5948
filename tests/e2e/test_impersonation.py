"""A project that is written as a service account: the cluster's own RBAC decides what its units may do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stories import application, folder_of, hasten
from tests.e2e.world import World, standing
from tests.parts.fixtures import RealCluster

from kedge.sandbox.wire import Request

pytestmark = pytest.mark.e2e

AS_DEPLOYER = """
apiVersion: kedge.dev/v1alpha1
kind: Project
metadata: {name: shop}
spec: {serviceAccount: team/deployer}
"""
DEPLOYER = "system:serviceaccount:team:deployer"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)


def files(project: str) -> dict[str, str | None]:
    return {".kedge/shop.yaml": project, ".kedge/web.yaml": application("web"), **folder_of("web", "hello")}


async def test_writes_and_dry_runs_name_the_account_and_reads_do_not(tmp_path: Path) -> None:
    async with standing(tmp_path) as world:
        seen: dict[str, set[str]] = {"read": set(), "write": set()}

        def note(request: Request) -> None:
            kind = "read" if request.method == "GET" else "write"
            seen[kind].add(request.headers.get("impersonate-user", ""))

        world.cluster.meet = note
        world.repository.write(files(AS_DEPLOYER))
        await world.synced("shop/web", world.pushed("begin"))
        assert seen == {"read": {""}, "write": {DEPLOYER}}
        world.repository.write({"apps/web/config.yaml": None})
        await world.synced("shop/web", world.pushed("prune"))
        assert await world.greeting("web") is None
        assert seen == {"read": {""}, "write": {DEPLOYER}}
        world.repository.write({**files(AS_DEPLOYER.replace("spec: {serviceAccount: team/deployer}", ""))})
        seen["write"].clear()
        await world.synced("shop/web", world.pushed("as Kedge itself"))
        assert seen["write"] == {""}


def role(kind: str, namespace: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    metadata = {"name": "deployer"} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules}


async def allow(world: World, namespace: str, rules: list[dict[str, Any]], subject: Mapping[str, str]) -> None:
    """Grant `rules` to a subject, in a namespace or ("") everywhere."""
    kind = "Role" if namespace else "ClusterRole"
    place = "/apis/rbac.authorization.k8s.io/v1/" + (f"namespaces/{namespace}/" if namespace else "")
    await world.call("POST", f"{place}{kind.lower()}s", role(kind, namespace, rules))
    binding = {**role(f"{kind}Binding", namespace, []), "subjects": [subject]}
    del binding["rules"]
    binding["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "deployer"}
    await world.call("POST", f"{place}{kind.lower()}bindings", binding)


OBJECTS = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch", "delete"]}
SPACES = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "create", "patch"]}


async def test_the_clusters_own_rules_limit_a_project(tmp_path: Path, real_cluster: RealCluster) -> None:
    account = {"kind": "ServiceAccount", "namespace": "team", "name": "deployer"}
    async with standing(tmp_path, access=real_cluster.access) as world:
        for name in ("team", "web"):
            await world.call(
                "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )
        await allow(world, "", [SPACES], {**account})
        world.repository.write(files(AS_DEPLOYER))
        pushed = world.pushed("begin")
        refused = await world.said("cannot patch resource", "get", "web")
        assert f'User "{DEPLOYER}" cannot patch resource "configmaps"' in refused, refused
        assert await world.greeting("web") is None
        await allow(world, "web", [OBJECTS], {**account})
        await world.synced("shop/web", pushed)
        assert await world.greeting("web") == "hello"
        # Another namespace is another matter, whatever the project itself allows.
        elsewhere = folder_of("web", "hello")["apps/web/config.yaml"] or ""
        world.repository.write(
            {"apps/web/elsewhere.yaml": elsewhere.replace("name: web", "name: web, namespace: kube-public")}
        )
        world.pushed("elsewhere")
        await world.said('in the namespace "kube-public"', "get", "web")
        assert await world.greeting("kube-public") is None
