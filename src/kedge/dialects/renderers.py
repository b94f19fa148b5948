"""What the sections on rendering must say beside the shape of each field. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kedge.dialects.shape import Path, Shape
from kedge.model.declaration import SourceSection
from kedge.model.rendering import HelmSection, KustomizeSection, Patch, SubstituteSection

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check(found: Mapping[str, Any], path: Path, shape: Shape) -> None:
    """Tell `shape` what is wrong with the renderers' sections of a spec that was read at `path`."""
    for where, text in _complaints(found):
        shape.wrong((*path, *where), text)


def _complaints(found: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    yield from _patches(found.get("patches", ()), ("patches",))
    yield from _climbing(found)
    substitute = found.get("substitute")
    if isinstance(substitute, SubstituteSection):
        yield from _substitute(substitute)
    kustomize, helm = found.get("kustomize"), found.get("helm")
    if found.get("jsonnet") is not None and (kustomize is not None or helm is not None):
        yield ("jsonnet",), "jsonnet is for the files of a plain folder, and goes with neither helm nor kustomize"
    if isinstance(kustomize, KustomizeSection):
        yield from _kustomize(kustomize)
    if isinstance(helm, HelmSection):
        names = {
            "parameters": [given.name for given in helm.parameters],
            "fileParameters": [given.name for given in helm.fileParameters],
        }
        for key, given in names.items():
            for index, name in enumerate(given):
                if not name:
                    yield ("helm", key, index), "a parameter has a name: the path of its value, such as image.tag"


def is_input(value: Any) -> bool:
    """Whether it stands for an input: `{$input: NAME}`."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("$input"), str)


def _substitute(section: SubstituteSection) -> Iterator[tuple[Path, str]]:
    for key, given in (("variables", section.variables), ("secrets", section.secrets)):
        for name in given:
            if not _VARIABLE.fullmatch(name):
                yield ("substitute", key, name), "a variable's name has letters, digits and underscores, no digit first"
    for name, value in section.variables.items():
        if not isinstance(value, str | int | float) and not is_input(value):
            yield ("substitute", "variables", name), "a variable is a text, a number, true or false"
        if name in section.secrets:
            yield ("substitute", "secrets", name), "there is a variable of that name, too"


def _climbing(found: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Paths that are written from `source.path` on, and lead out of the repository."""
    source, helm, kustomize = found.get("source"), found.get("helm"), found.get("kustomize")
    folder = source.path if isinstance(source, SourceSection) else ""
    named: list[tuple[Path, str]] = []
    if isinstance(helm, HelmSection):
        named += [(("helm", "valuesFiles", index), path) for index, path in enumerate(helm.valuesFiles)]
        files = enumerate(helm.fileParameters)
        named += [(("helm", "fileParameters", index, "path"), given.path) for index, given in files]
    if isinstance(kustomize, KustomizeSection):
        named += [(("kustomize", "components", index), path) for index, path in enumerate(kustomize.components)]
    for where, path in named:
        if posixpath.normpath(posixpath.join(folder, path)).startswith(".."):
            yield where, f"“{path[:60]}” leads out of the repository"


def _kustomize(section: KustomizeSection) -> Iterator[tuple[Path, str]]:
    yield from _patches(section.patches, ("kustomize", "patches"))
    for index, image in enumerate(section.images):
        if not image.name or not (image.newName or image.newTag or image.digest):
            yield ("kustomize", "images", index), "an image has a name, and a newName, newTag or digest in its place"
    for index, replicas in enumerate(section.replicas):
        if not replicas.name or replicas.count < 0:
            yield ("kustomize", "replicas", index), "replicas have the name of a workload, and a count from 0 on"


def _patches(patches: tuple[Patch, ...], path: Path) -> Iterator[tuple[Path, str]]:
    for index, patch in enumerate(patches):
        if bool(patch.patch.strip()) == bool(patch.path):
            yield (*path, index), "exactly one of patch (its text) and path (a file that holds it) is wanted"
