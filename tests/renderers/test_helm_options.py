"""The options of a chart that people know from the command line and from Argo CD."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from kedge.model.errors import Invalid
from kedge.model.rendering import FileParameter, HelmSection, Parameter
from kedge.model.unit import RenderSpec

CHART = "apiVersion: v2\nname: demo\nversion: 0.1.0\n"
SHOWN = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: {{ .Release.Namespace }}}\n"
    "data: {all: {{ .Values | toJson | quote }}}\n"
)
TEST_HOOK = (
    "apiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\nspec: {containers: []}\n"
)


def files(**more: str) -> dict[str, str]:
    return {"c/Chart.yaml": CHART, "c/templates/t.yaml": SHOWN, **{f"c/{name}": text for name, text in more.items()}}


@pytest.fixture
def seen(renderer: Any, repository: Any, unit: Any) -> Any:
    """The values that a chart sees with these options."""

    async def ask(section: HelmSection, **more: str) -> Any:
        (made,) = (await renderer.render(repository(files(**more)), unit("c", RenderSpec(helm=section)))).manifests
        return orjson.loads(orjson.loads(made.body)["data"]["all"])

    return ask


async def test_a_parameter_sets_one_value_with_the_type_it_looks_like(seen: Any) -> None:
    given = (Parameter("image.tag", "1.2"), Parameter("n", "3"), Parameter("on", "true"), Parameter("h[0]", "x"))
    assert await seen(HelmSection(parameters=given)) == {"image": {"tag": "1.2"}, "n": 3, "on": True, "h": ["x"]}


async def test_a_parameter_that_is_forced_to_be_a_text_stays_one(seen: Any) -> None:
    given = (Parameter("n", "3", forceString=True), Parameter("on", "true", forceString=True))
    assert await seen(HelmSection(parameters=given)) == {"n": "3", "on": "true"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a,b", "a,b"), ("{a,b}", ["a", "b"]), (",,", ",,"), (r"a\,b,c", "a,b,c"), ("x=1,y.z=2", "x=1,y.z=2")],
)
async def test_a_comma_belongs_to_a_parameter_unless_it_is_a_list(seen: Any, value: str, expected: Any) -> None:
    assert await seen(HelmSection(parameters=(Parameter("v", value),))) == {"v": expected}


async def test_parameters_win_over_values_and_those_over_files(seen: Any) -> None:
    section = HelmSection(
        valuesFiles=("p.yaml",), values={"b": "values", "c": "values"}, parameters=(Parameter("c", "parameter"),)
    )
    found = await seen(section, **{"values.yaml": "{z: chart, a: chart}", "p.yaml": "{a: file, b: file, c: file}"})
    assert found == {"z": "chart", "a": "file", "b": "values", "c": "parameter"}


async def test_a_file_parameter_is_the_text_of_a_file_and_wins_over_all(seen: Any) -> None:
    section = HelmSection(parameters=(Parameter("conf", "x"),), fileParameters=(FileParameter("conf", "app.conf"),))
    assert await seen(section, **{"app.conf": "a=1, b\n{c}"}) == {"conf": "a=1, b\n{c}"}


async def test_a_missing_values_file_is_an_error_unless_it_may_be_missing(seen: Any) -> None:
    with pytest.raises(Invalid, match=r"no values file c/nope\.yaml"):
        await seen(HelmSection(valuesFiles=("nope.yaml",)))
    section = HelmSection(valuesFiles=("nope.yaml", "p.yaml"), ignoreMissingValuesFiles=True)
    assert await seen(section, **{"p.yaml": "a: 1"}) == {"a": 1}


async def test_a_values_file_that_may_be_missing_is_rendered_again_once_it_is_there(
    renderer: Any, repository: Any, unit: Any
) -> None:
    spec = RenderSpec(helm=HelmSection(valuesFiles=("p.yaml",), ignoreMissingValuesFiles=True))
    before = await renderer.render(repository(files()), unit("c", spec))
    after = await renderer.render(repository(files(**{"p.yaml": "a: 1"})), unit("c", spec))
    assert ("c/p.yaml", "") in [(read.path, read.id) for read in before.reads]
    assert before.digest != after.digest


async def test_a_chart_may_be_told_another_namespace_than_the_target_s(
    renderer: Any, repository: Any, unit: Any
) -> None:
    spec = RenderSpec(helm=HelmSection(namespace="elsewhere"))
    (made,) = (await renderer.render(repository(files()), unit("c", spec))).manifests
    assert made.ref.namespace == "elsewhere"


@pytest.mark.parametrize(("skip", "kinds"), [(True, ["ConfigMap"]), (False, ["ConfigMap", "Pod"])])
async def test_test_hooks_are_left_out_unless_they_are_asked_for(
    renderer: Any, repository: Any, unit: Any, skip: bool, kinds: list[str]
) -> None:
    spec = RenderSpec(helm=HelmSection(skipTests=skip))
    made = await renderer.render(repository(files(**{"templates/x.yaml": TEST_HOOK})), unit("c", spec))
    assert [manifest.ref.kind for manifest in made.manifests] == kinds


SCHEMA = '{"properties": {"image": {"properties": {"replicas": {"type": "integer", "minimum": 1}}}}}'


async def test_values_that_break_the_schema_are_told_by_their_path(seen: Any) -> None:
    section = HelmSection(values={"image": {"replicas": "many"}})
    with pytest.raises(Invalid, match=r"/image/replicas.*got string, want integer"):
        await seen(section, **{"values.schema.json": SCHEMA})


async def test_the_schema_can_be_left_out_of_account(seen: Any) -> None:
    section = HelmSection(values={"image": {"replicas": "many"}}, skipSchemaValidation=True)
    assert await seen(section, **{"values.schema.json": SCHEMA}) == {"image": {"replicas": "many"}}
    refers = '{"$ref": "file:///etc/passwd"}'
    assert await seen(HelmSection(skipSchemaValidation=True), **{"values.schema.json": refers}) == {}


@pytest.mark.parametrize("name", ["a[99999999]", "a[-1]", "a..b=", "a[0][0][0"])
async def test_a_parameter_that_names_no_value_is_an_error(seen: Any, name: str) -> None:
    with pytest.raises(Invalid, match=r"the parameter|failed on this input"):
        await seen(HelmSection(parameters=(Parameter(name, "x"),), values={"a": "text"}))


async def test_a_file_parameter_out_of_the_repository_is_refused(seen: Any) -> None:
    with pytest.raises(Invalid, match="not in the repository"):
        await seen(HelmSection(fileParameters=(FileParameter("a", "../../etc/passwd"),)))
    with pytest.raises(Invalid, match="no file c/nope"):
        await seen(HelmSection(fileParameters=(FileParameter("a", "nope"),)))


async def test_parameters_mean_what_they_mean_to_the_command_line(
    renderer: Any, repository: Any, unit: Any, oracle: Callable[[str], str], tmp_path: Any
) -> None:
    given = {"a.b": "1", "list": "{x,y}", "h[1].name": "z", "empty": "", "nothing": "null", "zero": "007"}
    tree = files(**{"values.yaml": "{h: [{name: a}, {name: b}], nothing: 1}", "conf.txt": "one\ntwo: 2\n"})
    for name, text in tree.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    flags = [flag for name, value in given.items() for flag in ("--set", f"{name}={value}")]
    command = [oracle("helm"), "template", "web", "c", "-n", "shop", *flags, "--set-string", "s=1"]
    printed = subprocess.run(
        [*command, "--set-file", "f=c/conf.txt"], cwd=tmp_path, capture_output=True, check=True
    ).stdout
    section = HelmSection(
        parameters=(*(Parameter(name, value) for name, value in given.items()), Parameter("s", "1", forceString=True)),
        fileParameters=(FileParameter("f", "conf.txt"),),
    )
    ours = await renderer.render(repository(tree), unit("c", RenderSpec(helm=section)))
    theirs = await renderer.render(repository({"p/all.yaml": printed}), unit("p"))
    assert Counter(m.digest for m in ours.manifests) == Counter(m.digest for m in theirs.manifests)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("v/*.yaml", {"a": 1, "b": 2}),
        ("v/[b-z].yaml", {"b": 2}),
        ("v/**/?.yaml", {"a": 1, "b": 2, "c": 3, "d": 4}),
        ("v/**/d.yaml", {"d": 4}),
        ("../c/v/a.yaml", {"a": 1}),
    ],
)
async def test_a_pattern_stands_for_every_values_file_that_it_matches(
    seen: Any, pattern: str, expected: dict[str, int]
) -> None:
    more = {"v/a.yaml": "a: 1", "v/b.yaml": "b: 2", "v/x/c.yaml": "c: 3", "v/x/y/d.yaml": "d: 4", "v/n.txt": "n"}
    assert await seen(HelmSection(valuesFiles=(pattern,)), **more) == expected


async def test_a_pattern_that_matches_nothing_is_a_missing_file_and_a_new_match_is_noticed(
    renderer: Any, repository: Any, unit: Any
) -> None:
    with pytest.raises(Invalid, match=r"no values file v/\*\.yaml"):
        await renderer.render(
            repository(files()), unit("c", RenderSpec(helm=HelmSection(valuesFiles=("../v/*.yaml",))))
        )
    spec = RenderSpec(helm=HelmSection(valuesFiles=("../v/*.yaml",), ignoreMissingValuesFiles=True))
    tree = {**files(), "v/a.yaml": "a: 1"}
    one = await renderer.render(repository(tree), unit("c", spec))
    two = await renderer.render(repository({**tree, "v/b.yaml": "b: 2"}), unit("c", spec))
    assert one.digest != two.digest
