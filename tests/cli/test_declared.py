"""`kedge render` and `kedge diff` with everything that a declaration says about rendering, without a server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.cli.calling import Result, call

from kedge.compose import built_worker
from kedge.model.errors import Unavailable

DECLARED = """\
apiVersion: kedge.dev/v1alpha1
kind: Application
metadata: {name: web, project: shop}
spec:
  source: {path: app}
  target: {namespace: deep}
  helm: {parameters: [{name: tag, value: "7"}]}
  patches:
  - target: {kind: ConfigMap}
    patch: "[{op: add, path: /data/env, value: '${env}'}]"
  substitute: {variables: {env: none}}
  environments:
    dev: {}
    prod: {substitute: {variables: {env: prod}}}
"""
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {p: '${pw}'}\n"
TEMPLATE = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}\n"
    'data: {tag: "{{ .Values.tag }}", more: "{{ .Values.more }}"}\n'
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    try:
        built_worker()
    except Unavailable as error:
        pytest.skip(str(error))
    files = {
        "app/Chart.yaml": "apiVersion: v2\nname: demo\nversion: 0.1.0\n",
        "app/templates/c.yaml": TEMPLATE,
        "web.yaml": DECLARED,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def data(done: Result) -> Any:
    assert done.code == 0, done.err
    value = json.loads(done.out)
    (only,) = value if isinstance(value, list) else value["items"]
    return only


def test_a_directory_is_rendered_as_an_application_declares_it(tree: Path) -> None:
    done = call("render", str(tree / "app"), "--declared", str(tree / "web.yaml"), "--unit", "web@prod", "-o", "json")
    made = data(done)
    assert made["metadata"] == {"name": "web", "namespace": "deep"}
    assert made["data"] == {"tag": "7", "more": "", "env": "prod"}


def test_the_command_line_s_values_are_laid_over_the_declaration_s(tree: Path) -> None:
    flags = ["--declared", str(tree / "web.yaml"), "--unit", "web@dev", "--set", "more=x", "--name", "other"]
    made = data(call("render", str(tree / "app"), *flags, "-o", "json"))
    assert made["metadata"]["name"] == "other"
    assert made["data"] == {"tag": "7", "more": "x", "env": "none"}


@pytest.fixture
def reading(tree: Path) -> list[str]:
    """Flags for an application that reads a value of another unit, which only a server knows."""
    spec = "inputs: {more: {from: stack/db, output: endpoint}}, helm: {values: {tag: 7, more: {$input: more}}}"
    head = "apiVersion: kedge.dev/v1alpha1\nkind: Application\nmetadata: {name: web, project: shop}\n"
    (tree / "web.yaml").write_text(f"{head}spec: {{{spec}}}\n")
    return [str(tree / "app"), "--declared", str(tree / "web.yaml"), "-o", "json"]


def test_a_value_of_another_unit_is_a_hole_with_its_name(reading: list[str]) -> None:
    """It was rendered as the text of its own declaration."""
    assert data(call("render", *reading))["data"] == {"tag": "7", "more": "‹shop/db.endpoint›"}
    assert data(call("render", *reading, "--set", "more=x"))["data"] == {"tag": "7", "more": "x"}


def test_what_can_not_be_rendered_without_a_value_is_left_to_the_server(tree: Path, reading: list[str]) -> None:
    (tree / "app" / "templates" / "c.yaml").write_text(TEMPLATE.replace(".Release.Name", ".Values.more"))
    done = call("render", *reading)
    assert done.code == 2
    assert "can not be rendered before shop/db.endpoint is known" in done.err


def test_several_units_in_a_file_are_told_apart_by_name(tree: Path) -> None:
    done = call("render", str(tree / "app"), "--declared", str(tree / "web.yaml"))
    assert done.code == 2
    assert "which application?" in done.err
    assert "web@dev, web@prod" in done.err


def test_a_secret_is_read_from_a_file_in_place_of_the_store(tree: Path) -> None:
    (tree / "plain").mkdir()
    (tree / "plain" / "s.yaml").write_text(SECRET)
    (tree / "pw").write_text("canary")
    head = "apiVersion: kedge.dev/v1alpha1\nkind: Application\nmetadata: {name: s}\n"
    (tree / "s.yaml").write_text(f"{head}spec: {{substitute: {{secrets: {{pw: shop-db}}}}}}\n")
    flags = [str(tree / "plain"), "--declared", str(tree / "s.yaml"), "-o", "json"]
    assert data(call("render", *flags, "--secret", f"shop-db={tree / 'pw'}"))["stringData"] == {"p": "canary"}
    assert "no secret shop-db" in call("render", *flags).err


def test_two_commits_are_compared_as_declared(tree: Path) -> None:
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    (tree / "app" / "templates" / "c.yaml").write_text(TEMPLATE.replace("tag: ", "version: "))
    flags = ["--from", "main", str(tree / "app"), "--declared", str(tree / "web.yaml"), "--unit", "web@prod"]
    done = call("diff", *flags)
    assert "deep/web" in done.out
    assert "data.version" in done.out


def test_each_ref_is_rendered_as_it_is_declared_there(tree: Path) -> None:
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"], ["tag", "before"]):
        subprocess.run([*git, *command], check=True)
    (tree / "web.yaml").write_text(DECLARED.replace('value: "7"', 'value: "eight"'))
    subprocess.run([*git, "commit", "-q", "-a", "-m", "two"], check=True)
    (tree / "web.yaml").write_text(DECLARED.replace('value: "7"', 'value: "nine"'))
    flags = [str(tree / "app"), "--declared", str(tree / "web.yaml"), "--unit", "web@prod", "--from", "before"]
    told = call("diff", *flags, "--to", "main").out
    assert "data.tag" in told
    assert ("eight" in told, "nine" in told) == (True, False)
    assert "nine" in call("diff", *flags).out
    (tree / "other.yaml").write_text(DECLARED)
    missing = call("diff", str(tree / "app"), "--declared", str(tree / "other.yaml"), "--unit", "web", "--from", "main")
    assert missing.code == 2
    assert "there is no file other.yaml at main" in missing.err
