"""Whatever is sent, the sandbox answers; it never raises, and its controllers go on."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from tests.sandbox.conftest import (
    APPLY,
    CRDS,
    JSON_PATCH,
    MERGE,
    STRATEGIC,
    WIDGETS,
    Lab,
    config_map,
    definition,
    deployment,
)

from kedge.sandbox import Options, Request
from kedge.sandbox.controllers.turn import UNREADABLE

pytestmark = pytest.mark.slow

SPACE = "/api/v1/namespaces/default"
APPS, BATCH = "/apis/apps/v1/namespaces/default", "/apis/batch/v1/namespaces/default"
POD = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a:1", "ports": [{"containerPort": 1}]}]}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
RICH_POD = {
    "initContainers": [{"name": "i", "image": "a:1", "lifecycle": {"preStop": {"httpGet": {"port": 1}}}, "env": [
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "B", "value": "b"}]}],
    "containers": [{"name": "c", "image": "a:1", "ports": [{"containerPort": 1}], "readinessProbe": {"httpGet": {
        "port": "web"}}, "livenessProbe": {"grpc": {"port": 1}}, "resources": {"limits": {"cpu": "1"}},
        "volumeMounts": [{"name": "v", "mountPath": "/v"}], "envFrom": [{"configMapRef": {"name": "a"}}]}],
    "volumes": [{"name": "v", "configMap": {"name": "a", "items": [{"key": "a", "path": "b"}]}}, {"name": "w",
        "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"downwardAPI": {"items": [{"path": "p",
        "fieldRef": {"fieldPath": "metadata.name"}}]}}]}}, {"name": "p", "persistentVolumeClaim": {
        "claimName": "web"}}],
    "terminationGracePeriodSeconds": 1, "activeDeadlineSeconds": 5, "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "a", "operator": "Exists"}], "securityContext": {"runAsUser": 1, "supplementalGroups": [1]},
}  # fmt: skip
SCALE = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
REFERENCE = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    (f"{APPS}/deployments", deployment()),
    (f"{APPS}/statefulsets", {"metadata": {"name": "web"}, "spec": {**deployment()["spec"], "volumeClaimTemplates": [
        {"metadata": {"name": "d"}, "spec": CLAIM}], "ordinals": {"start": 1}}}),
    (f"{APPS}/daemonsets", {"metadata": {"name": "web"}, "spec": {**deployment()["spec"], "updateStrategy": {}}}),
    (f"{BATCH}/jobs", {"metadata": {"name": "web"}, "spec": {"template": {"spec": POD}, "parallelism": 2}}),
    (f"{SPACE}/pods", {"metadata": {"name": "web", "annotations": {"sandbox.kedge.dev/delay": "1s"}}, "spec": POD}),
    (f"{SPACE}/services", {"metadata": {"name": "web"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}),
    (f"{SPACE}/secrets", {"metadata": {"name": "web"}, "stringData": {"a": "b"}, "data": {"c": "ZA=="}}),
    (f"{SPACE}/persistentvolumeclaims", {"metadata": {"name": "web", "finalizers": ["a/b"]}, "spec": CLAIM}),
    (f"{SPACE}/configmaps", config_map("web")),
    ("/apis/policy/v1/namespaces/default/poddisruptionbudgets", {"metadata": {"name": "web"}, "spec": {
        "minAvailable": "50%", "selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}}}),
    ("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", {"metadata": {"name": "web"}, "spec": {
        "scaleTargetRef": REFERENCE, "maxReplicas": 3}}),
    ("/apis/networking.k8s.io/v1/namespaces/default/ingresses", {"metadata": {"name": "web"}, "spec": {
        "rules": [{"http": {"paths": [{"pathType": "Prefix", "backend": {"service": {"name": "a"}}}]}}]}}),
    ("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", {"metadata": {"name": "web"}, "roleRef": {
        "kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]}),
    (CRDS, definition(subresources={"status": {}, "scale": SCALE}, additionalPrinterColumns=[
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}, {"name": "At", "type": "date", "jsonPath":
        ".spec.free.at"}], selectableFields=[{"jsonPath": ".spec.color"}])),
    (WIDGETS, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "web"}, "spec": {
        "size": 2, "free": {"at": "2020-01-01T00:00:00Z", "list": [{"a": 1}]}}}),
    (f"{SPACE}/pods", {"metadata": {"name": "web", "labels": {"a": "b"}, "ownerReferences": [{"apiVersion": "apps/v1",
        "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": True}]}, "spec": RICH_POD}),
    (f"{SPACE}/pods", {"metadata": {"name": "web"}, "spec": POD, "status": {"phase": "Running", "startTime":
        "2020-01-01T00:00:00Z", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{"name": "c",
        "state": {"waiting": {"reason": "x"}, "terminated": {"exitCode": 1}}}]}}),
    (f"{APPS}/replicasets", {"metadata": {"name": "web"}, "spec": deployment()["spec"]}),
    (f"{BATCH}/cronjobs", {"metadata": {"name": "web"}, "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {
        "template": {"spec": POD}}}}}),
    (f"{SPACE}/events", {"metadata": {"name": "web"}, "involvedObject": {"kind": "Pod", "name": "w"}, "lastTimestamp":
        "2020-01-01T00:00:00Z", "source": {"component": "c"}, "message": "m", "count": 2}),
    (f"{SPACE}/services", {"metadata": {"name": "web"}, "spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [
        {"port": 80, "name": "a", "nodePort": 30001}, {"port": 81, "name": "b", "targetPort": "x"}]}, "status": {
        "loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}),
    ("/api/v1/nodes", {"metadata": {"name": "web"}, "spec": {"unschedulable": True}, "status": {"conditions": [
        {"type": "Ready", "status": "True"}], "addresses": [{"type": "Hostname", "address": "a"}]}}),
    ("/api/v1/persistentvolumes", {"metadata": {"name": "web"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes":
        ["ReadWriteOnce"], "hostPath": {"path": "/x"}}}),
    ("/api/v1/namespaces", {"metadata": {"name": "web"}, "spec": {"finalizers": ["kubernetes", "a/b"]}}),
    ("/apis/networking.k8s.io/v1/namespaces/default/networkpolicies", {"metadata": {"name": "web"}, "spec": {
        "podSelector": {}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"a": "b"}}}], "ports": [{"port": 1}]},
        ], "egress": [{"ports": [{}]}]}}),
    ("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", {"metadata": {"name": "web"}, "webhooks":
        [{"name": "a", "rules": [{"operations": ["*"]}], "clientConfig": {"service": {"name": "a"}}}]}),
    ("/apis/apiregistration.k8s.io/v1/apiservices", {"metadata": {"name": "web"}, "spec": {"group": "g", "version":
        "v1", "groupPriorityMinimum": 1, "versionPriority": 1, "service": {"name": "a", "namespace": "b"}}}),
]  # fmt: skip
ODD = [
    None, 0, -1, 3.5, 10**18, 2**31 - 1, True, "", "x", "100%", "-5%", "x%", "1m", [], {}, [None], [{}], {"a": None},
    {"a": {}},
]  # fmt: skip


def _twist(chance: random.Random, value: Any) -> Any:
    """One random change somewhere in a value."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        if chance.random() < 0.2:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: _twist(chance, value[key])}
    if isinstance(value, list) and value and chance.random() < 0.85:
        index = chance.randrange(len(value))
        return [*value[:index], _twist(chance, value[index]), *value[index + 1 :]]
    alike = [odd for odd in ODD if type(odd) is type(value)]
    return chance.choice(alike if alike and chance.random() < 0.6 else ODD)


@pytest.mark.parametrize("seed", range(16))
def test_twisted_objects_are_answered_and_the_cluster_goes_on(new_lab: Callable[..., Lab], seed: int) -> None:
    chance, lab = random.Random(seed), new_lab(Options(pods=30))
    for _ in range(120):
        path, body = chance.choice(SEEDS)
        for _ in range(chance.randrange(3)):
            body = _twist(chance, body)
        before = lab.box.version
        _send(chance, lab, path, body)
        assert lab.status < 500 or b"failed to create typed" in lab.raw or b"is no object" in lab.raw
        assert lab.status < 400 or lab.box.version == before, "a refusal leaves nothing behind"
        shown = lab.status < 400
        lab.pass_time(0.3, step=0.1)
        if shown:
            lab.get(path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    _shown(lab)
    unread = [item for item in lab.get("/api/v1/events")["items"] if item.get("reason") == UNREADABLE]
    assert [item["message"] for item in unread] == [], "what is admitted can be read by every controller"


def _send(chance: random.Random, lab: Lab, path: str, body: Any) -> None:
    """One write of any kind."""
    name = "widgets.example.com" if path == CRDS else "web"
    luck = chance.random()
    there = lab.box.handle(Request("GET", f"{path}/{name}")).status == 200
    if luck < 0.1 or (luck < 0.9 and not there):
        lab.ask("POST", path, body)
    elif luck < 0.2:
        policy = chance.choice(["Foreground", "Orphan", "Background"])
        wish = {"propagationPolicy": policy, "gracePeriodSeconds": 1, "preconditions": {}, "dryRun": []}
        lab.ask("DELETE", f"{path}/{name}", _twist(chance, wish) if chance.random() < 0.5 else wish)
    elif luck < 0.3:
        sub = chance.choice(["scale", "eviction", "binding", "token", "finalize"])
        told = {
            "spec": {"replicas": 2, "expirationSeconds": 600, "finalizers": ["kubernetes"]},
            "target": {"name": "n"},
        }
        method = "PUT" if sub in ("scale", "finalize") else "POST"
        lab.ask(method, f"{path}/{name}/{sub}", _twist(chance, told) if chance.random() < 0.5 else told)
    elif luck < 0.45:
        told = [_operation(chance) for _ in range(chance.randrange(1, 4))]
        lab.ask("PATCH", f"{path}/{name}", told, content_type=JSON_PATCH)
    elif luck < 0.6:
        lab.ask("PUT", f"{path}/{name}", body)
    else:
        content = chance.choice([MERGE, STRATEGIC, APPLY, JSON_PATCH])
        part = chance.choice(["", "", "/status"])
        lab.ask("PATCH", f"{path}/{name}{part}?fieldManager=m&force=true", body, content_type=content)


def _operation(chance: random.Random) -> Any:
    paths = ["", "/", "/spec", "/metadata", "/metadata/labels", "/spec/replicas", "/spec/ports/0", "/spec/containers/-"]
    paths += [
        "/spec/x",
        "/spec/template/spec",
        "/status",
        "/metadata/finalizers",
        "/spec/ports/\u00b2",
        "a",
        "/spec/size",
    ]
    told = {"op": chance.choice(["add", "remove", "replace", "move", "copy", "test"]), "path": chance.choice(paths)}
    return _twist(chance, {**told, "from": chance.choice(paths), "value": chance.choice(ODD)})


def _shown(lab: Lab) -> None:
    """Every kind is listed, as objects and as a table."""
    for kind in list(lab.box.cluster.kinds()):
        if "virtual" in kind.subresources:
            continue
        for form in ("application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"):
            lab.get(kind.path(), accept=form)
            assert lab.status == 200, kind.path()
    lab.get("/openapi/v3/apis/example.com/v1")
    lab.get("/openapi/v3/apis/apiextensions.k8s.io/v1")
    assert lab.status == 200


@pytest.mark.parametrize("seed", range(5))
def test_twisted_reads_are_answered(new_lab: Callable[..., Lab], seed: int) -> None:
    chance, lab = random.Random(seed), new_lab()
    words = ["", "a", "a=b", "a in (", "!", "=,", "%", "-1", "999999999999", "true", "☃", "a" * 300]
    keys = ["labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "watch", "timeoutSeconds"]
    for _ in range(300):
        path = chance.choice(
            [f"{SPACE}/configmaps", "/api/v1/nodes", f"{APPS}/deployments", "/apis", "/", "//", "/api/"]
        )
        query = {chance.choice(keys): chance.choice(words) for _ in range(chance.randrange(4))}
        response = lab.box.handle(
            Request("GET", path, query, {"accept": chance.choice(["", "*/*", "application/json;as=Table"])})
        )
        assert response.status < 500 or response.status == 504  # of a version that is yet to come


def test_bodies_that_are_no_objects_are_bad_requests(lab: Lab) -> None:
    for body in (b"", b"{", b"[]", b"null", b"3", b'"x"', b"kind: ConfigMap", b"k8s\0", b"\xff\xfe", b'{"a":NaN}'):
        for method, path, content in (
            ("POST", f"{SPACE}/configmaps", "application/json"),
            ("PUT", f"{SPACE}/configmaps/kube-root-ca.crt", "application/json"),
            ("PATCH", f"{SPACE}/configmaps/kube-root-ca.crt?fieldManager=m", APPLY),
        ):
            lab.ask(method, path, body, content_type=content)
            assert lab.status in (400, 422), (method, body)


def test_a_body_nested_without_end_is_a_bad_request(lab: Lab) -> None:
    deep = b'{"data":' + b'{"a":' * 300 + b"1" + b"}" * 301
    lab.ask("POST", f"{SPACE}/configmaps", deep)
    assert lab.status == 400
    lab.ask("PATCH", f"{SPACE}/configmaps/kube-root-ca.crt", b"[" * 900 + b"]" * 900, content_type=JSON_PATCH)
    assert lab.status == 400


def test_what_a_client_cannot_write_it_cannot_write(lab: Lab) -> None:
    made = lab.post(f"{SPACE}/configmaps", config_map("web"))
    lies = {
        "uid": "0",
        "creationTimestamp": "1999-01-01T00:00:00Z",
        "generation": 9,
        "deletionTimestamp": "1999-01-01T00:00:00Z",
    }
    del lies["uid"]
    seen = lab.patch(f"{SPACE}/configmaps/web", {"metadata": {**lies, "labels": {"a": "b"}}})
    assert seen["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert "deletionTimestamp" not in seen["metadata"]
    fresh = lab.post(f"{SPACE}/configmaps", {"metadata": {"name": "other", **lies, "uid": "mine"}})
    assert fresh["metadata"]["uid"] != "mine"
    assert orjson.dumps(lies["creationTimestamp"]) not in orjson.dumps(fresh)


@pytest.mark.parametrize(
    ("path", "spec"),
    [
        ("deployments", {"replicas": 2**31 - 1}),
        ("replicasets", {"replicas": 2**31 - 1}),
        ("statefulsets", {"replicas": 2**31 - 1, "podManagementPolicy": "Parallel", "ordinals": {"start": 2**31 - 1}}),
        ("jobs", {"parallelism": 2**31 - 1, "completions": 2**31 - 1}),
    ],
)
def test_a_billion_pods_are_wished_for_and_not_made(new_lab: Callable[..., Lab], path: str, spec: Any) -> None:
    lab = new_lab(Options(pods=25))
    base = deployment()["spec"]
    if path == "jobs":
        base = {"template": {"spec": POD}}
    lab.post(f"{BATCH if path == 'jobs' else APPS}/{path}", {"metadata": {"name": "web"}, "spec": {**base, **spec}})
    assert lab.status == 201
    lab.pass_time(1.0)
    assert len(lab.get(f"{SPACE}/pods")["items"]) == 25
    told = [item for item in lab.get(f"{SPACE}/events")["items"] if item["reason"] == "FailedCreate"]
    assert "takes 25 pods, and has them" in told[0]["message"]
    assert told[0]["type"] == "Warning"


def test_what_a_template_leads_to_and_nobody_could_write_is_an_event(lab: Lab) -> None:
    claims = [{"metadata": {"name": "d"}, "spec": {}}]
    spec = {**deployment()["spec"], "volumeClaimTemplates": claims}
    lab.post(f"{APPS}/statefulsets", {"metadata": {"name": "web"}, "spec": spec})
    lab.post(f"{APPS}/deployments", deployment("other"))
    lab.pass_time(1.0)
    events = lab.get(f"{SPACE}/events")["items"]
    told = [item["message"] for item in events if item["reason"] == "FailedCreate"]
    assert len(told) == 1
    assert "spec.accessModes: Required value" in told[0]
    assert lab.get(f"{APPS}/deployments/other")["status"]["availableReplicas"] == 2, "its neighbours go on"


def test_an_object_that_cannot_be_read_is_left_alone_and_told_of(lab: Lab) -> None:
    lab.post(f"{APPS}/deployments", deployment())
    lab.pass_time(1.0)
    stored = next(lab.box.cluster.store.scan("deployments.apps"))
    broken = {**stored.obj, "metadata": dict(stored.meta), "spec": {**stored.obj["spec"], "strategy": None}}
    lab.box.cluster.store.put("deployments.apps", broken)
    lab.post(f"{APPS}/deployments", deployment("other"))
    lab.pass_time(1.0)
    told = [item for item in lab.get(f"{SPACE}/events")["items"] if item["reason"] == UNREADABLE]
    assert [(item["type"], item["involvedObject"]["name"]) for item in told] == [("Warning", "web")]
    assert lab.get(f"{APPS}/deployments/other")["status"]["availableReplicas"] == 2


def test_a_patch_of_copies_within_copies_is_too_large(lab: Lab) -> None:
    copies = [{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(64)]
    before = lab.box.version
    lab.patch(f"{SPACE}/configmaps/kube-root-ca.crt", copies, JSON_PATCH)
    assert (lab.status, lab.box.version) == (413, before)
    nested = [{"op": "copy", "from": "", "path": "/data/a"}] * 3 + [{"op": "move", "from": "/data", "path": "/data/b"}]
    lab.patch(f"{SPACE}/configmaps/kube-root-ca.crt", nested, JSON_PATCH)
    assert (lab.status, lab.box.version) == (422, before)


def test_numbers_in_queries_are_small_numbers(lab: Lab) -> None:
    for query in ("limit=" + "9" * 5000, "watch=1&timeoutSeconds=" + "9" * 400, "limit=\u00b2", "resourceVersion=1e3"):
        lab.get(f"{SPACE}/configmaps?{query}")
        assert lab.status == 400, query[:40]
    lab.delete(f"{SPACE}/configmaps/kube-root-ca.crt?gracePeriodSeconds=x")
    assert lab.status == 400
    lab.delete(f"{SPACE}/configmaps/kube-root-ca.crt", {"gracePeriodSeconds": "x", "preconditions": []})
    assert lab.status == 400
