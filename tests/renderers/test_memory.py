"""What was rendered lately: an unchanged input is not rendered again."""

from __future__ import annotations

from typing import Any

import pytest

from kedge.model.declaration import HelmSection
from kedge.model.errors import Invalid
from kedge.model.manifest import Desired, Manifest
from kedge.model.ref import Ref
from kedge.model.source import Read
from kedge.model.unit import RenderSpec
from kedge.renderers.memory import Memory, Past, key_of
from kedge.renderers.questions import Call

FILES = {
    "app/kustomization.yaml": "resources: [../base]",
    "base/kustomization.yaml": "resources: [a.yaml]",
    "base/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
    "base/README.md": "-",
}


async def test_a_commit_elsewhere_costs_no_render(renderer: Any, repository: Any, unit: Any) -> None:
    first = await renderer.render(repository(FILES), unit("app"))
    later = repository({**FILES, "base/README.md": "changed", "other/x": "new"}, commit="later")
    assert await renderer.render(later, unit("app")) is first
    assert later.read_paths == []


@pytest.mark.parametrize(
    "change",
    [
        {"base/a.yaml": FILES["base/a.yaml"] + "data: {k: v}\n"},
        {"base/kustomization.yaml": "resources: [a.yaml]\nnamePrefix: x-"},
    ],
)
async def test_a_change_of_anything_that_was_read_is_rendered(
    renderer: Any, repository: Any, unit: Any, change: dict[str, str]
) -> None:
    first = await renderer.render(repository(FILES), unit("app"))
    second = await renderer.render(repository({**FILES, **change}), unit("app"))
    assert second.digest != first.digest


async def test_a_failure_is_remembered_until_its_cause_changes(renderer: Any, repository: Any, unit: Any) -> None:
    broken = repository({**FILES, "base/kustomization.yaml": "resources: [b.yaml]"})
    for _ in range(2):
        with pytest.raises(Invalid, match=r"b\.yaml"):
            await renderer.render(broken, unit("app"))
    assert broken.read_paths.count("base/kustomization.yaml") == 1
    mended = repository({**broken.files, "base/b.yaml": FILES["base/a.yaml"]})
    assert len((await renderer.render(mended, unit("app"))).manifests) == 1


async def test_a_refused_symlink_is_looked_at_again_when_a_file_takes_its_place(
    renderer: Any, repository: Any, unit: Any, link: Any
) -> None:
    linked = repository({**FILES, "base/a.yaml": link("../x.yaml")})
    for _ in range(2):
        with pytest.raises(Invalid, match="symbolic link"):
            await renderer.render(linked, unit("app"))
    assert len((await renderer.render(repository(FILES), unit("app"))).manifests) == 1


def test_the_key_covers_every_option() -> None:
    calls = [
        Call("plain", {"files": ["a"]}, root="x"),
        Call("plain", {"files": ["a"]}, root="y"),
        Call("plain", {"files": ["b"]}, root="x"),
        Call("helm", {"files": ["a"]}, root="x"),
    ]
    assert len({key_of(call) for call in calls}) == len(calls)


async def test_values_are_part_of_what_is_asked(renderer: Any, repository: Any, unit: Any) -> None:
    chart = {
        "c/Chart.yaml": "apiVersion: v2\nname: demo\nversion: 0.1.0\n",
        "c/templates/t.yaml": FILES["base/a.yaml"] + "data: {v: {{ .Values.v | quote }}}",
    }
    made = [
        (await renderer.render(repository(chart), unit("c", RenderSpec(helm=HelmSection(values={"v": value}))))).digest
        for value in (1, 2, 1)
    ]
    assert made[0] == made[2] != made[1]


def test_memory_forgets_the_question_that_was_asked_longest_ago(repository: Any) -> None:
    files = repository({"a": "1"})
    read = Read("a", files.entry("a").id)
    manifest = Manifest(Ref("", "ConfigMap", "", "a"), "v1", bytes(2000), "d")
    memory = Memory(limit=10_000)
    for name in "abc":
        memory.keep(name, Past((read,), Desired((manifest,), name)))
    assert memory.find("a", files) is not None
    memory.keep("d", Past((read,), Desired((manifest,), "d")))
    assert [name for name in "abcd" if memory.find(name, files)] == ["a", "c", "d"]
