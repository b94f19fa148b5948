"""A stack of the tiny tool as the one manifest that the real renderer makes of a stack's folder."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256

from tests.doors.json_renderer import JsonRenderer
from tests.doors.tiny_iac import MAIN, code_of

from kedge.model.errors import Invalid, Where
from kedge.model.manifest import Desired, Manifest, digest_of
from kedge.model.ref import stack_ref
from kedge.model.source import EntryKind, Read
from kedge.model.unit import StackTool, Unit
from kedge.ports import Snapshot
from kedge.renderers.stack import spec


class TinyRenderer(JsonRenderer):
    """`kedge.ports.Renderer` for applications of JSON files and for stacks of the tiny tool."""

    async def render(self, snapshot: Snapshot, unit: Unit) -> Desired:
        if unit.tool is None:
            return await super().render(snapshot, unit)
        return _stack(snapshot, unit, unit.tool)


def _stack(snapshot: Snapshot, unit: Unit, tool: StackTool) -> Desired:
    place = f"{unit.source.path}/{MAIN}"
    folder, entry = snapshot.entry(unit.source.path), snapshot.entry(place)
    if folder is None or entry is None:
        raise Invalid(f"{place} is not there", where=Where(place))
    text = snapshot.read(entry)
    try:
        code = code_of(text)
    except (TypeError, ValueError) as error:
        raise Invalid("this is no code", where=Where(place)) from error
    body = {
        "spec": spec(unit, tool),
        "facts": {"variables": sorted(code.variables), "backend": ""},
        "folder": unit.source.path,
        "files": [{"path": place, "text": b64encode(text).decode()}],
    }
    raw = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    manifest = Manifest(stack_ref(unit.name), "kedge.dev/v1alpha1", raw, sha256(raw).hexdigest())
    reads = (Read(unit.source.path, folder.id, EntryKind.FOLDER), Read(place, entry.id))
    return Desired((manifest,), digest_of((manifest,)), JsonRenderer.version, reads)
