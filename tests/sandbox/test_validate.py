"""What may not be stored, in the API server's words."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sandbox.conftest import DEPLOYMENTS, MAPS, Lab, config_map, deployment

SPACE = "/api/v1/namespaces/default"


def _fields(refusal: dict[str, Any]) -> list[str]:
    return [cause["field"] for cause in refusal["details"]["causes"]]


def test_a_name_must_be_a_dns_name(lab: Lab) -> None:
    refusal = lab.post(MAPS, config_map("Not_OK"))
    assert (lab.status, refusal["reason"]) == (422, "Invalid")
    start = 'ConfigMap "Not_OK" is invalid: metadata.name: Invalid value: "Not_OK": a lowercase RFC 1123 subdomain'
    assert refusal["message"].startswith(start)
    assert refusal["details"]["kind"] == "ConfigMap"
    assert _fields(refusal) == ["metadata.name"]


def test_a_service_name_must_begin_with_a_letter(lab: Lab) -> None:
    body = {"metadata": {"name": "1st"}, "spec": {"ports": [{"port": 80}]}}
    assert _fields(lab.post(f"{SPACE}/services", body)) == ["metadata.name"]


def test_role_names_may_have_colons(lab: Lab) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    lab.post(path, {"metadata": {"name": "system:Some_Thing"}, "rules": []})
    assert lab.status == 201


def test_a_label_value_must_be_short_and_plain(lab: Lab) -> None:
    body = config_map()
    body["metadata"]["labels"] = {"a": "no spaces"}
    assert _fields(lab.post(MAPS, body)) == ["metadata.labels"]


def test_a_deployment_without_selector_or_containers_tells_both(lab: Lab) -> None:
    body = {"metadata": {"name": "web"}, "spec": {"template": {"spec": {}}}}
    refusal = lab.post(DEPLOYMENTS, body)
    assert "spec.selector: Required value" in refusal["message"]
    assert refusal["message"].startswith('Deployment.apps "web" is invalid: [')
    assert "spec.template.spec.containers" in _fields(refusal)


def test_a_selector_must_match_the_template(lab: Lab) -> None:
    body = deployment()
    body["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    refusal = lab.post(DEPLOYMENTS, body)
    assert "`selector` does not match template `labels`" in refusal["message"]


def test_a_selector_never_changes(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment())
    body = deployment()
    body["spec"]["selector"] = {"matchLabels": {"app": "web", "v": "2"}}
    body["spec"]["template"]["metadata"]["labels"]["v"] = "2"
    refusal = lab.put(f"{DEPLOYMENTS}/web", body)
    assert lab.status == 422
    assert refusal["message"].endswith("field is immutable")
    assert _fields(refusal) == ["spec.selector"]


def test_a_mount_of_no_volume_is_not_found(lab: Lab) -> None:
    body = deployment()
    body["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/d"}]
    refusal = lab.post(DEPLOYMENTS, body)
    assert refusal["details"]["causes"][0]["message"] == 'Not found: "data"'


def test_a_jobs_template_never_changes_and_may_not_restart_always(lab: Lab) -> None:
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a:1"}]}}
    lab.post(jobs, {"metadata": {"name": "once"}, "spec": {"template": template}})
    assert lab.status == 201
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "a:2"}]}}}}
    assert _fields(lab.patch(f"{jobs}/once", change)) == ["spec.template"]
    always = {"spec": {"containers": [{"name": "c", "image": "a:1"}]}}
    refusal = lab.post(jobs, {"metadata": {"name": "twice"}, "spec": {"template": always}})
    assert _fields(refusal) == ["spec.template.spec.restartPolicy"]


def test_a_stateful_set_changes_only_what_it_may(lab: Lab) -> None:
    sets = "/apis/apps/v1/namespaces/default/statefulsets"
    lab.post(sets, {**deployment(), "apiVersion": "apps/v1", "kind": "StatefulSet"} | {"spec": _stateful("a")})
    assert lab.status == 201
    assert (
        "spec: Forbidden: updates to statefulset spec" in lab.patch(f"{sets}/web", {"spec": _stateful("b")})["message"]
    )
    lab.patch(f"{sets}/web", {"spec": {"replicas": 3}})
    assert lab.status == 200


def _stateful(service: str) -> dict[str, Any]:
    spec = deployment()["spec"]
    return {**spec, "serviceName": service}


def test_a_service_keeps_its_address(lab: Lab) -> None:
    made = lab.post(f"{SPACE}/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    address = made["spec"]["clusterIP"]
    again = lab.put(f"{SPACE}/services/s", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 81}]}})
    assert again["spec"]["clusterIP"] == address
    refusal = lab.patch(f"{SPACE}/services/s", {"spec": {"clusterIP": "10.96.9.9"}})
    assert "may not change once set" in refusal["message"]


def test_a_secrets_type_and_an_immutable_maps_data_never_change(lab: Lab) -> None:
    lab.post(f"{SPACE}/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    assert _fields(lab.patch(f"{SPACE}/secrets/s", {"type": "other"})) == ["type"]
    lab.post(MAPS, {**config_map(), "immutable": True})
    refusal = lab.patch(f"{MAPS}/settings", {"data": {"a": "2"}})
    assert refusal["details"]["causes"][0] == {
        "reason": "FieldValueForbidden",
        "message": "Forbidden: field is immutable when `immutable` is set",
        "field": "data",
    }


def test_a_claims_spec_never_changes(lab: Lab) -> None:
    claims = f"{SPACE}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    lab.post(claims, {"metadata": {"name": "data"}, "spec": spec})
    refusal = lab.patch(f"{claims}/data", {"spec": {"accessModes": ["ReadOnlyMany"]}})
    assert "spec is immutable after creation" in refusal["message"]
    assert lab.status == 422


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/v1/namespaces/default/services", {"spec": {"type": "Odd", "ports": [{"port": 1}]}}, "spec.type"),
        ("/api/v1/namespaces/default/services", {"spec": {}}, "spec.ports"),
        ("/api/v1/namespaces/default/services", {"spec": {"ports": [{"port": 70000}]}}, "spec.ports[0].port"),
        ("/api/v1/namespaces/default/secrets", {"type": "kubernetes.io/tls"}, "data[tls.crt]"),
        ("/api/v1/namespaces/default/configmaps", {"data": {"a b": "c"}}, "data[a b]"),
        ("/apis/batch/v1/namespaces/default/cronjobs", {"spec": {"jobTemplate": {}}}, "spec.schedule"),
        (
            "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
            {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}}},
            "spec.maxReplicas",
        ),
        ("/apis/networking.k8s.io/v1/namespaces/default/ingresses", {"spec": {}}, "spec"),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
            {"roleRef": {"kind": "Role"}},
            "roleRef.name",
        ),
        ("/apis/storage.k8s.io/v1/storageclasses", {}, "provisioner"),
    ],
)
def test_each_kind_tells_the_field_that_is_wrong(lab: Lab, path: str, body: dict[str, Any], field: str) -> None:
    refusal = lab.post(path, {"metadata": {"name": "thing"}, **body})
    assert lab.status == 422
    assert field in _fields(refusal)


def test_a_service_account_needs_its_namespace_only_in_a_binding_for_the_whole_cluster(lab: Lab) -> None:
    rbac = "rbac.authorization.k8s.io"
    reference = {"apiGroup": rbac, "kind": "ClusterRole", "name": "view"}
    subjects = [{"kind": "ServiceAccount", "name": "web"}]
    body = {"metadata": {"name": "web"}, "roleRef": reference, "subjects": subjects}
    lab.post(f"/apis/{rbac}/v1/namespaces/default/rolebindings", body)
    assert lab.status == 201
    assert _fields(lab.post(f"/apis/{rbac}/v1/clusterrolebindings", body)) == ["subjects[0].namespace"]


def test_secret_data_must_be_base64(lab: Lab) -> None:
    refusal = lab.post(f"{SPACE}/secrets", {"metadata": {"name": "s"}, "data": {"a": "not base64!"}})
    assert lab.status == 400
    assert "illegal base64 data" in refusal["message"]
