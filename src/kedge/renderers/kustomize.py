"""Kustomize: the request for an overlay. Bases outside of its folder are asked for by the worker as it meets them."""

from __future__ import annotations

from typing import Any

from kedge.model.rendering import Image, KustomizeSection
from kedge.model.source import EntryKind
from kedge.ports import Snapshot
from kedge.renderers import patches
from kedge.renderers.questions import Call, beside, listing

_SENT_ALONG = 64
_SMALL = 256 << 10
_PLAIN = KustomizeSection()


def call(snapshot: Snapshot, folder: str, section: KustomizeSection = _PLAIN) -> Call:
    """The request to build the kustomization in `folder`. Raises Invalid for a path out of the repository."""
    entries = snapshot.entries(folder)
    near = [entry for entry in entries if entry.kind is EntryKind.FILE and entry.size <= _SMALL]
    wanted = tuple(entry for entry in near if entry.path.endswith((".yaml", ".yml")))[:_SENT_ALONG]
    options: dict[str, Any] = {"folder": folder}
    if section != _PLAIN:
        options["overlay"] = overlay(section)
        options["patches"] = patches.written(section.patches, folder, "kustomize.patches")
        options["ignoreMissingComponents"] = section.ignoreMissingComponents
        options["components"] = [beside(folder, part, "kustomize.components") for part in section.components]
    return Call("kustomize", options, listing(snapshot, folder, entries), wanted, folder)


def overlay(section: KustomizeSection) -> dict[str, Any]:
    """The kustomization that a section means, but for what it refers to in the repository."""
    labels = {
        "pairs": section.commonLabels,
        "includeSelectors": section.includeSelectors,
        "includeTemplates": section.includeTemplates,
    }
    made: dict[str, Any] = {
        "namePrefix": section.namePrefix,
        "nameSuffix": section.nameSuffix,
        "namespace": section.namespace,
        "images": [_image(image) for image in section.images],
        "replicas": [{"name": replicas.name, "count": replicas.count} for replicas in section.replicas],
        "labels": [labels] if section.commonLabels else [],
        "commonAnnotations": section.commonAnnotations,
    }
    return {key: value for key, value in made.items() if value}


def _image(image: Image) -> dict[str, str]:
    made = {"name": image.name, "newName": image.newName, "newTag": image.newTag, "digest": image.digest}
    return {key: value for key, value in made.items() if value}
