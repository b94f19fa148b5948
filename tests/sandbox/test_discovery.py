"""What is served, in every form that clients ask for."""

from __future__ import annotations

from tests.sandbox.conftest import CRDS, Lab, definition

from kedge.sandbox import Request

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_versions_and_groups_are_listed(lab: Lab) -> None:
    assert lab.get("/api")["versions"] == ["v1"]
    groups = {group["name"]: group["preferredVersion"]["version"] for group in lab.get("/apis")["groups"]}
    assert groups["apps"] == "v1"
    assert groups["autoscaling"] == "v2"
    assert lab.get("/apis/apps")["kind"] == "APIGroup"


def test_resources_are_listed_with_their_subresources(lab: Lab) -> None:
    rows = {row["name"]: row for row in lab.get("/apis/apps/v1")["resources"]}
    assert rows["deployments"]["shortNames"] == ["deploy"]
    assert rows["deployments/scale"]["kind"] == "Scale"
    assert rows["deployments/status"]["verbs"] == ["get", "patch", "update"]
    core = {row["name"]: row for row in lab.get("/api/v1")["resources"]}
    assert (core["namespaces"]["namespaced"], core["pods"]["categories"]) == (False, ["all"])


def test_everything_comes_at_once_to_who_asks_for_it(lab: Lab) -> None:
    listed = lab.get("/apis", accept=AGGREGATED)
    assert lab.last is not None
    assert lab.last.headers["content-type"] == AGGREGATED
    assert lab.last.headers["etag"]
    apps = next(item for item in listed["items"] if item["metadata"]["name"] == "apps")
    row = next(row for row in apps["versions"][0]["resources"] if row["resource"] == "deployments")
    assert (row["responseKind"]["kind"], row["scope"]) == ("Deployment", "Namespaced")
    assert {item["subresource"] for item in row["subresources"]} == {"scale", "status"}
    assert lab.get("/api", accept=AGGREGATED)["items"][0]["versions"][0]["version"] == "v1"


def test_a_custom_kind_appears_and_disappears(lab: Lab) -> None:
    lab.post(CRDS, definition())
    lab.box.settle()
    assert lab.get("/apis/example.com/v1")["resources"][0]["shortNames"] == ["wd"]
    lab.delete(f"{CRDS}/widgets.example.com")
    lab.box.settle()
    lab.get("/apis/example.com/v1")
    assert lab.status == 404


def test_the_open_api_names_the_keys_that_lists_are_merged_by(lab: Lab) -> None:
    assert "api/v1" in lab.get("/openapi/v3")["paths"]
    schemas = lab.get("/openapi/v3/apis/apps/v1")["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    gvk = schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"]
    assert gvk == [{"group": "apps", "version": "v1", "kind": "Deployment"}]


def test_the_open_api_of_a_custom_kind_is_its_schema(lab: Lab) -> None:
    lab.post(CRDS, definition())
    lab.box.settle()
    schema = lab.get("/openapi/v3/apis/example.com/v1")["components"]["schemas"]["com.example.v1.Widget"]
    assert schema["properties"]["spec"]["properties"]["size"]["type"] == "integer"


def test_it_says_how_it_is_and_which_version_it_speaks(lab: Lab) -> None:
    assert lab.get("/version")["minor"] == "35"
    for path in ("/healthz", "/readyz", "/livez", "/readyz/ping"):
        assert lab.box.handle(Request.of("GET", path)).body == b"ok"


def test_every_access_review_says_yes(lab: Lab) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert lab.post(path, {"spec": {}})["status"]["allowed"] is True
    who = lab.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert "system:masters" in who["status"]["userInfo"]["groups"]


def test_a_method_that_makes_no_sense_is_not_allowed(lab: Lab) -> None:
    for method, path in (
        ("PUT", "/api/v1/namespaces/default/pods"),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        ("POST", "/api/v1/namespaces/default/pods/x"),
        ("DELETE", "/api/v1/componentstatuses/x"),
    ):
        lab.ask(method, path, {})
        assert lab.status == 405, (method, path)
