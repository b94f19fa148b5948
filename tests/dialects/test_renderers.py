"""The sections on rendering, as they are written in YAML."""

from __future__ import annotations

import pytest

from kedge.dialects.kedge import read
from kedge.model.declaration import Application
from kedge.model.rendering import (
    FileParameter,
    HelmSection,
    Image,
    KustomizeSection,
    Parameter,
    Patch,
    PatchTarget,
    Replicas,
)

HEAD = "apiVersion: kedge.dev/v1alpha1\nkind: Application\nmetadata: {name: web}\nspec:\n  source: {path: apps/web}\n"


def spec(text: str) -> Application:
    reading = read((HEAD + text).encode())
    assert reading.problems == ()
    (found,) = reading.declarations
    assert isinstance(found, Application)
    return found


def problems(text: str) -> list[str]:
    return [f"{problem.where.path}: {problem.text}" for problem in read((HEAD + text).encode()).problems]


def test_a_chart_s_options_are_read() -> None:
    text = """\
  helm:
    valuesFiles: [../common/values.yaml]
    ignoreMissingValuesFiles: true
    parameters: [{name: a.b, value: "1", forceString: true}]
    fileParameters: [{name: conf, path: app.conf}]
    namespace: deep
    skipTests: false
    skipSchemaValidation: true
"""
    assert spec(text).spec.helm == HelmSection(
        valuesFiles=("../common/values.yaml",),
        ignoreMissingValuesFiles=True,
        parameters=(Parameter("a.b", "1", True),),
        fileParameters=(FileParameter("conf", "app.conf"),),
        namespace="deep",
        skipTests=False,
        skipSchemaValidation=True,
    )


def test_a_kustomization_s_options_are_read() -> None:
    text = """\
  kustomize:
    namePrefix: a-
    images: [{name: nginx, newTag: "1.2"}]
    replicas: [{name: web, count: 0}]
    components: [../parts/extra]
    commonLabels: {team: shop}
    includeTemplates: true
    patches:
    - path: p.yaml
    - target: {kind: Deployment}
      patch: |
        - {op: remove, path: /spec/replicas}
"""
    assert spec(text).spec.kustomize == KustomizeSection(
        namePrefix="a-",
        images=(Image("nginx", newTag="1.2"),),
        replicas=(Replicas("web", 0),),
        components=("../parts/extra",),
        commonLabels={"team": "shop"},
        includeTemplates=True,
        patches=(
            Patch(path="p.yaml"),
            Patch("- {op: remove, path: /spec/replicas}\n", target=PatchTarget(kind="Deployment")),
        ),
    )


def test_patches_stand_beside_any_renderer_and_an_environment_replaces_them() -> None:
    text = """\
  helm: {}
  patches: [{patch: "kind: A\\nmetadata: {name: b}"}]
  environments:
    dev: {patches: []}
    prod: {}
"""
    found = spec(text).spec
    assert [(name, len(part.patches)) for name, part in found.environments] == [("dev", 0), ("prod", 1)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "  patches: [{}]",
            "spec.patches[0]: exactly one of patch (its text) and path (a file that holds it) is wanted",
        ),
        ("  kustomize: {patches: [{patch: a, path: b}]}", "spec.kustomize.patches[0]: exactly one of patch"),
        ("  kustomize: {images: [{name: a}]}", "spec.kustomize.images[0]: an image has a name"),
        ("  kustomize: {replicas: [{name: a, count: -1}]}", "spec.kustomize.replicas[0]: replicas have"),
        ("  kustomize: {commonLabels: {a: 1}}", "spec.kustomize.commonLabels.a: a text is wanted, not the number 1"),
        ("  kustomize: {components: [../../../x]}", "spec.kustomize.components[0]: “../../../x” leads out"),
        ("  helm: {valuesFiles: [../../../x]}", "spec.helm.valuesFiles[0]: “../../../x” leads out of the repository"),
        ("  helm: {valuesFiles: [a/.git/config]}", "spec.helm.valuesFiles[0]: “a/.git/config”: a path does not"),
        ("  helm: {parameters: [{value: x}]}", "spec.helm.parameters[0]: a parameter has a name"),
        (
            "  helm: {parameters: [{name: x, value: 3}]}",
            "spec.helm.parameters[0].value: a text is wanted, not the number",
        ),
        ("  helm: {fileParameters: [{path: x}]}", "spec.helm.fileParameters[0]: a parameter has a name"),
    ],
)
def test_what_can_not_be_rendered_is_told_where_it_is_written(text: str, told: str) -> None:
    (said,) = problems(text)
    assert said.startswith(told)
