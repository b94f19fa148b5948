"""Patches over whatever was rendered, and the fields of a kustomization that a unit lays over a folder's."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import yaml

from kedge.model.errors import Invalid
from kedge.model.rendering import HelmSection, Image, KustomizeSection, Patch, PatchTarget, Replicas
from kedge.model.unit import RenderSpec

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: nginx:1.0, env: [{name: A, value: "1"}]}
      - {name: side, image: registry.example/side:2}
"""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf, namespace: other}\ndata: {a: '1'}\n"
FILES = {"c/web.yaml": WEB, "c/conf.yaml": CONFIG}
OVERLAY = {**FILES, "c/kustomization.yaml": "resources: [web.yaml, conf.yaml]\n"}
CHART = {
    "c/Chart.yaml": "apiVersion: v2\nname: demo\nversion: 0.1.0\n",
    "c/templates/w.yaml": WEB,
    "c/templates/c.yaml": CONFIG,
}
COMPONENT = "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nresources: [x.yaml]\n"
ENV = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, env: [{name: B, value: "2"}]}]}}}
"""


@pytest.fixture
def built(renderer: Any, repository: Any, unit: Any) -> Any:
    """The objects by kind and name, and the notes."""

    async def build(spec: RenderSpec, files: dict[str, str] = FILES) -> tuple[dict[str, Any], tuple[str, ...]]:
        made = await renderer.render(repository(files), unit("c", spec))
        return {f"{m.ref.kind}/{m.ref.name}": orjson.loads(m.body) for m in made.manifests}, made.notes

    return build


def patched(*patches: Patch) -> RenderSpec:
    return RenderSpec(patches=patches)


@pytest.mark.parametrize("files", [FILES, OVERLAY, CHART], ids=["plain", "kustomize", "helm"])
async def test_a_patch_is_merged_into_its_object_whatever_rendered_it(built: Any, files: dict[str, str]) -> None:
    made, notes = await built(patched(Patch(ENV)), files)
    containers = made["Deployment/web"]["spec"]["template"]["spec"]["containers"]
    names = [(c["name"], sorted(e["name"] for e in c.get("env", []))) for c in containers]
    assert names == [("web", ["A", "B"]), ("side", [])]
    assert made["ConfigMap/conf"]["data"] == {"a": "1"}
    assert notes == ()


async def test_operations_change_every_object_that_their_target_matches(built: Any) -> None:
    operations = "[{op: add, path: /metadata/annotations, value: {team: shop}}]"
    made, _ = await built(patched(Patch(operations, target=PatchTarget(name=".*"))))
    assert all(obj["metadata"]["annotations"] == {"team": "shop"} for obj in made.values())
    made, _ = await built(patched(Patch(operations, target=PatchTarget(kind="Deploy.*"))))
    assert [name for name, obj in made.items() if "annotations" in obj["metadata"]] == ["Deployment/web"]


@pytest.mark.parametrize(
    ("target", "hit"),
    [
        (PatchTarget(kind="Deployment"), True),
        (PatchTarget(kind="Deploy"), False),
        (PatchTarget(group="apps", version="v1"), True),
        (PatchTarget(group="batch"), False),
        (PatchTarget(name="w.b"), True),
        (PatchTarget(namespace="shop"), True),
        (PatchTarget(namespace="default"), False),
        (PatchTarget(labelSelector="app in (web, api),!tier"), True),
        (PatchTarget(labelSelector="app=api"), False),
        (PatchTarget(annotationSelector="a=b"), False),
    ],
)
async def test_a_target_selects_by_words_and_labels(built: Any, target: PatchTarget, hit: bool) -> None:
    made, notes = await built(
        patched(Patch("[{op: replace, path: /spec/replicas, value: 7}]", target=target)), {"c/w.yaml": WEB}
    )
    assert (made["Deployment/web"]["spec"]["replicas"] == 7) is hit
    assert (notes == ("patch 1 is for no object that is here",)) is not hit


async def test_a_patch_may_delete_an_object_or_a_piece_of_it(built: Any) -> None:
    made, _ = await built(patched(Patch("$patch: delete\nkind: ConfigMap\nmetadata: {name: conf}")))
    assert list(made) == ["Deployment/web"]
    piece = "spec: {template: {spec: {containers: [{name: side, $patch: delete}]}}, replicas: null}"
    made, _ = await built(patched(Patch(piece, target=PatchTarget(kind="Deployment"))))
    spec = made["Deployment/web"]["spec"]
    assert [c["name"] for c in spec["template"]["spec"]["containers"]] == ["web"]
    assert "replicas" not in spec


async def test_patches_are_laid_over_one_another_in_order(built: Any) -> None:
    first = Patch("[{op: replace, path: /spec/replicas, value: 7}]", target=PatchTarget(kind="Deployment"))
    second = Patch(
        "[{op: test, path: /spec/replicas, value: 7}, {op: replace, path: /spec/replicas, value: 8}]",
        target=PatchTarget(name="web"),
    )
    made, _ = await built(patched(first, second))
    assert made["Deployment/web"]["spec"]["replicas"] == 8


async def test_a_patch_may_stand_in_a_file_which_is_part_of_what_was_read(
    renderer: Any, repository: Any, unit: Any
) -> None:
    files = repository({**FILES, "p/env.yaml": ENV})
    made = await renderer.render(files, unit("c", patched(Patch(path="../p/env.yaml"))))
    assert ("p/env.yaml", files.entry("p/env.yaml").id) in [(read.path, read.id) for read in made.reads]
    assert b'"B"' in made.manifests[1].body


async def test_what_no_patch_is_for_stays_as_it_was_byte_for_byte(renderer: Any, repository: Any, unit: Any) -> None:
    odd = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: o}\ndata: {n: '1.10'}\nx: {big: 9007199254740993, f: 1.50}\n"
    )
    plain = await renderer.render(repository({"c/o.yaml": odd}), unit("c"))
    spec = patched(Patch("[{op: remove, path: /data}]", target=PatchTarget(name="web")))
    assert (await renderer.render(repository({"c/o.yaml": odd}), unit("c", spec))).digest == plain.digest


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        (
            Patch("[{op: remove, path: /spec/nope}]", target=PatchTarget(kind="Deployment")),
            "patch 1: .*nope",
        ),
        (Patch("[{op: replace, path: /spec}]"), "need a target"),
        (Patch("just a text"), "neither a mapping"),
        (Patch("{a: 1}"), "kind and metadata.name are missing"),
        (Patch("a: [", target=PatchTarget()), "patch 1"),
        (Patch("a: 1\n---\nb: 2", target=PatchTarget()), "one document"),
        (Patch("{a: 1}", target=PatchTarget(name="(")), "error parsing regexp"),
        (Patch("{a: 1}", target=PatchTarget(labelSelector="a in")), "patch 1"),
        (Patch("# nothing"), "it is empty"),
        (Patch(path="nope.yaml"), "no patch c/nope.yaml"),
        (Patch(path="../../x"), "not in the repository"),
        (Patch("[{op: replace, path: '', value: []}]", target=PatchTarget(kind="Deployment")), "no object"),
    ],
)
async def test_a_patch_that_can_not_be_says_why(built: Any, patch: Patch, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        await built(patched(patch))


async def test_copies_of_copies_are_refused(built: Any) -> None:
    grow = "[{op: add, path: /data, value: {a: [x, x]}}" + ", {op: copy, from: /data/a, path: /data/a/-}" * 40 + "]"
    with pytest.raises(Invalid, match="patch 1"):
        await built(patched(Patch(grow, target=PatchTarget(kind="ConfigMap"))))


def laid(section: KustomizeSection) -> RenderSpec:
    return RenderSpec(kustomize=section)


async def test_names_namespace_images_replicas_and_labels_are_laid_over_a_kustomization(built: Any) -> None:
    section = KustomizeSection(
        namePrefix="a-",
        nameSuffix="-z",
        namespace="deep",
        images=(
            Image("nginx", newTag="1.2"),
            Image("registry.example/side", newName="mirror/side", digest="sha256:" + "0" * 64),
        ),
        replicas=(Replicas("web", 0),),
        commonLabels={"team": "shop"},
        commonAnnotations={"note": "3"},
    )
    made, _ = await built(laid(section), OVERLAY)
    web = made["Deployment/a-web-z"]
    assert web["metadata"]["namespace"] == made["ConfigMap/a-conf-z"]["metadata"]["namespace"] == "deep"
    assert [c["image"] for c in web["spec"]["template"]["spec"]["containers"]] == [
        "nginx:1.2",
        f"mirror/side@sha256:{'0' * 64}",
    ]
    assert web["spec"]["replicas"] == 0
    assert web["metadata"]["labels"] == {"app": "web", "team": "shop"}
    assert web["metadata"]["annotations"] == {"note": "3"}
    assert web["spec"]["selector"]["matchLabels"] == {"app": "web"}
    assert web["spec"]["template"]["metadata"]["labels"] == {"app": "web"}


async def test_labels_go_into_templates_and_selectors_only_when_that_is_asked_for(built: Any) -> None:
    made, _ = await built(laid(KustomizeSection(commonLabels={"t": "s"}, includeTemplates=True)), OVERLAY)
    spec = made["Deployment/web"]["spec"]
    assert (spec["template"]["metadata"]["labels"], spec["selector"]["matchLabels"]) == (
        {"app": "web", "t": "s"},
        {"app": "web"},
    )
    made, _ = await built(laid(KustomizeSection(commonLabels={"t": "s"}, includeSelectors=True)), OVERLAY)
    assert made["Deployment/web"]["spec"]["selector"]["matchLabels"] == {"app": "web", "t": "s"}


async def test_patches_and_components_are_laid_over_a_kustomization(built: Any) -> None:
    files = {
        **OVERLAY,
        "parts/extra/kustomization.yaml": COMPONENT,
        "parts/extra/x.yaml": CONFIG.replace("conf", "extra"),
        "c/p.yaml": ENV,
    }
    section = KustomizeSection(
        components=("../parts/extra",),
        patches=(Patch(path="p.yaml"), Patch("[{op: remove, path: /data}]", target=PatchTarget(name="extra"))),
    )
    made, _ = await built(laid(section), files)
    assert sorted(made) == ["ConfigMap/conf", "ConfigMap/extra", "Deployment/web"]
    assert "data" not in made["ConfigMap/extra"]
    assert len(made["Deployment/web"]["spec"]["template"]["spec"]["containers"][0]["env"]) == 2


async def test_a_component_that_is_not_there_is_passed_over_where_that_is_asked_for(
    renderer: Any, repository: Any, unit: Any
) -> None:
    section = KustomizeSection(components=("../parts/extra", "../parts/gone"), ignoreMissingComponents=True)
    extra = {"parts/extra/kustomization.yaml": COMPONENT, "parts/extra/x.yaml": CONFIG.replace("conf", "extra")}
    desired = await renderer.render(repository({**OVERLAY, **extra}), unit("c", laid(section)))
    assert sorted(manifest.ref.name for manifest in desired.manifests) == ["conf", "extra", "web"]
    missing = {read.path for read in desired.reads if not read.id}
    assert "parts/gone" in missing, "a commit that brings it renders anew"


async def test_the_kustomization_s_own_build_metadata_and_order_stay_in_force(built: Any) -> None:
    files = {
        **OVERLAY,
        "c/kustomization.yaml": OVERLAY["c/kustomization.yaml"]
        + "buildMetadata: [managedByLabel]\nsortOptions: {order: legacy}\n",
    }
    made, _ = await built(laid(KustomizeSection(namePrefix="a-")), files)
    assert list(made) == ["ConfigMap/a-conf", "Deployment/a-web"]
    assert "app.kubernetes.io/managed-by" in made["Deployment/a-web"]["metadata"]["labels"]


async def test_the_root_of_a_repository_can_be_laid_over_too(renderer: Any, repository: Any, unit: Any) -> None:
    files = {name.removeprefix("c/"): text for name, text in OVERLAY.items()}
    made = await renderer.render(repository(files), unit("", laid(KustomizeSection(namePrefix="a-"))))
    assert sorted(m.ref.name for m in made.manifests) == ["a-conf", "a-web"]


@pytest.mark.parametrize(
    ("section", "why"),
    [
        (KustomizeSection(components=("../../x",)), "not in the repository"),
        (KustomizeSection(components=("nope",)), "nope"),
        (
            KustomizeSection(patches=(Patch("kind: Nope\napiVersion: v1\nmetadata: {name: x}"),)),
            "no matches|no resource matches",
        ),
        (KustomizeSection(patches=(Patch("a: ["),)), "c"),
    ],
)
async def test_what_can_not_be_laid_over_says_why(built: Any, section: KustomizeSection, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        await built(laid(section), OVERLAY)


async def test_a_schema_of_one_build_is_not_seen_by_the_next(worker: str, repository: Any, unit: Any) -> None:
    from kedge import process
    from kedge.renderers.render import WorkerRenderer
    from kedge.renderers.worker import Pool

    thing = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\nspec: {parts: [{name: a, v: 1}]}\n"
    schema = {
        "definitions": {
            "v1.Thing": {
                "type": "object",
                "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Thing"}],
                "properties": {
                    "spec": {
                        "type": "object",
                        "properties": {
                            "parts": {
                                "type": "array",
                                "x-kubernetes-patch-merge-key": "name",
                                "x-kubernetes-patch-strategy": "merge",
                                "items": {"type": "object"},
                            }
                        },
                    }
                },
            }
        }
    }
    more = "{apiVersion: example.com/v1, kind: Thing, metadata: {name: t}, spec: {parts: [{name: b}]}}"
    patch = f"patches: [{{patch: '{more}'}}]\n"
    base = {"c/t.yaml": thing, "c/schema.json": orjson.dumps(schema).decode()}
    with_schema = {**base, "c/kustomization.yaml": f"resources: [t.yaml]\nopenapi: {{path: schema.json}}\n{patch}"}
    without = {**base, "c/kustomization.yaml": f"resources: [t.yaml]\n{patch}"}
    one = Pool(worker, process.spawn, size=1)
    renderer = WorkerRenderer(one, "test")

    async def parts(files: dict[str, str]) -> int:
        (made,) = (await renderer.render(repository(files), unit("c"))).manifests
        return len(orjson.loads(made.body)["spec"]["parts"])

    assert [await parts(with_schema), await parts(without)] == [2, 1]
    await one.close()


async def test_an_overlay_of_options_builds_what_the_command_line_builds(
    renderer: Any, repository: Any, unit: Any, oracle: Callable[[str], str], tmp_path: Any
) -> None:
    section = KustomizeSection(
        namePrefix="a-",
        namespace="deep",
        images=(Image("nginx", newTag="2"),),
        replicas=(Replicas("web", 3),),
        commonLabels={"t": "s"},
        includeSelectors=True,
        patches=(Patch(ENV),),
    )
    overlay = {
        "resources": ["../c"],
        "namePrefix": "a-",
        "namespace": "deep",
        "images": [{"name": "nginx", "newTag": "2"}],
        "replicas": [{"name": "web", "count": 3}],
        "labels": [{"pairs": {"t": "s"}, "includeSelectors": True}],
        "patches": [{"patch": ENV}],
    }
    for name, text in {**OVERLAY, "o/kustomization.yaml": yaml.safe_dump(overlay)}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    printed = subprocess.run([oracle("kustomize"), "build", tmp_path / "o"], capture_output=True, check=True).stdout
    ours = await renderer.render(repository(OVERLAY), unit("c", laid(section)))
    theirs = await renderer.render(repository({"p/all.yaml": printed}), unit("p"))
    assert Counter(m.digest for m in ours.manifests) == Counter(m.digest for m in theirs.manifests)


async def test_a_chart_s_hooks_are_patched_too(built: Any) -> None:
    named = "{generateName: h-, annotations: {helm.sh/hook: pre-install}}"
    hook = f"apiVersion: batch/v1\nkind: Job\nmetadata: {named}\nspec: {{}}\n"
    spec = RenderSpec(helm=HelmSection(), patches=(Patch("{spec: {suspend: true}}", target=PatchTarget(kind="Job")),))
    made, _ = await built(spec, {**CHART, "c/templates/h.yaml": hook, "c/templates/i.yaml": hook.replace("h-", "i-")})
    assert made["Job/"]["spec"] == {"suspend": True}
