"""Variables in whatever was rendered: as Flux's, but with types, and without a way for a secret to be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from kedge.model.errors import Invalid
from kedge.model.rendering import Patch, PatchTarget, SubstituteSection, Unknown
from kedge.model.unit import RenderSpec
from kedge.renderers.render import WorkerRenderer


def config(value: str, **more: Any) -> str:
    return orjson.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"v": value}, **more}
    ).decode()


@pytest.fixture
def filled(renderer: Any, repository: Any, unit: Any) -> Any:
    """The one object that a text becomes."""

    async def fill(text: str, section: SubstituteSection, **more: Any) -> Any:
        spec = RenderSpec(substitute=section, **more)
        (made,) = (await renderer.render(repository({"c/x.yaml": text}), unit("c", spec))).manifests
        return orjson.loads(made.body)

    return fill


@pytest.mark.parametrize("name", ["lax", "strict"])
async def test_every_shared_case_is_filled_as_it_expects(filled: Any, shared: Path, name: str) -> None:
    cases = yaml.safe_load((shared / "cases" / "envsubst" / f"{name}.yaml").read_text())
    wrong = []
    for case in cases:
        unknown = Unknown.FAIL if case["strict"] else Unknown.EMPTY
        section = SubstituteSection(variables=case["params"] or {}, unknown=unknown)
        try:
            found = (await filled(config(case["input"]), section))["data"]["v"]
        except Invalid as error:
            found = error
        good = isinstance(found, Invalid) if case["wantErr"] else found == case["output"]
        if not good:
            wrong.append((case["id"], case["input"], str(found)))
    assert cases
    assert wrong == []


TYPED = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: '${name}', labels: {count: '${n}'}}\n"
    "spec:\n  replicas: ${n}\n"
)


async def test_a_text_that_is_one_variable_takes_its_type_and_a_label_stays_a_text(filled: Any) -> None:
    text = TYPED + "  paused: ${on}\n  m: ${n:=3}\n  d: ${nope:=3}\n  b: ${nope:-true}\n  t: x${n}\n  s: '${s}'\n"
    found = await filled(text, SubstituteSection(variables={"name": "web", "n": 2, "on": True, "s": "7"}))
    assert found["metadata"] == {"name": "web", "labels": {"count": "2"}}
    assert found["spec"] == {"replicas": 2, "paused": True, "m": 2, "d": 3, "b": True, "t": "x2", "s": "7"}


async def test_a_value_can_add_no_structure(filled: Any) -> None:
    nasty = 'x"\n}\n---\nkind: Evil\nmetadata: {name: b}\n${other}'
    found = await filled(config("${v}"), SubstituteSection(variables={"v": nasty, "other": "y"}))
    assert found["data"] == {"v": nasty}


async def test_names_are_what_they_are_filled_with(renderer: Any, repository: Any, unit: Any) -> None:
    spec = RenderSpec(substitute=SubstituteSection(variables={"env": "prod"}))
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'web-${env}', namespace: '${env}'}\n"
    (made,) = (await renderer.render(repository({"c/x.yaml": text}), unit("c", spec))).manifests
    assert (made.ref.name, made.ref.namespace) == ("web-prod", "prod")


@pytest.mark.parametrize("where", ["annotations", "labels"])
@pytest.mark.parametrize("key", ["kedge.dev/substitute", "kustomize.toolkit.fluxcd.io/substitute"])
async def test_an_object_can_keep_its_texts(filled: Any, where: str, key: str) -> None:
    text = config("${nope} $${x}", metadata={"name": "a", where: {key: "Disabled"}})
    assert (await filled(text, SubstituteSection()))["data"] == {"v": "${nope} $${x}"}


async def test_without_the_section_nothing_is_filled(renderer: Any, repository: Any, unit: Any) -> None:
    (made,) = (await renderer.render(repository({"c/x.yaml": config("${v} $$")}), unit("c"))).manifests
    assert orjson.loads(made.body)["data"] == {"v": "${v} $$"}


async def test_what_is_unknown_fails_is_empty_or_is_kept(filled: Any) -> None:
    with pytest.raises(Invalid, match=r"ConfigMap a: data\.v: there is no variable nope"):
        await filled(config("a ${nope}"), SubstituteSection())
    assert (await filled(config("a ${nope}"), SubstituteSection(unknown=Unknown.EMPTY)))["data"] == {"v": "a "}
    kept = await filled(config("a ${nope,,} ${x}"), SubstituteSection(variables={"x": "y"}, unknown=Unknown.KEEP))
    assert kept["data"] == {"v": "a ${nope,,} y"}


@pytest.mark.parametrize(
    "text", ["${", "${a", "${1}", "${a!b}", "${a[@]}", "${a:x}", "${#a:1}", "${" * 40, "${a:=" * 40], ids=repr
)
async def test_an_expression_that_is_none_is_an_error(filled: Any, text: str) -> None:
    with pytest.raises(Invalid, match=r"data\.v"):
        await filled(config(text), SubstituteSection(variables={"a": "b"}))


async def test_a_text_that_grows_without_measure_is_refused(filled: Any) -> None:
    with pytest.raises(Invalid, match="larger than an object"):
        await filled(config("${v}" * 1000), SubstituteSection(variables={"v": "x" * 10_000}))


async def test_variables_are_filled_into_what_patches_brought(filled: Any) -> None:
    patch = Patch("[{op: replace, path: /data/v, value: '${x}'}]", target=PatchTarget(kind="ConfigMap"))
    assert (await filled(config(""), SubstituteSection(variables={"x": "y"}), patches=(patch,)))["data"] == {"v": "y"}


SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: 'p:${pw}', all: '${pw}'}\n"
CANARY = "canary-7d1f"


@pytest.fixture
def keeping(pool: Any) -> WorkerRenderer:
    async def kept(name: str) -> str | None:
        return {"shop-pw": CANARY}.get(name)

    return WorkerRenderer(pool, "test", kept=kept)


def asking(name: str = "shop-pw") -> RenderSpec:
    return RenderSpec(substitute=SubstituteSection(secrets={"pw": name}))


async def test_a_secret_of_the_store_goes_into_a_secret_s_data(keeping: Any, repository: Any, unit: Any) -> None:
    (made,) = (await keeping.render(repository({"c/x.yaml": SECRET}), unit("c", asking()))).manifests
    assert orjson.loads(made.body)["stringData"] == {"password": f"p:{CANARY}", "all": CANARY}


@pytest.mark.parametrize(
    "text",
    [
        config("${pw}"),
        config("${#pw}"),
        config("${pw:=x}"),
        config("${x:=${pw}}"),
        config("", metadata={"name": "a", "annotations": {"a": "${pw}"}}),
        SECRET.replace("name: a", "name: '${pw}'"),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {p: '${pw}'}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {'${pw}': x}\n",
        "apiVersion: x/v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: '${pw}'}\n",
    ],
)
async def test_a_secret_goes_nowhere_else_and_is_not_in_the_error(
    keeping: Any, repository: Any, unit: Any, text: str
) -> None:
    with pytest.raises(Invalid, match="only be filled into the stringData of a Secret") as caught:
        await keeping.render(repository({"c/x.yaml": text}), unit("c", asking()))
    assert CANARY not in repr(caught.value) + str(caught.value)


async def test_a_secret_that_is_not_kept_says_how_to_keep_it(keeping: Any, repository: Any, unit: Any) -> None:
    with pytest.raises(Invalid, match="no secret other in the store"):
        await keeping.render(repository({"c/x.yaml": SECRET}), unit("c", asking("other")))
