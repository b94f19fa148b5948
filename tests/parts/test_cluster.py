"""The real cluster that other tests run on: that it is one, that it is theirs alone, and that it goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest
from tests.parts.api import Api, Refused
from tests.parts.cleaning import Cleaner
from tests.parts.fixtures import RealCluster
from tests.parts.patience import until

pytestmark = pytest.mark.e2e

PATIENCE = 90.0
SPACES = "/api/v1/namespaces"


def comes(true: Callable[[], bool], what: str) -> None:
    assert until(true, bool, PATIENCE), f"never: {what}"


def pods(restart: str) -> dict[str, object]:
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"restartPolicy": restart, "containers": [{"name": "web", "image": "nginx:1"}]},
    }


def deployment(replicas: int) -> dict[str, object]:
    return {
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": pods("Always")},
    }


def test_a_deployment_rolls_out_and_a_job_completes(real_cluster: RealCluster):
    api = real_cluster.api
    api.call("POST", "/apis/apps/v1/namespaces/default/deployments", deployment(2))
    job = {"metadata": {"name": "once"}, "spec": {"template": pods("Never")}}
    api.call("POST", "/apis/batch/v1/namespaces/default/jobs", job)

    def status(path: str) -> dict[str, object]:
        return api.call("GET", path)["status"]

    comes(
        lambda: status("/apis/apps/v1/namespaces/default/deployments/web").get("availableReplicas") == 2,
        "two replicas are available",
    )
    comes(lambda: status("/apis/batch/v1/namespaces/default/jobs/once").get("succeeded") == 1, "the job succeeds")
    assert "failed" not in status("/apis/batch/v1/namespaces/default/jobs/once")


def test_an_account_has_the_rights_it_was_given_and_no_others(real_cluster: RealCluster):
    api = real_cluster.api
    api.call("POST", f"{SPACES}/default/serviceaccounts", {"metadata": {"name": "reader"}})
    subjects = [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    binding = {"metadata": {"name": "reader"}, "subjects": subjects, "roleRef": role}
    api.call("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binding)
    asked = api.call("POST", f"{SPACES}/default/serviceaccounts/reader/token", {"spec": {}})
    with closing(Api(replace(real_cluster.access, token=asked["status"]["token"]))) as reader:
        comes(lambda: reader.there(f"{SPACES}/default/configmaps"), "the binding is in force")
        with pytest.raises(Refused, match="403"):
            reader.call("GET", f"{SPACES}/default/secrets")
    with (
        closing(Api(replace(real_cluster.access, token="somebody's"))) as stranger,
        pytest.raises(Refused, match="401"),
    ):
        stranger.call("GET", "/api")


def test_what_one_test_made_is_gone_for_the_next(real_cluster: RealCluster):
    api = real_cluster.api
    api.call("POST", SPACES, {"metadata": {"name": "left"}})
    stuck = {"metadata": {"name": "stuck", "finalizers": ["example.com/nobody-serves-this"]}}
    api.call("POST", f"{SPACES}/left/configmaps", stuck)
    api.call("POST", f"{SPACES}/default/configmaps", stuck)
    api.call("POST", "/apis/apps/v1/namespaces/default/deployments", deployment(1))
    Cleaner(api, real_cluster.baseline).restore()
    assert not api.there(f"{SPACES}/left")
    assert not api.there(f"{SPACES}/default/configmaps/stuck")
    assert api.call("GET", f"{SPACES}/default/pods")["items"] == []
    assert api.there(f"{SPACES}/default/configmaps/kube-root-ca.crt")
