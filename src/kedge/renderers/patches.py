"""Patches as the worker wants them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from kedge.model.rendering import Patch, PatchTarget
from kedge.renderers.questions import beside


def written(patches: Iterable[Patch], folder: str, field: str) -> list[dict[str, Any]]:
    """Patches with their paths from the repository's root. Raises Invalid for one that leads out of it."""
    return [_patch(patch, folder, field) for patch in patches]


def _patch(patch: Patch, folder: str, field: str) -> dict[str, Any]:
    made: dict[str, Any] = {"path": beside(folder, patch.path, field)} if patch.path else {"patch": patch.patch}
    if patch.target is not None:
        made["target"] = filled(patch.target)
    return made


def filled(section: PatchTarget) -> dict[str, str]:
    """The fields of a target that say something."""
    return {field.name: value for field in fields(section) if (value := getattr(section, field.name))}
