"""Jsonnet through the worker: what programs make and see, and nothing they must not do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from kedge.model.errors import Invalid, Unavailable
from kedge.model.rendering import DirectorySection, JsonnetSection, Patch, PatchTarget
from kedge.model.unit import RenderSpec
from kedge.renderers.render import WorkerRenderer
from kedge.renderers.worker import Limits

THING = "{apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: %s}, data: {v: std.toString(%s)}}"


def thing(name: str = "'a'", value: str = "1") -> str:
    return THING % (name, value)


@pytest.fixture
def made(renderer: Any, repository: Any, unit: Any) -> Any:
    """Names and values of what a file makes."""

    async def run(program: str, section: JsonnetSection | None = None, **more: str) -> dict[str, str]:
        files = {"c/x.jsonnet": program, **more}
        desired = await renderer.render(repository(files), unit("c", RenderSpec(jsonnet=section)))
        return {m.ref.name: orjson.loads(m.body)["data"]["v"] for m in desired.manifests}

    return run


@pytest.mark.parametrize("name", ["jsonnet-guestbook", "jsonnet-guestbook-tla"])
async def test_the_example_applications_render(
    renderer: Any, repository: Any, unit: Any, load: Any, shared: Path, name: str
) -> None:
    files = load(shared / "cases" / "example-apps")
    desired = await renderer.render(repository(files), unit(name))
    assert sorted(m.ref.kind for m in desired.manifests) == ["Deployment", "Service"]
    web = orjson.loads(next(m for m in desired.manifests if m.ref.kind == "Deployment").body)
    assert (web["spec"]["replicas"], web["spec"]["template"]["spec"]["containers"][0]["ports"]) == (
        1,
        [{"containerPort": 80}],
    )


@pytest.mark.parametrize(
    "program",
    [
        thing(),
        f"[{thing()}]",
        f"{{x: {thing()}}}",
        f"{{x: [{thing()}, null]}}",
        f"{{apiVersion: 'v1', kind: 'List', items: [{thing()}]}}",
    ],
    ids=["an object", "a list", "a tree", "a tree of lists", "a Kubernetes list"],
)
async def test_a_file_makes_an_object_a_list_or_a_tree_of_them(made: Any, program: str) -> None:
    assert await made(program) == {"a": "1"}


async def test_files_stand_beside_plain_manifests_and_libraries_are_not_run(
    renderer: Any, repository: Any, unit: Any
) -> None:
    plain = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n"
    files = {
        "c/a.jsonnet": f"(import 'lib.libsonnet').make('{'j'}')",
        "c/p.yaml": plain,
        "c/sub/no.jsonnet": thing("'s'"),
    }
    files["c/lib.libsonnet"] = "{make(n):: " + thing("n") + "}"
    desired = await renderer.render(repository(files), unit("c"))
    assert sorted(m.ref.name for m in desired.manifests) == ["j", "plain"]
    spec = RenderSpec(directory=DirectorySection(recurse=True, exclude="a.*"), jsonnet=JsonnetSection())
    desired = await renderer.render(repository(files), unit("c", spec))
    assert sorted(m.ref.name for m in desired.manifests) == ["plain", "s"]


async def test_external_variables_keep_their_types(made: Any) -> None:
    section = JsonnetSection(extVars={"n": 3, "t": "3", "o": {"k": [True]}}, extCode={"c": "1 + 2"})
    program = thing(value="[std.extVar(k) for k in ['n', 't', 'o', 'c']]")
    assert await made(program, section) == {"a": '[3, "3", {"k": [true]}, 3]'}


async def test_top_level_arguments_are_those_of_the_function_that_a_file_is(made: Any) -> None:
    section = JsonnetSection(tlas={"name": "b", "n": 2}, tlaCode={"m": "self_ + 1".replace("self_", "40")})
    assert await made("function(name, n, m=0) " + thing("name", "[n, m]"), section) == {"b": "[2, 41]"}


async def test_imports_are_looked_for_beside_the_file_then_in_libraries_and_vendor(made: Any) -> None:
    program = thing(value="[import 'x.libsonnet', import 'l.libsonnet', import 'v.libsonnet', importstr 't.txt']")
    more = {
        "c/x.libsonnet": "'beside'", "one/x.libsonnet": "'one'", "one/l.libsonnet": "'one'", "two/l.libsonnet": "'two'",
        "c/vendor/v.libsonnet": "'vendor'", "vendor/v.libsonnet": "'root'", "two/t.txt": "text",
    }  # fmt: skip
    found = await made(program, JsonnetSection(libs=("one", "two")), **more)
    assert found == {"a": '["beside", "two", "vendor", "text"]'}


async def test_what_is_imported_is_part_of_what_was_read_and_so_is_what_was_not_there(
    renderer: Any, repository: Any, unit: Any
) -> None:
    files = repository({"c/x.jsonnet": thing(value="import 'l.libsonnet'"), "vendor/l.libsonnet": "1"})
    reads = {r.path: r.id for r in (await renderer.render(files, unit("c"))).reads}
    assert reads["vendor/l.libsonnet"] == files.entry("vendor/l.libsonnet").id
    assert reads["c/l.libsonnet"] == reads["c/vendor/l.libsonnet"] == ""


async def test_patches_are_laid_over_what_a_program_made(renderer: Any, repository: Any, unit: Any) -> None:
    patch = Patch("[{op: replace, path: /data/v, value: z}]", target=PatchTarget(kind="ConfigMap"))
    desired = await renderer.render(repository({"c/x.jsonnet": thing()}), unit("c", RenderSpec(patches=(patch,))))
    assert orjson.loads(desired.manifests[0].body)["data"] == {"v": "z"}


@pytest.mark.parametrize(
    ("program", "where", "why"),
    [
        ("{a: ", "c/x.jsonnet, line 1", "Unexpected end of file"),
        ("{\n  a: error 'no ' + 'way',\n}", "c/x.jsonnet, line 2", "no way"),
        ("import 'nope.libsonnet'", "c/x.jsonnet, line 1", "no nope.libsonnet in c, nor in c/vendor, nor in vendor"),
        ("std.extVar('nope')", "c/x.jsonnet, line 1", "nope"),
        ("import '../../../etc/passwd'", "", "leads out of the repository"),
        ("importstr '/etc/passwd'", "", "absolute"),
        ("importbin 'link'", "", "symbolic link"),
        ("'text'", "c/x.jsonnet", "apiVersion"),
        ("function(a) {}", "c/x.jsonnet", "a"),
        ("local f(n) = 1 + f(n + 1); {a: f(0)}", "", "stack frames"),
        ("{kind: 'A', apiVersion: 'v1'}", "c/x.jsonnet", "no metadata"),
    ],
)
async def test_what_a_program_may_not_do_or_did_wrong_says_where(
    renderer: Any, repository: Any, unit: Any, link: Any, program: str, where: str, why: str
) -> None:
    files = repository({"c/x.jsonnet": program, "c/link": link("/etc/passwd")})
    with pytest.raises(Invalid) as caught:
        await renderer.render(files, unit("c"))
    (problem,) = caught.value.problems
    assert why in problem.text
    assert str(problem.where).startswith(where)


@pytest.mark.parametrize(
    "program",
    ["local f(n) = f(n + 1) tailstrict; {a: f(0)}", "std.foldl(function(a, b) a + a, std.range(0, 60), 'xx')"],
    ids=["an endless loop", "a text that doubles"],
)
async def test_a_program_that_never_ends_is_ended_and_the_next_one_runs(
    impatient: Any, repository: Any, unit: Any, program: str
) -> None:
    renderer = WorkerRenderer(impatient, "test")
    with pytest.raises(Unavailable, match=r"ended|did not survive"):
        await renderer.render(repository({"c/x.jsonnet": program}), unit("c"))
    impatient.limits = Limits()
    assert len((await renderer.render(repository({"c/x.jsonnet": thing()}), unit("c"))).manifests) == 1
