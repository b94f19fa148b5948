"""A stack's folder and the modules it calls, as one manifest: the bundle that OpenTofu or Terraform is given. Pure."""

from __future__ import annotations

import json
from typing import Any

from kedge.model.source import EntryKind
from kedge.model.unit import StackTool, Unit
from kedge.ports import Snapshot
from kedge.renderers.questions import Call, listing

_SUFFIXES = (".tf", ".tofu", ".tf.json", ".tofu.json", ".tfvars", ".hcl")


def call(snapshot: Snapshot, unit: Unit, tool: StackTool) -> Call:
    """The request for a stack. The worker follows the modules from there."""
    folder = unit.source.path
    entries = snapshot.entries(folder)
    wanted = tuple(e for e in entries if e.kind is EntryKind.FILE and e.path.endswith(_SUFFIXES))
    options = {"folder": folder, "name": str(unit.name), "spec": spec(unit, tool)}
    return Call("stack", options, listing(snapshot, folder, entries), wanted, folder)


def spec(unit: Unit, tool: StackTool) -> dict[str, Any]:
    """What of the declaration decides what the tool does; Credentials do not."""
    return {
        "tool": tool.name.value,
        "version": tool.version,
        "variables": json.loads(tool.variables),
        "variableFiles": list(tool.variable_files),
        **({"workspace": tool.workspace} if tool.workspace else {}),
        "secrets": [
            {"name": given.name, "unit": str(given.unit), "output": given.output, "stamp": given.stamp}
            for given in tool.secrets
        ],
    }
