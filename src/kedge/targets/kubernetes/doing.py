"""Actions on live objects: what `kinds` knows how to do, done as a patch or by making an object.

Its fields get a manager's name of their own, as those of a restart do: a field that Git does not state stays as it
was set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kedge.engine.actions import Brought, Prepared, hindrance_of, prepare
from kedge.kube.answer import Answer
from kedge.kube.discovery import Kind
from kedge.model.action import Action, Doing, Done, Possible
from kedge.model.errors import Conflict, Invalid
from kedge.model.pair import Scope
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.site import Site
from kedge.targets.kubernetes.touch import ours, taken

ACTOR = "kedge-act"


async def possible(site: Site, refs: Sequence[Ref], brought: Brought) -> tuple[Possible, ...]:
    """What can be done to objects, and what stands against it now. Objects that are not there are passed over."""
    found: list[Possible] = []
    now = site.client.clock.now()
    for ref in refs:
        actions = brought(ref.group, ref.kind)
        live = (await _live(site, ref)) if actions else None
        if live is not None:
            found += [Possible(ref, one.name, one.does, hindrance_of(one, live, now)) for one in actions]
    return tuple(found)


async def do(site: Site, scope: Scope, doing: Doing, brought: Brought, *, dry_run: bool) -> Done:
    """Carry an action out. Raises Invalid (no such action, not now, not the unit's), Conflict and Unavailable."""
    action = named(doing, brought)
    kind, live = await ours(site, scope, doing.ref, "touched")
    now = site.client.clock.now()
    if told := hindrance_of(action, live, now):
        raise Invalid(f"{action.name} of {doing.ref}: {told}")
    prepared = prepare(action, live, doing.actor, now)
    uid = marks.uid_of(live)
    if prepared.patch:
        change = _of_this_very(prepared.patch, uid)
        taken(doing.ref, await _patch(site, kind, doing.ref, change, dry_run=dry_run))
    if prepared.status:
        taken(doing.ref, await _patch_status(site, kind, doing.ref, _of_this_very(prepared.status, uid), dry_run))
    made = await _make(site, doing.ref, prepared, dry_run) if prepared.create else ""
    return Done(f"{action.does}{made}", prepared.fields)


def named(doing: Doing, brought: Brought) -> Action:
    """Raises Invalid, naming those that there are."""
    known = brought(doing.ref.group, doing.ref.kind)
    for action in known:
        if action.name == doing.action:
            return action
    names = ", ".join(action.name for action in known)
    hint = f"known are {names}" if names else "nothing is known that could be done to this kind"
    raise Invalid(f"there is no action “{doing.action}” for {doing.ref}", hint=hint)


async def _live(site: Site, ref: Ref) -> Mapping[str, Any] | None:
    """From the index where it is watched: a list of what can be done may be a little behind."""
    slot = site.index.get(ref)
    return slot.object() if slot is not None else await site.get(ref)


def _of_this_very(change: Mapping[str, Any], uid: str) -> dict[str, Any]:
    """A patch that another object under the same name refuses."""
    return {**change, "metadata": {**(change.get("metadata") or {}), "uid": uid}}


async def _patch(site: Site, kind: Kind, ref: Ref, change: Mapping[str, Any], *, dry_run: bool) -> Answer:
    return await site.client.merge_patch(kind, ref.namespace, ref.name, change, manager=ACTOR, dry_run=dry_run)


async def _patch_status(site: Site, kind: Kind, ref: Ref, change: Mapping[str, Any], dry_run: bool) -> Answer:
    """Through the status subresource; where the kind has none, its status is a field like any other."""
    client = site.client
    answer = await client.merge_patch(
        kind, ref.namespace, ref.name, change, manager=ACTOR, dry_run=dry_run, subresource="status"
    )
    if answer.refusal is not None and answer.refusal.missing:
        return await _patch(site, kind, ref, change, dry_run=dry_run)
    return answer


async def _make(site: Site, ref: Ref, prepared: Prepared, dry_run: bool) -> str:
    body = prepared.create
    group, _, version = str(body["apiVersion"]).rpartition("/")
    kind = await site.client.kind(group, str(body["kind"]), version)
    answer = await site.client.create(kind, ref.namespace, orjson.dumps(body), dry_run=dry_run)
    name = str(body["metadata"]["name"])
    if answer.refusal is not None and answer.refusal.code == 409:
        raise Conflict(f"{kind.kind}/{name} is there already: it was made within this very second")
    taken(ref, answer)
    return f": {kind.kind}/{name}"
