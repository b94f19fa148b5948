"""What is done to every object once it is rendered, whatever rendered it: patches, then variables. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedge.model.unit import Unit
from kedge.renderers import patches


def afterwards(unit: Unit, secrets: Mapping[str, str]) -> dict[str, Any]:
    """What a unit asks for; empty for nothing. `secrets` are those of the store that it names. Raises Invalid for a
    patch that is out of the repository."""
    made: dict[str, Any] = {}
    if unit.render.patches:
        made["namespace"] = unit.target.namespace or "default"
        made["patches"] = patches.written(unit.render.patches, unit.source.path, "patches")
    section = unit.render.substitute
    if section is not None:
        made["substitute"] = {
            "values": section.variables,
            "secrets": {variable: secrets[name] for variable, name in section.secrets.items()},
            "unknown": section.unknown.value,
        }
    return made
