"""A project that is written as a service account: the cluster's own RBAC decides what its units may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stories import application, config, folder_of, hasten
from tests.e2e.world import standing
from tests.parts.api import Api
from tests.parts.fixtures import RealCluster

from kedge.kube.kubeconfig import Access
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


Rules = list[dict[str, Any]]
NAMESPACES: Rules = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create", "patch"]}]
OBJECTS: Rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "patch", "delete"]}]
LOOK: Rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
SPEAK_FOR: Rules = [
    {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["deployer"], "verbs": ["impersonate"]}
]


def account(api: Api, name: str) -> str:
    """A service account of the namespace `team`; answers a token of it."""
    path = "/api/v1/namespaces/team/serviceaccounts"
    api.call("POST", path, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
    wish = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token: str = api.call("POST", f"{path}/{name}/token", wish)["status"]["token"]
    return token


def allow(api: Api, name: str, rules: Rules, namespace: str = "") -> None:
    """Grant `rules` to the account `name` of `team`, in a namespace or everywhere."""
    kind = "Role" if namespace else "ClusterRole"
    group = "rbac.authorization.k8s.io"
    place = f"/apis/{group}/v1/" + (f"namespaces/{namespace}/" if namespace else "")
    common = {"apiVersion": f"{group}/v1", "metadata": {"name": f"kedge-test-{name}"}}
    api.call("POST", f"{place}{kind.lower()}s", {**common, "kind": kind, "rules": rules})
    subject = {"kind": "ServiceAccount", "namespace": "team", "name": name}
    bound = {"subjects": [subject], "roleRef": {"apiGroup": group, "kind": kind, "name": f"kedge-test-{name}"}}
    api.call("POST", f"{place}{kind.lower()}bindings", {**common, "kind": f"{kind}Binding", **bound})


async def test_the_clusters_own_rules_limit_a_project_and_kedge_itself_may_write_nothing(
    tmp_path: Path, real_cluster: RealCluster
) -> None:
    api = real_cluster.api
    for name in ("team", "web"):
        api.call("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    account(api, "deployer")
    own = Access(real_cluster.access.server, ca=real_cluster.access.ca, token=account(api, "kedge"))
    allow(api, "kedge", LOOK)
    allow(api, "deployer", NAMESPACES)
    async with standing(tmp_path, access=own) as world:
        world.repository.write(files(AS_DEPLOYER))
        pushed = world.pushed("begin")
        await world.said("cannot impersonate resource", "get", "web")
        allow(api, "kedge", SPEAK_FOR, "team")
        refused = await world.said("cannot patch resource", "get", "web")
        assert f'User "{DEPLOYER}" cannot patch resource "configmaps"' in refused, refused
        assert await world.greeting("web") is None
        allow(api, "deployer", OBJECTS, "web")
        await world.synced("shop/web", pushed)
        assert await world.greeting("web") == "hello"
        # Another namespace is another matter, whatever the project itself allows.
        elsewhere = config("hello", metadata=", namespace: kube-public")
        world.repository.write({"apps/web/elsewhere.yaml": elsewhere})
        world.pushed("elsewhere")
        await world.said('in the namespace "kube-public"', "get", "web")
        assert await world.greeting("kube-public") is None
