"""A sandbox with its own clock and chance, and a client of three words."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.sandbox.standin import StandIn

from kedge.sandbox import Options, Request, Response, Sandbox, Watch

START = 1_764_000_000.0
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> float:
        return self.at


class Lab:
    """A sandbox and what a test does to it. Methods answer parsed bodies; ``status`` of the last answer is kept."""

    def __init__(self, options: Options | None = None, fields: Any = None, snapshot: bytes | None = None) -> None:
        self.clock = Clock()
        self.fields = fields or StandIn()
        chance = random.Random(7)
        self.box = Sandbox(self.fields, self.clock, lambda size: chance.randbytes(size).hex(), options, snapshot)
        self.status = 0
        self.last: Response | None = None
        self.box.settle()

    def ask(self, method: str, url: str, body: Any = None, **headers: str) -> Any:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.last = self.box.handle(Request.of(method, url, body, named))
        self.status = self.last.status
        if self.last.headers["content-type"].startswith("text/"):
            return {"text": self.raw.decode()}
        return self.last.body if isinstance(self.last.body, Watch) else self.last.json()

    @property
    def raw(self) -> bytes:
        """The body of the last answer."""
        return self.last.body if self.last is not None and isinstance(self.last.body, bytes) else b""

    def get(self, url: str, **headers: str) -> Any:
        return self.ask("GET", url, **headers)

    def post(self, url: str, body: Any) -> Any:
        return self.ask("POST", url, body)

    def put(self, url: str, body: Any) -> Any:
        return self.ask("PUT", url, body)

    def delete(self, url: str, body: Any = None) -> Any:
        return self.ask("DELETE", url, body)

    def patch(self, url: str, body: Any, content: str = MERGE) -> Any:
        return self.ask("PATCH", url, body, content_type=content)

    def apply(self, url: str, body: Any, manager: str = "kedge", force: bool = False, more: str = "") -> Any:
        joined = f"{url}?fieldManager={manager}&force={str(force).lower()}{more}"
        return self.ask("PATCH", joined, body, content_type=APPLY)

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Lets virtual time go by, with the controllers at work."""
        end = self.clock.at + seconds
        while self.clock.at < end:
            self.box.settle()
            self.clock.at = min(end, self.clock.at + step)
        self.box.settle()


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def new_lab() -> Callable[..., Lab]:
    return Lab


def config_map(name: str = "settings", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"a": "1"}}


def deployment(name: str = "web", image: str = "nginx:1.27", replicas: int = 2, **annotations: str) -> dict[str, Any]:
    template: dict[str, Any] = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": image}]},
    }
    if annotations:
        template["metadata"]["annotations"] = {"sandbox.kedge.dev/" + key: value for key, value in annotations.items()}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def definition(**version: Any) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 1},
                    "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            },
            "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
        },
    }
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [one]},
    }


MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
