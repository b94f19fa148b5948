"""What the server fills in."""

from __future__ import annotations

from tests.sandbox.conftest import DEPLOYMENTS, MAPS, Lab, config_map, deployment

SPACE = "/api/v1/namespaces/default"


def test_a_deployment_is_filled_in_as_everybody_knows_it(lab: Lab) -> None:
    body = deployment()
    del body["spec"]["replicas"]
    spec = lab.post(DEPLOYMENTS, body)["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["dnsPolicy"], pod["terminationGracePeriodSeconds"]) == (
        "Always",
        "ClusterFirst",
        30,
    )
    assert pod["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_an_image_without_a_tag_is_always_pulled(lab: Lab) -> None:
    for name, image, policy in (
        ("a", "nginx", "Always"),
        ("b", "nginx:latest", "Always"),
        ("c", "host:5000/nginx:1", "IfNotPresent"),
        ("d", "nginx@sha256:" + "0" * 64, "IfNotPresent"),
    ):
        made = lab.post(DEPLOYMENTS, deployment(name, image))
        assert made["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == policy, image


def test_zero_values_are_left_out_as_the_server_writes_them(lab: Lab) -> None:
    body = deployment()
    body["spec"] |= {"paused": False, "minReadySeconds": 0}
    body["spec"]["template"]["spec"]["containers"][0] |= {"env": [{"name": "A", "value": ""}], "args": []}
    made = lab.post(DEPLOYMENTS, body)["spec"]
    assert "paused" not in made
    assert "minReadySeconds" not in made
    container = made["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "A"}]
    assert "args" not in container


def test_quantities_are_stored_in_one_spelling(lab: Lab) -> None:
    body = deployment()
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": 0.5, "memory": "1024Mi"}}
    made = lab.post(DEPLOYMENTS, body)["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert made == {"limits": {"cpu": "500m", "memory": "1Gi"}}  # only a pod asks for what it is limited to


def test_a_service_gets_an_address_a_protocol_and_a_target(lab: Lab) -> None:
    spec = lab.post(f"{SPACE}/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})["spec"]
    assert spec["type"] == "ClusterIP"
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["sessionAffinity"], spec["internalTrafficPolicy"], spec["ipFamilies"]) == ("None", "Cluster", ["IPv4"])


def test_a_headless_service_keeps_none_and_an_external_name_has_no_address(lab: Lab) -> None:
    headless = lab.post(f"{SPACE}/services", {"metadata": {"name": "h"}, "spec": {"clusterIP": "None"}})
    assert headless["spec"]["clusterIPs"] == ["None"]
    external = {"type": "ExternalName", "externalName": "example.com"}
    assert "clusterIP" not in lab.post(f"{SPACE}/services", {"metadata": {"name": "e"}, "spec": external})["spec"]


def test_a_node_port_is_kept_when_the_service_is_applied_again(lab: Lab) -> None:
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    body["spec"] = {"type": "NodePort", "ports": [{"port": 80}]}
    first = lab.apply(f"{SPACE}/services/s", body)
    assert 30000 <= first["spec"]["ports"][0]["nodePort"] < 32768
    assert lab.apply(f"{SPACE}/services/s", body)["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_string_data_becomes_data(lab: Lab) -> None:
    made = lab.post(f"{SPACE}/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    assert (made["data"], made["type"]) == ({"a": "Yg=="}, "Opaque")
    assert "stringData" not in made


def test_a_job_gets_its_selector_and_labels(lab: Lab) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a:1"}]}}
    made = lab.post(
        "/apis/batch/v1/namespaces/default/jobs", {"metadata": {"name": "once"}, "spec": {"template": template}}
    )
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert made["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "once"
    assert (made["spec"]["backoffLimit"], made["spec"]["completions"], made["spec"]["parallelism"]) == (6, 1, 1)


def test_a_namespace_carries_its_name_as_a_label_and_gets_an_account(lab: Lab) -> None:
    made = lab.post("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    assert made["spec"]["finalizers"] == ["kubernetes"]
    lab.box.settle()
    assert lab.get("/api/v1/namespaces/shop/serviceaccounts/default")["metadata"]["name"] == "default"


def test_every_cluster_begins_with_the_same_things(lab: Lab) -> None:
    names = [item["metadata"]["name"] for item in lab.get("/api/v1/namespaces")["items"]]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
    assert lab.get("/api/v1/nodes")["items"][0]["metadata"]["name"] == "sandbox"
    lab.get("/apis/storage.k8s.io/v1/storageclasses/standard")
    assert lab.status == 200


def test_nulls_are_as_good_as_absent(lab: Lab) -> None:
    body = config_map()
    body["metadata"] |= {"creationTimestamp": None, "labels": None}
    assert "labels" not in lab.post(MAPS, body)["metadata"]
