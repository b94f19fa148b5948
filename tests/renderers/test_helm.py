"""Helm through the worker: the same objects as `helm template`, and nothing a chart must not do."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kedge.model.declaration import HelmSection
from kedge.model.errors import Invalid
from kedge.model.manifest import Desired
from kedge.model.source import EntryKind, Read
from kedge.model.unit import RenderSpec
from kedge.renderers import helm

HERE = Path(__file__).parent / "fixtures" / "helm"
SECTION = HelmSection(
    valuesFiles=("../prod.yaml",), values={"cache": {"size": 7}}, kubeVersion="1.31.0", apiVersions=("example.com/v1",)
)
CHART = "apiVersion: v2\nname: demo\nversion: 0.1.0\n"


def objects(desired: Desired) -> Counter[tuple[str, str]]:
    return Counter((m.ref.key, m.digest) for m in desired.manifests)


def chart(template: str = "", **files: str) -> dict[str, str]:
    return {"c/Chart.yaml": CHART, "c/templates/t.yaml": template, **{f"c/{k}": v for k, v in files.items()}}


def config(value: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{v: {value}}}\n"


async def test_a_chart_renders_the_objects_that_were_expected_of_it(
    renderer: Any, repository: Any, unit: Any, load: Any
) -> None:
    desired = await renderer.render(repository(load(HERE)), unit("chart", RenderSpec(helm=SECTION)))
    printed = repository({"p/all.yaml": (HERE / "expected.yaml").read_bytes()})
    assert objects(desired) == objects(await renderer.render(printed, unit("p")))


async def test_definitions_come_first_and_hooks_last(renderer: Any, repository: Any, unit: Any, load: Any) -> None:
    desired = await renderer.render(repository(load(HERE)), unit("chart", RenderSpec(helm=SECTION)))
    assert [m.ref.kind for m in desired.manifests] == [
        "CustomResourceDefinition",
        "ConfigMap",
        "Service",
        "Deployment",
        "Job",
    ]
    assert desired.manifests[-1].annotation("helm.sh/hook") == "pre-install,pre-upgrade"
    assert [m.where.file for m in desired.manifests][2:4] == [
        "chart/charts/cache/templates/cache.yaml",
        "chart/templates/workload.yaml",
    ]


@pytest.mark.parametrize("name", ["fixture", "helm-guestbook", "blue-green"])
async def test_a_chart_renders_what_the_command_line_renders(
    renderer: Any, repository: Any, unit: Any, load: Any, oracle: Callable[[str], str], request: Any, name: str
) -> None:
    program, folder, flags = oracle("helm"), HERE, ["-f", "prod.yaml", "--set", "cache.size=7", "-a", "example.com/v1"]
    section, path = SECTION, "chart"
    if name != "fixture":
        folder, flags, section = request.getfixturevalue("shared") / "cases" / "example-apps", [], HelmSection()
        path = name
    flags = [*flags, *(["--kube-version", section.kubeVersion] if section.kubeVersion else [])]
    command = [program, "template", "web", path, "-n", "shop", "--include-crds", "--skip-tests", *flags]
    printed = subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
    desired = await renderer.render(repository(load(folder)), unit(path, RenderSpec(helm=section)))
    assert objects(desired) == objects(await renderer.render(repository({"p/a.yaml": printed}), unit("p")))


async def test_a_chart_is_keyed_by_its_folder_and_the_values_outside_of_it(
    renderer: Any, repository: Any, unit: Any, load: Any
) -> None:
    files = repository(load(HERE))
    desired = await renderer.render(files, unit("chart", RenderSpec(helm=SECTION)))
    assert desired.reads == (
        Read("chart", files.entry("chart").id, EntryKind.FOLDER),
        Read("prod.yaml", files.entry("prod.yaml").id),
    )


async def test_definitions_can_be_left_out(renderer: Any, repository: Any, unit: Any, load: Any) -> None:
    spec = RenderSpec(helm=HelmSection(includeCRDs=False, kubeVersion="1.31"))
    desired = await renderer.render(repository(load(HERE)), unit("chart", spec))
    assert "CustomResourceDefinition" not in {m.ref.kind for m in desired.manifests}


async def test_a_release_is_named_after_its_unit_unless_declared(renderer: Any, repository: Any, unit: Any) -> None:
    files = repository(chart(config("{{ .Release.Name }}-{{ .Release.Namespace }}")))
    (by_unit,) = (await renderer.render(files, unit("c"))).manifests
    (declared,) = (await renderer.render(files, unit("c", RenderSpec(helm=HelmSection(releaseName="x"))))).manifests
    assert b'"v":"web-shop"' in by_unit.body
    assert b'"v":"x-shop"' in declared.body


async def test_an_upgrade_can_be_told_from_an_installation(pool: Any, repository: Any, unit: Any) -> None:
    files = repository(chart(config("'{{ .Release.IsInstall }} {{ .Release.IsUpgrade }}'")))
    first = await pool.call(helm.call(files, unit("c")), files)
    later = await pool.call(helm.call(files, unit("c"), is_upgrade=True), files)
    assert b"true false" in first.objects[0].body
    assert b"false true" in later.objects[0].body


async def test_later_values_win_and_inline_values_win_over_files(renderer: Any, repository: Any, unit: Any) -> None:
    template = config("'{{ .Values.a }}{{ .Values.b }}{{ .Values.c }}{{ .Values.d }}'")
    files = {
        **chart(template, **{"values.yaml": "{a: 0, b: 0, c: 0, d: 0}", "one.yaml": "{b: 1, c: 1, d: 1}"}),
        "two.yaml": "{c: 2, d: 2}",
    }
    section = HelmSection(valuesFiles=("one.yaml", "../two.yaml"), values={"d": 3})
    (made,) = (await renderer.render(repository(files), unit("c", RenderSpec(helm=section)))).manifests
    assert b'"v":"0123"' in made.body


async def test_a_repeated_key_of_a_template_is_noted_and_its_last_value_counts(
    renderer: Any, repository: Any, unit: Any
) -> None:
    desired = await renderer.render(repository(chart(config("'1', v: '2'"))), unit("c"))
    assert b'"v":"2"' in desired.manifests[0].body
    assert any("already set" in note for note in desired.notes)


async def test_a_chart_that_renders_differently_each_time_is_noted_and_its_objects_named(
    renderer: Any, repository: Any, unit: Any
) -> None:
    random = chart(
        config("{{ randAlphaNum 16 }}"), **{"templates/b.yaml": config("fixed").replace("name: a", "name: b")}
    )
    (note,) = (await renderer.render(repository(random), unit("c"))).notes
    assert "ConfigMap a" in note
    assert "ConfigMap b" not in note
    # A function that could, used where it does not, costs a second render and says nothing.
    assert (await renderer.render(repository(chart(config("{{ randAlpha 8 | len }}"))), unit("c"))).notes == ()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (chart("{{ .Values.a.b.c }}"), "nil pointer"),
        (chart('{{ fail "no" }}'), "no"),
        (chart('{{ required "need x" .Values.x }}'), "need x"),
        (chart("{{ nothing }}"), "not defined"),
        (chart("a: [\n"), "t.yaml"),
        (chart(**{"values.yaml": "a: [\n"}), "values.yaml"),
        (chart(**{"values.schema.json": '{"required": ["x"]}'}), "missing property 'x'"),
        (chart(**{"values.schema.json": '{"$ref": "file:///etc/passwd"}'}), "outside of it"),
        (chart(**{"values.schema.json": '{"properties": {"a": {"$ref": "../x.json"}}}'}), "outside of it"),
        (chart(**{"values.schema.json": '{"$ref": "https://example.com/s.json"}'}), "outside of it"),
        (chart(**{"values.schema.json": '{"$schema": "https://example.com/s.json"}'}), "outside of it"),
        (
            {"c/Chart.yaml": CHART + "dependencies: [{name: redis, version: 1.0.0}]\n"},
            "missing in charts/ directory: redis",
        ),
        ({"c/Chart.yaml": CHART + "type: library\n"}, "not installable"),
        ({"c/Chart.yaml": CHART + "kubeVersion: '>=9.0.0'\n"}, "needs Kubernetes"),
        ({"c/Chart.yaml": "name: x\n"}, "version"),
        ({"c/Chart.yaml": "name: ../x\nversion: 1.0.0\n"}, "name"),
        ({"c/values.yaml": "a: 1"}, "no Chart.yaml"),
    ],
)
async def test_a_broken_chart_is_an_error_that_says_what_is_wrong(
    renderer: Any, repository: Any, unit: Any, files: dict[str, str], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        await renderer.render(repository(files), unit("c", RenderSpec(helm=HelmSection())))


async def test_an_error_in_a_template_names_its_file_and_line(renderer: Any, repository: Any, unit: Any) -> None:
    with pytest.raises(Invalid) as error:
        await renderer.render(repository(chart(config("1") + "{{ .Values.a.b }}")), unit("c"))
    where = error.value.problems[0].where
    assert (where.file, where.line) == ("c/templates/t.yaml", 5)


@pytest.mark.parametrize(
    "place", ["templates/x.yaml", "values.yaml", "charts/x", "files/data", "README.md", "Chart.lock", "crds/x.yaml"]
)
async def test_a_symlink_in_a_chart_is_refused(
    renderer: Any, repository: Any, unit: Any, link: Any, place: str
) -> None:
    files = {**chart(), f"c/{place}": link("/etc/passwd")}
    with pytest.raises(Invalid, match="symbolic link"):
        await renderer.render(repository(files), unit("c", RenderSpec(helm=HelmSection())))


async def test_a_symlink_that_a_chart_ignores_is_left_alone(
    renderer: Any, repository: Any, unit: Any, link: Any
) -> None:
    files = {**chart(config("a"), **{".helmignore": "docs\n"}), "c/docs": link("/etc")}
    assert len((await renderer.render(repository(files), unit("c"))).manifests) == 1


@pytest.mark.parametrize(
    "path", ["../../secret", "/etc/passwd", "../../../x", "..\\x", "file:///etc/passwd", "nope.yaml", "l.yaml"]
)
async def test_a_values_file_outside_of_the_repository_is_refused_without_a_look_at_it(
    renderer: Any, repository: Any, unit: Any, link: Any, path: str
) -> None:
    files = repository({**chart(), "c/l.yaml": link("../../x")})
    with pytest.raises(Invalid, match=r"repository|symbolic link"):
        await renderer.render(files, unit("c", RenderSpec(helm=HelmSection(valuesFiles=(path,)))))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ('{{ getHostByName "localhost" | quote }}', '""'),
        ('{{ .Files.Get "/etc/passwd" | quote }}', '""'),
        ('{{ .Files.Get "../../../etc/passwd" | quote }}', '""'),
        ('{{ lookup "v1" "Node" "" "" | len | quote }}', '"0"'),
        ('{{ now | dateInZone "MST" "America/Phoenix" | quote }}', '"MST"'),
    ],
)
async def test_a_template_learns_nothing_of_the_machine(
    renderer: Any, repository: Any, unit: Any, template: str, value: str
) -> None:
    template = template.replace('now | dateInZone "MST"', 'dateInZone "MST" now')
    (made,) = (await renderer.render(repository(chart(config(template))), unit("c"))).manifests
    assert f'"v":{value}'.encode() in made.body


@pytest.mark.parametrize("function", ["env", "expandenv"])
async def test_a_template_can_not_read_the_environment(
    renderer: Any, repository: Any, unit: Any, function: str
) -> None:
    with pytest.raises(Invalid, match="not defined"):
        await renderer.render(repository(chart(f'{{{{ {function} "HOME" }}}}')), unit("c"))


async def test_a_template_is_read_for_random_values_once_whatever_else_of_the_chart_changes(
    renderer: Any, repository: Any, unit: Any
) -> None:
    template = config("{{ .Values.v }}")
    first, second = (
        repository(chart(template, **{"values.yaml": "v: a"})),
        repository(chart(template, **{"values.yaml": "v: b"})),
    )
    await renderer.render(first, unit("c"))
    await renderer.render(second, unit("c"))
    assert second.read_paths.count("c/templates/t.yaml") < first.read_paths.count("c/templates/t.yaml")
