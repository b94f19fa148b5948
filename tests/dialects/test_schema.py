"""The published schemas and the reader say the same of the same documents."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from kedge.dialects.kedge import KINDS, read
from kedge.dialects.schema import schema, schemas
from kedge.model.errors import Invalid


def document(kind: str, spec: Any = None, **metadata: Any) -> dict[str, Any]:
    made = {"apiVersion": "kedge.dev/v1alpha1", "kind": kind, "metadata": {"name": "web", **metadata}}
    return made if spec is None else {**made, "spec": spec}


GOOD = {
    "an application of nothing": document("Application"),
    "an application with everything": document(
        "Application",
        {
            "source": {"path": "apps/web", "repository": "https://git.example.com/shop/web", "ref": "main"},
            "target": {"cluster": "prod", "namespace": "web"},
            "helm": {"values": {"a": [1, {"b": None}]}, "valuesFiles": ["prod.yaml"], "releaseName": ""},
            "after": ["app/ingress"],
            "sync": {"auto": False, "prune": True, "heal": "never", "timeout": "1h30m"},
            "approve": {"when": "always", "by": ["group:sre"], "count": 2},
            "onRemove": "keep",
            "environments": {"staging": None, "prod": {"target": {"cluster": "prod"}}},
        },
        project="shop",
        labels={"tier": "front"},
    ),
    "a directory": document("Application", {"directory": {"recurse": True, "include": "*.yaml"}}),
    "an overlay without options": document("Application", {"kustomize": None}),
    "an application that reads another unit": document(
        "Application",
        {"inputs": {"host": {"from": "stack/db", "output": "endpoint", "type": "string"}}, "after": ["stack/net"]},
    ),
    "an application that tells another unit": document(
        "Application", {"outputs": {"address": {"object": "Service/web", "path": "status.loadBalancer.ingress[0].ip"}}}
    ),
    "a stack of nothing": document("Stack"),
    "a stack with everything": document(
        "Stack",
        {
            "source": {"path": "infra/db"},
            "tool": {"name": "terraform", "version": "~1.11"},
            "inputs": {"vpc": {"from": "stack/net", "output": "id"}},
            "variables": {"size": "small", "zones": ["a", "b"], "vpc": {"$input": "vpc"}},
            "variableFiles": ["prod.tfvars"],
            "modules": ["terraform-aws-modules/"],
            "credentials": {"plan": "aws-read", "apply": "aws-write"},
            "sync": {
                "auto": False,
                "heal": "harmless",
                "every": "30m",
                "driftWindows": [{"days": ["sat", "sun"], "from": "22:00", "to": "06:00", "zone": "UTC"}],
                "timeout": "2h",
            },
            "onRemove": "destroy",
            "environments": {"staging": {}, "prod": {"variables": {"size": "large"}}},
        },
        project="shop",
    ),
    "a credential for stacks": document("Credential", {"environment": {"AWS_ACCESS_KEY_ID": {"store": "aws-id"}}}),
    "a root": document("Root", {"repository": "https://git.example.com/a", "projects": ["shop"]}),
    "a project": document("Project", {"targets": [{"cluster": "*", "namespace": "shop-*"}], "kinds": ["apps/*"]}),
    "a cluster": document("Cluster", {"server": "https://10.0.0.1:6443", "caData": "a\nb\n", "credential": "c"}),
    "a credential": document("Credential", {"prefix": "https://git.example.com", "token": {"env": "GIT_TOKEN"}}),
}

BAD = {
    "an unknown field": document("Application", {"sync": {"heel": "always"}}),
    "an unknown section": document("Application", {"sinc": {}}),
    "an unknown word at the top": {**document("Application"), "status": {}},
    "metadata of another kind": document("Cluster", {}, project="shop"),
    "a name that is none": document("Application", name="Web_1"),
    "no metadata": {"apiVersion": "kedge.dev/v1alpha1", "kind": "Application"},
    "a word that is not allowed": document("Application", {"onRemove": "burn"}),
    "a number for a text": document("Application", {"source": {"path": 5}}),
    "a text for a truth": document("Application", {"sync": {"auto": "yes"}}),
    "a number for a duration": document("Application", {"sync": {"timeout": 60}}),
    "an empty duration": document("Application", {"sync": {"timeout": ""}}),
    "an absolute path": document("Application", {"source": {"path": "/etc"}}),
    "a path out of the tree": document("Application", {"source": {"path": "a/../../b"}}),
    "a values file out of the tree": document("Application", {"helm": {"valuesFiles": ["/x"]}}),
    "two renderers": document("Application", {"helm": {}, "kustomize": {}}),
    "nobody to approve": document("Application", {"approve": {"count": 0}}),
    "an approver without a kind": document("Application", {"approve": {"by": ["sre"]}}),
    "a wrong after": document("Application", {"after": ["pod/db"]}),
    "a wrong environment": document("Application", {"environments": {"prod": {"sync": {"auto": 1}}}}),
    "an environment's name": document("Application", {"environments": {"Prod": {}}}),
    "a list for a section": document("Application", {"source": []}),
    "an application that destroys": document("Application", {"onRemove": "destroy"}),
    "a stack that asks": document("Stack", {"onRemove": "ask"}),
    "a stack with a target": document("Stack", {"target": {"cluster": "prod"}}),
    "a root without a repository": document("Root", {"projects": ["shop"]}),
    "a credential without a prefix": document("Credential", {"token": {"env": "X"}}),
    "a secret in two places": document("Credential", {"prefix": "https://x", "token": {"env": "X", "file": "/y"}}),
}


def accepted(made: dict[str, Any]) -> tuple[bool, bool]:
    """Whether the schema, and whether the reader takes it."""
    validator = jsonschema.Draft202012Validator(schema(made["kind"]))
    reading = read(yaml.safe_dump(made).encode())
    return not list(validator.iter_errors(made)), not reading.problems and len(reading.declarations) == 1


@pytest.mark.parametrize("made", GOOD.values(), ids=GOOD.keys())
def test_what_is_right_is_right_for_both(made: dict[str, Any]) -> None:
    assert accepted(made) == (True, True)


@pytest.mark.parametrize("made", BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_wrong_for_both(made: dict[str, Any]) -> None:
    assert accepted(made) == (False, False)


def test_every_kind_has_a_schema_that_is_one() -> None:
    assert list(schemas()) == sorted(KINDS)
    for made in schemas().values():
        jsonschema.Draft202012Validator.check_schema(made)


def test_a_schema_tells_defaults_choices_and_meaning() -> None:
    spec = schema("Application")["properties"]["spec"]["properties"]
    heal = spec["sync"]["properties"]["heal"]
    assert (heal["type"], heal["enum"], heal["default"]) == ("string", ["always", "never"], "always")
    assert "drift" in heal["description"]
    assert spec["sync"]["properties"]["timeout"]["default"] == "600s"
    assert "drift" in spec["sync"]["description"]
    assert spec["helm"]["additionalProperties"] is False


def test_every_field_says_what_it_is_for() -> None:
    def silent(part: Any, path: str) -> list[str]:
        properties = part.get("properties", {})
        found = [
            f"{path}.{name}" for name, inner in properties.items() if not (inner.keys() & {"description", "const"})
        ]
        return found + [each for name, inner in properties.items() for each in silent(inner, f"{path}.{name}")]

    for kind, made in schemas().items():
        assert silent(made["properties"]["spec"], kind) == []


def test_there_is_no_schema_of_what_is_no_kind() -> None:
    with pytest.raises(Invalid, match="no kind"):
        schema("Nonsense")
