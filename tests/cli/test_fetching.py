"""`kedge render` and `kedge diff` without a server, of what is declared to be elsewhere: fetched when asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.calling import Result, call
from tests.sources.packing import chart, indexed
from tests.sources.web import Asked, Reply, Site

from kedge.compose import built_worker
from kedge.model.errors import Unavailable

WEB = """\
apiVersion: kedge.dev/v1alpha1
kind: Application
metadata: {name: web, project: shop}
spec:
  source:
    repository: %s
    chart: web
    version: %s
    others: [{name: values}]
  helm: {valuesFiles: [$values/web/prod.yaml]}
"""
OURS = """\
apiVersion: kedge.dev/v1alpha1
kind: Application
metadata: {name: ours, project: shop}
spec:
  source: {path: ours, allow: ["%s"]}
"""
CREDENTIALS = """\
apiVersion: kedge.dev/v1alpha1
kind: Credential
metadata: {name: charts}
spec: {prefix: "%s", username: mona, password: {env: CHARTS_TOKEN}}
"""


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=Mona", "-c", "user.email=mona@example.com", *words],
        cwd=folder,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def charts() -> Iterator[Site]:
    """Two charts in a repository that counts who asks."""
    site = Site()
    found = {(name, version): (f"{name}-{version}.tgz", chart(name, version)) for name, version in CHARTS}
    site.pages = {f"/{file}": raw for file, raw in found.values()} | {"/index.yaml": indexed(found)}
    yield site
    site.close()


CHARTS = (("web", "1.2.0"), ("web", "1.3.0"), ("web", "2.0.0"), ("base", "1.0.0"))


@pytest.fixture
def tree(tmp_path: Path, charts: Site) -> Path:
    try:
        built_worker()
    except Unavailable as error:
        pytest.skip(str(error))
    folder = tmp_path / "repo"
    wanted = f'[{{name: base, version: 1.x, repository: "{charts.url}"}}]'
    files = {
        "web.yaml": WEB % (charts.url, '"^1.0"'),
        "ours.yaml": OURS % charts.url,
        "web/prod.yaml": "greeting: one\n",
        "ours/Chart.yaml": f"apiVersion: v2\nname: ours\nversion: 0.1.0\ndependencies: {wanted}\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "begin")
    return folder


@pytest.fixture
def kedge(tmp_path: Path, tree: Path) -> Any:
    def called(*words: str) -> Result:
        return call(*words, env={"KEDGE_DATA": str(tmp_path / "data"), "CHARTS_TOKEN": "s3cret"})

    return called


def data(done: Result) -> dict[str, str]:
    assert done.code == 0, done.err
    (only,) = done.json["items"]
    return dict(only["data"])


def test_a_chart_from_elsewhere_is_rendered_with_the_values_that_lie_here(kedge: Any, tree: Path) -> None:
    """It said that there is no Chart.yaml in the folder."""
    words = ("render", str(tree), "--declared", str(tree / "web.yaml"), "-o", "json")
    assert data(kedge(*words, "--fetch")) == {"version": "1.3.0", "greeting": "one"}
    (tree / "web/prod.yaml").write_text("greeting: not committed\n")
    assert data(kedge(*words, "--fetch")) == {"version": "1.3.0", "greeting": "not committed"}


def test_two_refs_are_compared_with_the_chart_and_the_values_of_each(kedge: Any, tree: Path, charts: Site) -> None:
    (tree / "web.yaml").write_text(WEB % (charts.url, "2.0.0"))
    (tree / "web/prod.yaml").write_text("greeting: two\n")
    git(tree, "commit", "--quiet", "--all", "--message", "the next one")
    words = (str(tree), "--declared", str(tree / "web.yaml"), "--fetch")
    found = kedge("diff", "--from", "HEAD~1", "--to", "HEAD", *words)
    assert found.code == 1, found.err
    assert 'data.greeting  "one" → "two"' in found.out
    assert 'data.version   "1.3.0" → "2.0.0"' in found.out


def test_an_archive_is_fetched_once(kedge: Any, tree: Path, charts: Site) -> None:
    for _ in range(2):
        kedge("render", str(tree), "--declared", str(tree / "web.yaml"), "--fetch")
    assert charts.paths().count("/web-1.3.0.tgz") == 1


def test_what_a_chart_here_depends_on_is_fetched_from_where_the_declaration_allows(
    kedge: Any, tree: Path, charts: Site
) -> None:
    words = ("render", str(tree / "ours"), "--declared", str(tree / "ours.yaml"), "-o", "json")
    assert data(kedge(*words, "--fetch"))["version"] == "1.0.0"
    (tree / "ours.yaml").write_text(OURS % "https://other.example.com")
    refused = kedge(*words, "--fetch")
    assert refused.code == 2
    assert "which the declaration does not allow" in refused.err
    assert "source.allow" in refused.err


@pytest.mark.parametrize(("folder", "file"), [(".", "web.yaml"), ("ours", "ours.yaml")])
def test_nothing_is_fetched_unasked_and_the_error_says_how_it_is(
    kedge: Any, tree: Path, charts: Site, folder: str, file: str
) -> None:
    done = kedge("render", str(tree / folder), "--declared", str(tree / file))
    assert done.code == 2
    assert "nothing is fetched" in done.err
    assert "--fetch" in done.err
    assert charts.asked == []


def test_a_file_of_credentials_opens_what_is_closed(kedge: Any, tree: Path, charts: Site) -> None:
    def closed(asked: Asked) -> Reply | None:
        return None if asked.authorization.startswith("Basic ") else Reply(b"", 401)

    charts.rule = closed
    words = ("render", str(tree), "--declared", str(tree / "web.yaml"), "-o", "json", "--fetch")
    refused = kedge(*words)
    assert refused.code != 0
    assert "declare a Credential" in refused.err
    file = tree / "credentials.yaml"
    file.write_text(CREDENTIALS % charts.url)
    found = kedge(*words, "--credentials", str(file))
    assert data(found)["version"] == "1.3.0"
    assert "s3cret" not in found.out + found.err
