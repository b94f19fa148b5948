"""What people ask of a running unit beside the road: its family, its logs; and restart, scale and the actions of single
kinds, which no plan carries out.

Those are tried first, on everything they are about, and recorded before they are done, so that nothing is ever done
that nobody can read of; where the act then fails, that is recorded, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from kedge.control.road.doors import Doors
from kedge.engine.actions import stated
from kedge.engine.delivery import in_force
from kedge.engine.moving import departed
from kedge.model.action import Doing, Possible
from kedge.model.dossier import Dossier
from kedge.model.errors import Invalid, KedgeError
from kedge.model.event import Event
from kedge.model.family import ClusterEvents, Family, LogWish
from kedge.model.pair import Scope
from kedge.model.person import Person
from kedge.model.ref import Ref
from kedge.ports import Log


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for it, and why. `text` is `[KIND/]NAME` of one of the unit's objects."""

    person: Person
    text: str
    reason: str = ""
    dry_run: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Touched:
    """What was done to an object (or, dry, would be), and what follows from it."""

    ref: Ref
    follows: str


def _where(doors: Doors, dossier: Dossier) -> Scope:
    """Where the unit's objects are: a declaration may name another place already."""
    return doors.scope(departed(dossier, dossier.unit))


async def family_of(doors: Doors, dossier: Dossier) -> Family:
    """The unit's objects and what the cluster made from them."""
    return await doors.target.live.family(_where(doors, dossier), refs_of(dossier))


async def events_of(doors: Doors, dossier: Dossier) -> ClusterEvents:
    """What the cluster itself says of them."""
    return await doors.target.live.events(_where(doors, dossier), refs_of(dossier))


async def logs_of(doors: Doors, dossier: Dossier, wish: LogWish) -> Log:
    """Lines of the unit's Pods. Raises Invalid, before the first, where there are none to read."""
    return await doors.target.live.logs(_where(doors, dossier), refs_of(dossier), wish)


async def restart(doors: Doors, dossier: Dossier, asked: Asked) -> Sequence[Touched]:
    """Make the Pods of one object, or of all that can be restarted, anew.

    Raises Invalid, before anything is done, when one of them can not be; Conflict and Unavailable."""
    scope, live = _where(doors, dossier), doors.target.live
    refs = await live.restartable(scope, refs_of(dossier), asked.text)
    tried = [Touched(ref, await live.restart(scope, ref, dry_run=True)) for ref in refs]
    if asked.dry_run:
        return tried
    await _note(doors, dossier, asked, "unit.restart", f"restart of {', '.join(map(str, refs))}")
    for ref in refs:
        try:
            await live.restart(scope, ref)
        except KedgeError as error:
            await _note(doors, dossier, asked, "unit.restart-failed", f"{ref} was not restarted: {error}")
            raise
    return tried


async def scale(doors: Doors, dossier: Dossier, asked: Asked, replicas: int) -> Sequence[Touched]:
    """Set the replicas of one object.

    Raises Invalid where Git states them, or an autoscaler does (but not with `force`), Conflict and Unavailable."""
    scope, live = _where(doors, dossier), doors.target.live
    ref = await live.scalable(scope, refs_of(dossier), asked.text)
    follows = await live.scale(scope, ref, replicas, force=asked.force, dry_run=True)
    stated = await _stated(doors, dossier, ref)
    if stated is not None and not asked.force:
        raise Invalid(
            f"Git states {stated} replicas of {ref}: Kedge would put them back",
            hint="change them in Git; --force scales until the next sync",
        )
    if stated is not None:
        follows = f"Git states {stated}: the next sync puts that back"
    if asked.dry_run:
        return [Touched(ref, follows)]
    await _note(doors, dossier, asked, "unit.scale", f"{ref} scaled to {replicas}", after=str(replicas))
    try:
        await live.scale(scope, ref, replicas, force=asked.force)
    except KedgeError as error:
        await _note(doors, dossier, asked, "unit.scale-failed", f"{ref} was not scaled to {replicas}: {error}")
        raise
    return [Touched(ref, follows)]


async def actions(doors: Doors, dossier: Dossier, text: str) -> Sequence[Possible]:
    """What can be done to the unit's objects beside Git, or to those that `[KIND/]NAME` means."""
    return await doors.target.live.actions(_where(doors, dossier), refs_of(dossier), text)


async def act(doors: Doors, dossier: Dossier, asked: Asked, action: str) -> Sequence[Touched]:
    """Do an action to one object.

    Raises Invalid where there is none such, it can not be done now, or Git states a field that it sets (but not with
    `force`); Conflict and Unavailable."""
    scope, live = _where(doors, dossier), doors.target.live
    offered = await live.actions(scope, refs_of(dossier), asked.text)
    known = [one for one in offered if one.action == action]
    if len(known) != 1:
        told = "may be any of several objects" if known else f"has no action “{action}”"
        names = ", ".join(sorted({one.action for one in offered})[:8])
        other = f"known are {names}" if names else f"kedge act {dossier.name} lists what there is"
        hint = ", ".join(str(one.ref) for one in known[:8]) or other
        raise Invalid(f"“{asked.text}” {told}", hint=hint)
    doing = Doing(known[0].ref, action, asked.person.name)
    tried = await live.act(scope, doing, dry_run=True)
    fields = stated(await _in_git(doors, dossier, doing.ref), tried.fields)
    if fields and not asked.force:
        raise Invalid(
            f"Git states {', '.join(fields)} of {doing.ref}: Kedge would put it back",
            hint="change it in Git; --force does it until the next sync",
        )
    follows = f"Git states {', '.join(fields)}: the next sync puts that back" if fields else tried.follows
    if asked.dry_run:
        return [Touched(doing.ref, follows)]
    await _note(doors, dossier, asked, "unit.act", f"{action} of {doing.ref}", after=action)
    try:
        await live.act(scope, doing)
    except KedgeError as error:
        await _note(doors, dossier, asked, "unit.act-failed", f"{action} of {doing.ref} was not done: {error}")
        raise
    return [Touched(doing.ref, follows)]


def refs_of(dossier: Dossier) -> tuple[Ref, ...]:
    return tuple(owned.ref for owned in dossier.inventory)


async def _stated(doors: Doors, dossier: Dossier, ref: Ref) -> int | None:
    """The replicas that the set in force states. What is live does not tell it: a forced scale takes the field."""
    spec = (await _in_git(doors, dossier, ref)).get("spec")
    replicas = spec.get("replicas") if isinstance(spec, dict) else None
    return replicas if isinstance(replicas, int) else None


async def _in_git(doors: Doors, dossier: Dossier, ref: Ref) -> dict[str, Any]:
    """The object as the set in force states it; {} where it states none."""
    digest = dossier.pin.rendered if dossier.pin is not None else in_force(dossier)[1]
    manifests = await doors.rendered.get(digest) if digest else None
    found = next((manifest for manifest in manifests or () if manifest.ref == ref), None)
    body: dict[str, Any] = orjson.loads(found.body) if found is not None else {}
    return body


async def _note(doors: Doors, dossier: Dossier, asked: Asked, kind: str, message: str, after: str = "") -> None:
    live = dossier.applied
    event = Event(
        kind=kind,
        time=doors.clock.now(),
        actor=asked.person.name,
        unit=str(dossier.name),
        reason=asked.reason,
        commit=live.known if live is not None else "",
        after=after,
        message=message,
    )
    await doors.store.note((event,))
