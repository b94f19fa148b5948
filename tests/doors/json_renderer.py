"""The simplest renderer there is: every `.json` file below the source path is one manifest, `${name}` a variable."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from kedge.model.errors import Invalid, Where
from kedge.model.manifest import Desired, Manifest, digest_of
from kedge.model.ref import Ref
from kedge.model.source import EntryKind, Read
from kedge.model.unit import Unit
from kedge.ports import Snapshot


class JsonRenderer:
    """`kedge.ports.Renderer`."""

    version = "json 1"

    async def render(self, snapshot: Snapshot, unit: Unit) -> Desired:
        path = unit.source.path
        folder = snapshot.entry(path)
        if folder is None:
            raise Invalid(f"{path} is not there", where=Where(path))
        reads = [Read(path, folder.id, EntryKind.FOLDER)]
        manifests = []
        for entry in snapshot.entries(path, recurse=True):
            if entry.path.endswith(".json"):
                reads.append(Read(entry.path, entry.id))
                manifests.append(manifest_of(_filled(snapshot.read(entry), unit), entry.path))
        manifests.sort(key=lambda manifest: (manifest.ref, manifest.generate_name))
        found = tuple(manifests)
        if len({m.ref for m in found if m.ref.name}) != sum(1 for m in found if m.ref.name):
            raise Invalid(f"{path} names an object twice", where=Where(path))
        return Desired(found, digest_of(found), self.version, tuple(reads))

    async def secrets(self, unit: Unit) -> dict[str, str]:
        return {}


def _filled(data: bytes, unit: Unit) -> bytes:
    variables = unit.render.substitute.variables if unit.render.substitute is not None else {}
    for name, value in variables.items():
        data = data.replace(f"${{{name}}}".encode(), str(value).encode())
    return data


def manifest_of(data: bytes, path: str) -> Manifest:
    """Raises Invalid where the file is no manifest."""
    try:
        return of_body(json.loads(data), path)
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid("this is no manifest", where=Where(path)) from error


def of_body(body: dict[str, Any], path: str = "") -> Manifest:
    meta, version = body["metadata"], body["apiVersion"]
    group = version.rpartition("/")[0]
    raw = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    annotations = tuple(sorted((meta.get("annotations") or {}).items()))
    ref = Ref(group, body["kind"], meta.get("namespace", ""), meta.get("name", ""))
    return Manifest(ref, version, raw, sha256(raw).hexdigest(), annotations, meta.get("generateName", ""), Where(path))
