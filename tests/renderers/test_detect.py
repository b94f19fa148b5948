"""Which tool a folder is for."""

from __future__ import annotations

import pytest

from kedge.model.declaration import DirectorySection, HelmSection, KustomizeSection
from kedge.model.unit import RenderSpec
from kedge.renderers.detect import Tool, choose, detect


@pytest.mark.parametrize(
    ("names", "tool"),
    [
        ({"Chart.yaml", "values.yaml"}, Tool.HELM),
        ({"kustomization.yaml"}, Tool.KUSTOMIZE),
        ({"kustomization.yml"}, Tool.KUSTOMIZE),
        ({"Kustomization"}, Tool.KUSTOMIZE),
        ({"Chart.yaml", "kustomization.yaml"}, Tool.HELM),
        ({"chart.yaml", "deployment.yaml"}, Tool.PLAIN),
        (set(), Tool.PLAIN),
    ],
)
def test_a_folder_is_told_by_the_files_in_it(names: set[str], tool: Tool) -> None:
    assert detect(names) is tool


@pytest.mark.parametrize(
    ("spec", "tool"),
    [
        (RenderSpec(helm=HelmSection()), Tool.HELM),
        (RenderSpec(kustomize=KustomizeSection()), Tool.KUSTOMIZE),
        (RenderSpec(directory=DirectorySection()), Tool.PLAIN),
        (RenderSpec(), Tool.KUSTOMIZE),
    ],
)
def test_what_a_unit_declares_wins_over_what_its_folder_looks_like(spec: RenderSpec, tool: Tool) -> None:
    assert choose(spec, {"kustomization.yaml"}) is tool
