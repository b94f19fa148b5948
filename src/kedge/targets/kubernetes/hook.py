"""Hooks: objects that run once per operation, across crashes.

The object itself says which operation and phase it belongs to, so that a step which is done again finds it and leaves
it running. The step says its name: a generated one was derived from the operation when it began, for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from kedge.model.manifest import Manifest
from kedge.model.operation import Outcome
from kedge.model.plan import DeletePolicy
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.act import Deed, applied, clear, known_slot, not_ours, served
from kedge.targets.kubernetes.place import rebuilt

RUN_ONCE = frozenset({("batch", "Job"), ("", "Pod"), ("argoproj.io", "Workflow")})


async def run_hook(deed: Deed, manifest: Manifest) -> Outcome:
    """Make the hook's object for this operation, after clearing an earlier run's where its policy says so."""
    made = prepared(deed, manifest)
    live = await deed.site.get(made.ref)
    if live is None:
        return await _create(deed, made)
    if _runs(deed, live):
        deed.site.index.learn(live)
        return known_slot(deed, live)
    if marks.owner_of(live) != deed.owner:
        return deed.failed(not_ours(deed, live, "run as a hook"))
    going = bool((live.get("metadata") or {}).get("deletionTimestamp"))
    if going or DeletePolicy.BEFORE_CREATION in deed.step.policies:
        return await clear(deed, live)
    if made.ref.group_kind in RUN_ONCE:
        return deed.failed(
            f"{made.ref} is still there from an earlier run, and its delete policy leaves it: "
            "add BeforeHookCreation to the policy, or delete it"
        )
    return await _create(deed, made)


def prepared(deed: Deed, manifest: Manifest) -> Manifest:
    """The manifest with its final name and the operation and phase that it is made for."""
    obj = orjson.loads(manifest.body)
    metadata = obj["metadata"]
    name = deed.step.ref.name or manifest.ref.name
    metadata.pop("generateName", None)
    metadata["name"] = name
    run = {marks.OPERATION: deed.scope.operation, marks.PHASE: deed.step.phase.value}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **run}
    ref: Ref = replace(manifest.ref, name=name)
    return rebuilt(manifest, obj, ref)


def _runs(deed: Deed, live: Mapping[str, Any]) -> bool:
    annotations = marks.annotations_of(live)
    mine = annotations.get(marks.OPERATION) == deed.scope.operation
    return mine and annotations.get(marks.PHASE) == deed.step.phase.value and marks.owner_of(live) == deed.owner


async def _create(deed: Deed, made: Manifest) -> Outcome:
    kind = await served(deed, made)
    deed.site.index.start([made.ref])
    with deed.site.index.writing(made.ref):
        answer = await deed.site.client.apply(kind, made.ref.namespace, made.ref.name, made.body)
        return applied(deed, made.ref, answer, made.body)
