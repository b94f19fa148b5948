"""Kustomize: the request for an overlay. Bases outside of its folder are asked for by the worker as it meets them."""

from __future__ import annotations

from kedge.model.source import EntryKind
from kedge.ports import Snapshot
from kedge.renderers.questions import Call, listing

_SENT_ALONG = 64
_SMALL = 256 << 10


def call(snapshot: Snapshot, folder: str) -> Call:
    """The request to build the kustomization in `folder`."""
    entries = snapshot.entries(folder)
    near = [entry for entry in entries if entry.kind is EntryKind.FILE and entry.size <= _SMALL]
    wanted = tuple(entry for entry in near if entry.path.endswith((".yaml", ".yml")))[:_SENT_ALONG]
    return Call("kustomize", {"folder": folder}, listing(snapshot, folder, entries), wanted, folder)
