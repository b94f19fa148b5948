"""What a server made otherwise than it was asked to, and what only looks so."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from kedge.engine.overruled import overruled, seen_overruled
from kedge.model.manifest import Manifest
from kedge.model.operation import Overruled
from kedge.model.pair import Seen
from kedge.model.ref import Ref

WISH: dict[str, Any] = {
    "metadata": {"name": "web", "labels": {"app": "web"}, "creationTimestamp": None},
    "spec": {
        "replicas": 2,
        "template": {
            "metadata": {"creationTimestamp": None, "labels": {"app": "web"}},
            "spec": {
                "containers": [{"name": "web", "image": "nginx:1", "resources": {"limits": {"memory": "1024Mi"}}}],
                "volumes": [{"name": "settings", "configMap": {"name": "web"}}],
            },
        },
    },
    "status": {"replicas": 9},
}


def made(**changes: Any) -> dict[str, Any]:
    """What a server answers that adds, and writes quantities its own way. `changes`: of the only container."""
    found = deepcopy(WISH)
    del found["status"]
    found["metadata"] = {"name": "web", "labels": {"app": "web", "added": "x"}, "uid": "u", "managedFields": []}
    template = found["spec"]["template"]
    template["metadata"] = {"labels": {"app": "web"}, "annotations": {"added": "x"}}
    container = {**template["spec"]["containers"][0], "imagePullPolicy": "Always", **changes}
    container.setdefault("resources", {})
    template["spec"]["containers"] = [{"name": "sidecar", "image": "proxy"}, container]
    template["spec"]["volumes"].append({"name": "added", "emptyDir": {}})
    return found


def test_what_is_kept_or_added_or_written_another_way_is_not_overruled():
    assert overruled("Deployment", WISH, made(resources={"limits": {"memory": "1Gi"}})) == ""


@pytest.mark.parametrize("nothing", [0, False, "", [], {}, {"inner": {"deep": 0}}])
def test_a_nothing_that_the_server_does_not_write_is_not_overruled(nothing: Any):
    """`minReadySeconds: 0` in Git was told as overruled for ever: Kubernetes leaves zeros out."""
    wish = {**WISH, "spec": {**WISH["spec"], "minReadySeconds": nothing}}
    assert overruled("Deployment", wish, made()) == ""
    assert overruled("Deployment", wish, made(image="mirror/nginx:1")).endswith(".image")
    assert overruled("Deployment", {"spec": {"replicas": nothing}}, made()) == "spec.replicas"


def test_what_is_made_otherwise_is_named_by_its_path():
    image = "spec.template.spec.containers[name=web].image"
    assert overruled("Deployment", WISH, made(image="mirror/nginx:1")) == image
    gone = made()
    del gone["metadata"]["labels"]["app"]
    assert overruled("Deployment", WISH, gone) == "metadata.labels.app"


def test_many_paths_are_counted():
    wish = {"data": {name: "a" for name in "abcde"}}
    assert overruled("ConfigMap", wish, {"data": dict.fromkeys("abcde", "b")}) == "data.a, data.b, data.c and 2 more"


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        ({"stringData": {"a": "b"}}, {"data": {"a": "Yg=="}}),
        ({"data": {"a": "YWFh\nYWFh\n"}}, {"data": {"a": "YWFhYWFh"}}),
        ({"data": {"a": "Yg=="}, "stringData": {"a": "c"}}, {"data": {"a": "Yw=="}}),
    ],
)
def test_a_secret_may_be_written_in_more_than_one_way(wish, found):
    assert overruled("Secret", wish, found) == ""
    assert overruled("Secret", wish, {"data": {"a": "eA=="}}) == "data.a"


WEB = Ref("", "ConfigMap", "web", "web")


def looked_at(greeting: str, **more: Any) -> Seen:
    body = json.dumps({"data": {"greeting": "hello"}}).encode()
    live = {"data": {"greeting": greeting}}
    return Seen(WEB, live, live, Manifest(WEB, "v1", body, "d"), **more)


def test_a_look_finds_what_is_overruled_and_what_is_not_any_more():
    told = Overruled(WEB, "data.greeting")
    assert seen_overruled((), [looked_at("as I say")], {WEB}) == (told,)
    assert seen_overruled((told,), [looked_at("hello")], {WEB}) == ()
    assert seen_overruled((), [looked_at("as I say", autoscaled=True)], {WEB}) == ()


def test_what_nobody_looked_at_stays_overruled_as_long_as_it_is_the_unit_s():
    told = Overruled(WEB, "data.greeting")
    assert seen_overruled((told,), [], {WEB}) == (told,)
    assert seen_overruled((told,), [], set()) == ()
