"""Which tool a folder is for, as Argo CD tells it: a chart, a kustomization, or plain manifests. Pure."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from kedge.model.unit import RenderSpec

CHART = "Chart.yaml"
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")


class Tool(StrEnum):
    PLAIN = "plain"
    KUSTOMIZE = "kustomize"
    HELM = "helm"


def detect(names: Collection[str]) -> Tool:
    """The tool for a folder with files of these names. A chart wins over a kustomization."""
    if CHART in names:
        return Tool.HELM
    if any(name in names for name in KUSTOMIZATIONS):
        return Tool.KUSTOMIZE
    return Tool.PLAIN


def choose(spec: RenderSpec, names: Collection[str]) -> Tool:
    """What the unit declares, else what its folder looks like."""
    if spec.helm is not None:
        return Tool.HELM
    if spec.kustomize is not None:
        return Tool.KUSTOMIZE
    if spec.directory is not None or spec.jsonnet is not None:
        return Tool.PLAIN
    return detect(names)
