"""Kustomize through the worker: the same objects as the command line, and nothing it must not do."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kedge.model.errors import Invalid
from kedge.model.manifest import Desired
from kedge.model.source import Read

HERE = Path(__file__).parent / "fixtures" / "kustomize"
CASES = "cases/kustomize"


def objects(desired: Desired) -> Counter[tuple[str, str]]:
    return Counter((m.ref.key, m.digest) for m in desired.manifests)


async def as_objects(renderer: Any, repository: Any, unit: Any, text: bytes) -> Counter[tuple[str, str]]:
    """What a tool printed, read as plain manifests."""
    return objects(await renderer.render(repository({"printed/all.yaml": text}), unit("printed")))


async def test_an_overlay_builds_the_objects_that_were_expected_of_it(
    renderer: Any, repository: Any, unit: Any, load: Any
) -> None:
    desired = await renderer.render(repository(load(HERE)), unit("overlay"))
    expected = await as_objects(renderer, repository, unit, (HERE / "expected.yaml").read_bytes())
    assert objects(desired) == expected


async def test_an_overlay_builds_what_the_command_line_builds(
    renderer: Any, repository: Any, unit: Any, load: Any, oracle: Callable[[str], str]
) -> None:
    printed = subprocess.run([oracle("kustomize"), "build", HERE / "overlay"], capture_output=True, check=True).stdout
    desired = await renderer.render(repository(load(HERE)), unit("overlay"))
    assert objects(desired) == await as_objects(renderer, repository, unit, printed)


@pytest.mark.parametrize("app", ["kustomize-guestbook", "sock-shop", "pre-post-sync"])
async def test_an_example_builds_what_the_command_line_builds(
    renderer: Any, repository: Any, unit: Any, load: Any, oracle: Callable[[str], str], shared: Path, app: str
) -> None:
    folder = shared / "cases" / "example-apps"
    printed = subprocess.run([oracle("kustomize"), "build", folder / app], capture_output=True, check=True).stdout
    desired = await renderer.render(repository(load(folder)), unit(app))
    assert objects(desired) == await as_objects(renderer, repository, unit, printed)


async def test_every_shared_case_builds_the_objects_it_expects(
    renderer: Any, repository: Any, unit: Any, load: Any, shared: Path
) -> None:
    cases = sorted((shared / CASES).iterdir())
    wrong = []
    for case in cases:
        about = yaml.safe_load((case / "case.yaml").read_text())
        path = "" if about["build"] == "." else about["build"]
        desired = await renderer.render(repository(load(case / "input")), unit(path))
        expected = await as_objects(renderer, repository, unit, (case / "expected.yaml").read_bytes())
        if objects(desired) != expected or len(desired.manifests) != about["objects"]:
            wrong.append(case.name)
    assert cases
    assert wrong == []


async def test_the_log_of_questions_names_what_was_read_and_what_was_looked_for_in_vain(
    renderer: Any, repository: Any, unit: Any, load: Any
) -> None:
    files = repository({**load(HERE), "overlay/unused.yaml": "-", "elsewhere/x.yaml": "-"})
    reads = {read.path: read for read in (await renderer.render(files, unit("overlay"))).reads}
    assert reads["overlay/kustomization.yaml"] == Read("overlay/kustomization.yaml", "")
    assert reads["base/app.properties"].id == files.entry("base/app.properties").id
    assert not {"overlay/unused.yaml", "elsewhere/x.yaml", "expected.yaml"} & set(reads)


@pytest.mark.parametrize(
    ("kustomization", "said"),
    [
        ("resources: ['https://example.com/x.yaml']", "not in the repository"),
        ("resources: ['https://github.com/a/b//c?ref=v1']", "not in the repository"),
        ("resources: ['github.com/a/b']", "not in the repository"),
        ("components: ['git@github.com:a/b.git']", "not in the repository"),
        ("bases: ['ssh://git@example.com/a/b']", "not in the repository"),
        ("openapi: {path: 'https://example.com/schema.json'}", "network"),
        ("configMapGenerator: [{name: a, files: ['https://example.com/x']}]", "network"),
        ("helmCharts: [{name: a, repo: 'https://example.com'}]", "run a program"),
        ("resources: ['../../../etc/passwd']", "out of the repository"),
        ("resources: ['../../../../kedge.repository/a/x.yaml']", "out of the repository"),
        ("resources: ['/etc/passwd']", "is absolute"),
        ("configMapGenerator: [{name: a, files: ['/proc/self/environ']}]", "out of the repository"),
        ("configMapGenerator: [{name: a, files: ['../b/x.yaml']}]", "security"),
        ("resources: [link.yaml]", "symbolic link"),
        ("resources: [linked]", "symbolic link"),
        ("resources: [linked/x.yaml]", "symbolic link"),
        ("resources: [sub]", "submodule"),
        ("generators: [plugin.yaml]", "plugin"),
        ("transformers: [function.yaml]", "plugin"),
        ("resources: [nope.yaml]", "nope.yaml"),
        ("resources: [.]", "cycle"),
        ("resources: [x.yaml, x.yaml]", "already registered"),
        ("unknownField: 1", "unknownField"),
    ],
)
async def test_what_a_kustomization_may_not_ask_for_is_refused(
    renderer: Any, repository: Any, unit: Any, link: Any, submodule: Any, kustomization: str, said: str
) -> None:
    made = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    function = "{config.kubernetes.io/function: 'exec: {path: /bin/true}'}"
    files = repository(
        {
            "a/kustomization.yaml": kustomization,
            "a/x.yaml": made,
            "b/x.yaml": made,
            "a/link.yaml": link("x.yaml"),
            "a/linked": link("../b"),
            "a/sub": submodule("c0ffee"),
            "a/plugin.yaml": "apiVersion: someone/v1\nkind: Plugin\nmetadata: {name: p}\n",
            "a/function.yaml": f"apiVersion: someone/v1\nkind: F\nmetadata: {{name: p, annotations: {function}}}\n",
        }
    )
    with pytest.raises(Invalid, match=said) as error:
        await renderer.render(files, unit("a"))
    assert "kedge.repository/" not in str(error.value).replace("/kedge.repository/a/x.yaml", "")


async def test_a_refusal_does_not_tell_whether_what_was_asked_for_exists(
    renderer: Any, repository: Any, unit: Any, link: Any
) -> None:
    said = []
    for target in ("../secret", "../nothing"):
        files = {"a/kustomization.yaml": "resources: [l.yaml]", "a/l.yaml": link(target), "secret": "s"}
        with pytest.raises(Invalid) as error:
            await renderer.render(repository(files), unit("a"))
        said.append(str(error.value))
    assert said[0] == said[1]


async def test_a_custom_schema_of_one_build_does_not_reach_the_next(
    renderer: Any, repository: Any, unit: Any, load: Any, shared: Path
) -> None:
    victim = shared / CASES / "pkg.openapiPollution.victim"
    about = yaml.safe_load((victim / "case.yaml").read_text())
    files = repository(load(victim / "input"))
    clean = await renderer.render(files, unit(about["build"] if about["build"] != "." else ""))
    polluter = {
        "kustomization.yaml": "openapi: {path: s.json}\nresources: [x.yaml]",
        "s.json": '{"definitions": {}}',
        "x.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
    }
    await renderer.render(repository(polluter), unit())
    again = await renderer.render(
        repository(load(victim / "input"), commit="another"), unit(about["build"] if about["build"] != "." else "")
    )
    assert objects(again) == objects(clean)
