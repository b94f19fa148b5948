import json
import os
from pathlib import Path

import pytest
import yaml
from tests.cli.calling import call

SHARED = Path(os.environ.get("KEDGE_SHARED", Path(__file__).parents[3] / "shared")) / "cases"


def judged(raw: bytes) -> list[dict[str, str]]:
    result = call("health", "-o", "json", "-", stdin=raw)
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def test_one_line_for_each_object_in_order():
    raw = b"""
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 1}
---
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
"""
    first, second = judged(raw)
    assert (first["ref"], first["status"]) == ("apps/Deployment shop/web", "Progressing")
    assert (second["ref"], second["status"]) == ("ConfigMap shop/settings", "Healthy")
    assert set(first) == {"ref", "status", "message"}


def test_lists_are_flattened_whatever_their_kind():
    pods = {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": name}} for name in "ab"]}
    whole = {"apiVersion": "v1", "kind": "List", "items": [pods, {"apiVersion": "v1", "kind": "Node", "metadata": {}}]}
    assert [line["ref"] for line in judged(json.dumps(whole).encode())] == ["Pod a", "Pod b", "Node "]


def test_json_lines_are_read_as_kubectl_writes_them_one_after_another():
    lines = b"\n".join(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": n}}).encode() for n in "xy")
    assert [line["ref"] for line in judged(lines)] == ["Pod x", "Pod y"]


def test_what_is_broken_is_named_by_file_document_and_line(tmp_path):
    place = tmp_path / "broken.yaml"
    place.write_text("apiVersion: v1\nkind: Pod\n---\nkind: Pod\nkind: Pod\n")
    result = call("health", "-o", "json", str(place))
    assert (result.code, result.out) == (2, "")
    assert f"{place}, document 2, line 5" in result.err


def test_a_file_that_is_not_there_is_an_error_with_its_name():
    result = call("health", "/nowhere/x.yaml")
    assert result.code == 2
    assert "/nowhere/x.yaml" in result.err


def test_nothing_of_an_object_reaches_the_terminal_as_a_control():
    raw = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a\x1b]0;x\x07\u202e\x9b"}}).encode()
    for form in ("table", "json", "yaml", "name"):
        text = call("health", "-o", form, "-", stdin=raw).out
        assert not any(char in text for char in "\x1b\x07\u202e\x9b")
    assert judged(raw)[0]["ref"] == "Pod a\x1b]0;x\x07\u202e\x9b"


def test_the_judged_set_agrees_over_the_command_line():
    folder = SHARED / "health-builtin"
    if not folder.is_dir():
        pytest.skip("the set of judged objects is not here: set KEDGE_SHARED")
    cases = [case for file in sorted(folder.glob("*.yaml")) for case in yaml.load(file.read_text(), yaml.CSafeLoader)]
    raw = b"\n".join(json.dumps(case["input"], default=str).encode() for case in cases)
    found = [(case["id"], line["status"]) for case, line in zip(cases, judged(raw), strict=True)]
    assert found == [(case["id"], case["expected"]["status"]) for case in cases]
