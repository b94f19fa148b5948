"""Charts, overlays, programs and manifests that are written to do harm: each is refused in a sentence, or costs one
child and its bound, and the next render is served."""

from __future__ import annotations

import resource
from typing import Any

import pytest

from kedge.model.declaration import HelmSection
from kedge.model.errors import Invalid, KedgeError
from kedge.model.rendering import SubstituteSection
from kedge.model.unit import RenderSpec
from kedge.renderers.render import WorkerRenderer
from kedge.renderers.worker import Limits, Pool

CHART = "apiVersion: v2\nname: demo\nversion: 0.1.0\n"
HEAD = "apiVersion: v1\nkind: T\nmetadata: {name: a}\n"
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {v: '%s'}\n"
HELM = RenderSpec(helm=HelmSection())
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{above}'] * 9)}]\n" for above, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def chart(template: str, **files: str) -> dict[str, str]:
    return {"c/Chart.yaml": CHART, "c/templates/t.yaml": template, **{f"c/{k}": v for k, v in files.items()}}


def overlay(text: str, **files: str) -> dict[str, str]:
    return {"c/kustomization.yaml": text, "c/cm.yaml": OBJECT % "x", **{f"c/{k}": v for k, v in files.items()}}


REFUSED = {
    "includes in one another": (chart('{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}'), "include"),
    "templates in one another": (chart('{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}'), "depth"),
    "20 MB of error": (chart('{{ fail (repeat 20000000 "x") }}'), "xxxx"),
    "brackets without end": (chart("{{ " + "(" * 100_000 + "1" + ")" * 100_000 + " }}"), "depth"),
    "a schema that refers to itself": (chart("", **{"values.schema.json": '{"$ref":"#"}'}), "cycle"),
    "a schema of two that refer to each other": (
        chart(
            "",
            **{
                "values.schema.json": '{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}'
            },
        ),
        "cycle",
    ),
    "a schema that opens a device": (chart("", **{"values.schema.json": '{"$ref":"/dev/zero"}'}), "outside of it"),
    "a schema with a pattern that would backtrack": (
        chart(
            "",
            **{
                "values.schema.json": '{"properties":{"a":{"pattern":"^(a+)+$"}}}',
                "values.yaml": f"a: {'a' * 90_000}!",
            },
        ),
        "of the schema",
    ),
    "no schema at all": (chart("", **{"values.schema.json": "null"}), "schema"),
    "values that are a list": (chart("{{ .Values.a }}", **{"values.yaml": "[1]"}), "values.yaml"),
    "a bomb of aliases in values": (chart("", **{"values.yaml": BOMB}), "excessive aliasing"),
    "a chart that is nothing": ({"c/Chart.yaml": "null"}, "name"),
    "maintainers that are nothing": ({"c/Chart.yaml": f"{CHART}maintainers: [null]\n"}, "null"),
    "a dependency whose other name climbs": (
        {"c/Chart.yaml": f"{CHART}dependencies: [{{name: x, version: '1', alias: ../../x}}]\n"},
        "alias",
    ),
    "an object of 10 MB": (chart(OBJECT % '{{ repeat 10000000 "x" }}'), "an object may have"),
    "30,000 objects": (chart("{{ range until 30000 }}---\n" + OBJECT % "x" + "{{ end }}"), "larger than 20000 objects"),
    "ignored names made to be slow": (chart("", **{".helmignore": "*a" * 100_000}), "too long"),
    "a file of 11 MB": ({"c/a.yaml": "---\n" * 2_800_000}, "larger than a render may read"),
    "a key of 9 MB": ({"c/a.yaml": f"{HEAD}? {'k' * 9_000_000}\n: x"}, "an object may have"),
    "a number that is none": ({"c/a.yaml": f"{HEAD}v: .nan"}, "NaN"),
    "a number without end": ({"c/a.yaml": f"{HEAD}v: .inf"}, "Inf"),
    "lists within lists of objects": (
        {"c/a.yaml": '{"kind":"List","items":[' * 50 + "]}" * 50},
        "lists stand in lists",
    ),
    "a name with a NUL in it": ({"c/a.yaml": OBJECT.replace("name: a", 'name: "a\\0b"') % "x"}, "control character"),
    "a kind with a line's end": ({"c/a.yaml": HEAD.replace("kind: T", 'kind: "T\\nx"')}, "control character"),
    "a namespace without end": (
        {"c/a.yaml": OBJECT.replace("name: a", f"name: a, namespace: {'n' * 2_000_000}") % "x"},
        "more than 1000 characters",
    ),
    "text of another encoding": ({"c/a.yaml": HEAD.encode("utf-16")}, "not UTF-8"),
    "merges of merges": (
        {
            "c/a.yaml": f"{HEAD}b: &b {{{','.join(f'k{n}: 1' for n in range(3_000))}}}\nv:\n"
            + "- <<: [*b, *b]\n" * 3_000
        },
        "excessive aliasing",
    ),
    "a bomb of aliases in an overlay": (overlay("resources: [cm.yaml]", **{"cm.yaml": HEAD + BOMB}), "excessive alias"),
    "a bomb of aliases in a kustomization": (overlay(f"resources: [cm.yaml]\nx:\n{BOMB}"), "excessive aliasing"),
    "an overlay of itself": (overlay("resources: [.]"), "cycle"),
    "overlays of each other": (
        {"c/kustomization.yaml": "resources: [../d]", "d/kustomization.yaml": "resources: [../c]"},
        "cycle",
    ),
    "a patch from elsewhere": (
        overlay("resources: [cm.yaml]\npatches: [{path: /etc/passwd}]"),
        "out of the repository",
    ),
    "settings from elsewhere": (overlay("configurations: [/etc/passwd]"), "out of the repository"),
    "definitions from the network": (overlay("resources: [cm.yaml]\ncrds: ['https://example.com/x']"), "network"),
    "transformers from the network": (overlay("transformers: ['https://example.com/x']"), "network"),
    "a generator that inflates a chart": (
        overlay(
            "generators: [g.yaml]",
            **{"g.yaml": "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: a}\nname: x\n"},
        ),
        "helm",
    ),
    "an import from elsewhere": ({"c/a.jsonnet": 'import "/etc/passwd"'}, "is absolute"),
    "bytes from elsewhere": ({"c/a.jsonnet": 'importbin "../../../proc/self/environ"'}, "out of the repository"),
    "an import from the network": ({"c/a.jsonnet": 'import "https://example.com/x"'}, "there is no https"),
    "an import of itself": ({"c/a.jsonnet": 'import "a.jsonnet"'}, "max stack"),
    "a function that never returns": ({"c/a.jsonnet": "local f(x)=1+f(x+1); f(0)"}, "max stack"),
    "a program's own YAML": ({"c/a.jsonnet": f"std.parseYaml({BOMB!r})"}, "excessive aliasing"),
    "the environment": ({"c/a.jsonnet": 'std.extVar("HOME")'}, "HOME"),
    "a program of ours": ({"c/a.jsonnet": 'std.native("exec")("id")'}, "expected function"),
}


@pytest.mark.parametrize(("files", "said"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_hostile_is_refused_in_a_sentence(
    pool: Pool, repository: Any, unit: Any, files: dict[str, str | bytes], said: str
) -> None:
    render = HELM if "c/Chart.yaml" in files else RenderSpec()
    with pytest.raises(Invalid, match=said) as told:
        await WorkerRenderer(pool, "test").render(repository(files), unit("c", render))
    assert len(str(told.value)) < 10_000


HARMLESS = {
    "the environment of a generator": overlay("configMapGenerator: [{name: a, envs: [e]}]", e="HOME\nPATH\n"),
    "files outside of a chart": chart(OBJECT % '{{ .Files.Get "/etc/passwd" }}{{ (.Files.Glob "/etc/*") | len }}'),
    "a chart in circles": chart('{{ $_ := set .Values "me" .Values }}{{ toYaml .Values }}'),
    "a pattern that would backtrack": chart(OBJECT % '{{ regexMatch "(a*)*b" (repeat 100000 "a") }}'),
    "warnings without end": chart(
        "{{ range until 5000 }}---\n" + OBJECT.replace("a}", "a{{ . }}}") + "x: 1\nx: 2\n{{ end }}"
    ),
    "traces without end": {
        "c/a.jsonnet": 'std.foldl(function(a,b) std.trace("flood", a), std.range(1,50000), '
        '{apiVersion:"v1",kind:"T",metadata:{name:"a"}})'
    },
    "a tag that would run a program": {"c/a.yaml": f'{HEAD}v: !!python/object/apply:os.system ["id"]'},
    "numbers beyond every number": {"c/a.yaml": f"{HEAD}v: [1e999, 0777777777777777777777, {'9' * 300}]"},
    "300,000 anchors": {"c/a.yaml": f"{HEAD}v:\n" + "".join(f"- &a{n} x\n" for n in range(300_000))},
    "10,000 documents": {
        "c/a.yaml": "---\n".join(OBJECT.replace("name: a", f"name: a{n}") % "x" for n in range(10_000))
    },
}


@pytest.mark.parametrize("files", HARMLESS.values(), ids=HARMLESS.keys())
async def test_what_only_looks_hostile_learns_nothing_and_floods_nobody(
    pool: Pool, repository: Any, unit: Any, files: dict[str, str]
) -> None:
    render = HELM if "c/Chart.yaml" in files else RenderSpec()
    desired = await WorkerRenderer(pool, "test").render(repository(files), unit("c", render))
    assert not any(b"root:" in m.body or b"/nonexistent" in m.body for m in desired.manifests)
    assert sum(map(len, desired.notes)) < 20_000


DEADLY = {
    "keys without end": chart('{{ range until 2000 }}{{ genPrivateKey "rsa" | len }}{{ end }}'),
    "a list of a billion": chart("{{ until 1000000000 | len }}"),
    "2 GB of text": chart('{{ repeat 2000000000 "x" | len }}'),
    "2 GB of margin": chart('{{ indent 2000000000 "x" | len }}'),
    "a template that is its own value": chart("{{ tpl .Values.x . }}", **{"values.yaml": 'x: "{{ tpl .Values.x . }}"'}),
    "a circle that is printed": chart('{{ $_ := set .Values "me" .Values }}{{ printf "%v" .Values | len }}'),
    "overlays that double at every step": {
        "c/kustomization.yaml": "resources: [../l0a]",
        **{
            f"l{n}{x}/kustomization.yaml": f"namePrefix: {x}\nresources: [../l{n + 1}a, ../l{n + 1}b]"
            for n in range(18)
            for x in "ab"
        },
        **{f"l18{x}/kustomization.yaml": f"namePrefix: {x}\nresources: [cm.yaml]" for x in "ab"},
        **{f"l18{x}/cm.yaml": OBJECT % "x" for x in "ab"},
    },
    "a program that loops": {"c/a.jsonnet": "local f(x)=f(x+1) tailstrict; f(0)"},
    "a program that doubles": {"c/a.jsonnet": 'std.length(std.foldl(function(a,b) a+a, std.range(1,60), "xxxxxxxx"))'},
    "a program's list of a billion": {"c/a.jsonnet": "std.length(std.range(1,1000000000))"},
    "a program of brackets": {"c/a.jsonnet": "[" * 200_000 + "]" * 200_000},
}


@pytest.mark.parametrize("files", DEADLY.values(), ids=DEADLY.keys())
async def test_what_does_not_end_costs_one_child_and_the_next_render_is_served(
    impatient: Pool, repository: Any, unit: Any, files: dict[str, str]
) -> None:
    renderer = WorkerRenderer(impatient, "test")
    render = HELM if "c/Chart.yaml" in files else RenderSpec()
    with pytest.raises(KedgeError, match=r"did not survive|took longer|crashed"):
        await renderer.render(repository({**files, "g/a.yaml": OBJECT % "x"}), unit("c", render))
    impatient.limits = Limits()
    assert len((await renderer.render(repository({"g/a.yaml": OBJECT % "x"}), unit("g"))).manifests) == 1
    # What it took was taken by the child, and no more than it may.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < Limits().memory >> 10


@pytest.mark.parametrize(
    "text", ["${x:${pw}}", "${x:0:${pw}}", "${x##${pw}}", "${x//${pw}/", "${${pw}}", "${pw:a}", "${pw:0:${pw}}"]
)
async def test_no_error_of_an_expression_holds_the_secret_that_it_is_made_of(
    pool: Pool, repository: Any, unit: Any, text: str
) -> None:
    # `${x:${pw}}` said: a position is a number, not “hunter2”.
    async def kept(_: str) -> str:
        return "canary-7f3a"

    spec = RenderSpec(substitute=SubstituteSection(variables={"x": "y"}, secrets={"pw": "pw"}))
    files = repository(
        {"c/x.yaml": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{p: '{text}'}}\n"}
    )
    said = "nothing"
    try:
        said = repr(await WorkerRenderer(pool, "test", kept=kept).render(files, unit("c", spec)))
    except Invalid as error:
        said = str(error)
    assert "canary" not in said
