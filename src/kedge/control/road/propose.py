"""Propose: revision → plan. Changes nothing.

wanted ─► furnish ─► Target.compare ─► diff ─► policy ─► make_plan
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from kedge.control.road.doors import Doors
from kedge.control.road.render import Furnished, furnish, furnish_with_holes
from kedge.engine import inventory
from kedge.engine.delivery import Wanted, asked, wanted
from kedge.engine.diff import diff
from kedge.engine.effects import bound, effects
from kedge.engine.holding import UNIT
from kedge.engine.hooks import is_hook
from kedge.engine.moving import (
    Move,
    elsewhere,
    leaves,
    leaving,
    move,
    place_of,
    refuse_another_kind,
    settled_in,
    state_home,
)
from kedge.engine.plan import Draft, came_through, carried_out, make_plan, unsettled
from kedge.model.change import Act, Change, Finding, Severity
from kedge.model.dossier import Dossier, Home
from kedge.model.errors import Awaited, Invalid
from kedge.model.manifest import Desired
from kedge.model.pair import Comparison, Pair, Seen
from kedge.model.plan import Plan
from kedge.model.ref import Ref, UnitName, is_unit_name
from kedge.model.unit import Unit
from kedge.policy.admit import admit
from kedge.policy.guard import destructive, destructive_to_stack, taken_along
from kedge.policy.lint import lint
from kedge.policy.stacks import admit_resources, admit_stack

AT_ONCE = 100
"""Objects that are told apart before others get a turn: a unit of thousands must not hold up those who ask."""

_NAMED = 10


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan and what it was made from. `home` is the cluster that it is for, and `move` how the unit comes to it."""

    wanted: Wanted
    furnished: Furnished
    comparison: Comparison
    plan: Plan
    home: Home
    move: Move

    @property
    def desired(self) -> Desired:
        return self.furnished.desired


async def propose(
    doors: Doors,
    dossier: Dossier,
    wish: Wanted | None = None,
    *,
    sweep: bool = False,
    aside: bool = False,
    holes: Collection[str] = (),
) -> Proposal:
    """What would have to be done now for `wish`, by default what the unit should be. `sweep` dry-runs every object,
    whatever the watch says; `aside`: somebody only looks, and no turn's plan of a stack is given up for it. Where a
    value of another unit is not there yet, the plan has a hole; with `holes` also where these are there.

    Raises Awaited (a value is not there yet, and nothing can be shown before), Invalid (it does not render),
    Unavailable (the source or the cluster does not answer), Denied (the cluster refuses us).
    """
    wish = wish or wanted(dossier)
    refuse_another_kind(dossier, wish.unit)
    furnished = await _furnished(doors, dossier, wish, holes)
    if wish.unit.tool is not None and not wish.removal:
        _refuse_code(wish.unit, furnished.desired)
    of_state = wish.unit.tool is not None
    home = state_home(furnished.desired) if of_state else await doors.target.home(doors.scope(wish.unit))
    going = _removed(dossier, wish, home) if wish.removal else move(dossier, wish.unit, home)
    home = settled_in(dossier.home, home)
    if going.inventory is not dossier.inventory:
        dossier = replace(dossier, inventory=going.inventory)
    comparison = await _compare(doors, dossier, wish, furnished.desired, (sweep, aside))
    key = bound(doors.installation.effects_key, place_of(home, _next(dossier, wish)))
    changes = await _changes(key, dossier, comparison, removal=wish.removal)
    doing = carried_out(wish.unit, changes, removal=wish.removal)
    created = [change.ref for change in changes if change.act is not Act.DELETE]
    claims = await doors.store.claims(wish.unit.target.cluster, created) if created else {}
    claimed = {ref: owner for ref, owner in claims.items() if owner != str(dossier.name)}
    draft = Draft(
        unit=wish.unit,
        revision=furnished.rendering.revision if furnished.rendering else wish.revision,
        desired=furnished.desired,
        changes=changes,
        effects=effects(doing),
        inventory=dossier.inventory,
        destructive=_destructive(dossier, wish, furnished.desired, doing),
        along=taken_along(doing),
        findings=(
            *_findings(wish, furnished.desired, doing),
            *(Finding(Severity.WARNING, "stack", text) for text in comparison.warned),
        ),
        claimed=claimed,
        artifact=comparison.artifact,
        holders=await _holders(doors, claimed, doing),
        uids={pair.ref: pair.uid for pair in comparison.pairs if isinstance(pair, Seen) and pair.uid},
        removal=wish.removal,
        run_hooks=dossier.wish is not None and not wish.removal,
        unsettled=unsettled(dossier.plan, dossier.last),
        ran=came_through(dossier, furnished.desired.digest) if not wish.removal else None,
        moved=going.asked(doing),
        now=comparison.made or doors.clock.now(),
    )
    return Proposal(wish, furnished, comparison, make_plan(draft), home, going)


async def _furnished(doors: Doors, dossier: Dossier, wish: Wanted, holes: Collection[str]) -> Furnished:
    lacking = Awaited(f"{wish.unit.name} can not be shown without {', '.join(holes)}")
    if not holes:
        try:
            return await furnish(doors, dossier, wish)
        except Awaited as error:
            lacking = error
    furnished = await furnish_with_holes(doors, wish, holes)
    if furnished is None:
        raise lacking
    return furnished


async def _holders(doors: Doors, claimed: Mapping[Ref, str], changes: Sequence[Change]) -> dict[str, Dossier]:
    """The units that own what the plan would write, or whose marks it bears: as many as are worth a sentence."""
    marked = [change.adopts.removeprefix(UNIT) for change in changes if change.adopts.startswith(UNIT)]
    names = [*dict.fromkeys((*claimed.values(), *marked))][:_NAMED]
    found = [await doors.store.load(UnitName.parse(name)) for name in names if is_unit_name(name)]
    return {str(dossier.name): dossier for dossier in found if dossier is not None}


def _removed(dossier: Dossier, wish: Wanted, home: Home) -> Move:
    """Raises Invalid where the cluster's name does not lead to the unit's objects any more: deleting what has their
    names somewhere else is not what anybody wants."""
    if dossier.inventory and elsewhere(dossier.home, home):
        raise Invalid(
            f"its {len(dossier.inventory)} objects are at {dossier.home.server}, and cluster "
            f"{wish.unit.target.cluster} is {home.server} now: nothing can be removed there",
            hint="declare a cluster of that name with its old server, or set onRemove: keep to leave them as they are",
        )
    return Move(dossier.inventory, leaving(dossier, _declared(dossier)) if _next(dossier, wish) else "")


def _next(dossier: Dossier, wish: Wanted) -> str:
    """The cluster to which a unit goes that is removed from another one, "" for one that stays or left Git."""
    declared = _declared(dossier)
    moves = wish.removal and dossier.removed is None and leaves(dossier, declared)
    return declared.target.cluster if moves else ""


def _declared(dossier: Dossier) -> Unit:
    return dossier.pin.unit if dossier.pin is not None else dossier.unit


async def _compare(
    doors: Doors, dossier: Dossier, wish: Wanted, desired: Desired, how: tuple[bool, bool]
) -> Comparison:
    sweep, aside = how
    scope = doors.scope(wish.unit)
    owned = tuple(entry.ref for entry in dossier.inventory)
    if wish.unit.tool is not None:
        since = asked(dossier, doors.clock.now())
        drift = since.drift and not aside  # somebody waits for what they look at
        scope = replace(scope, aside=aside, since=since.since, drift=drift, held=since.held)
        known = inventory.known(dossier.inventory)
        return await doors.target.compare(scope, desired, known, owned if wish.removal else ())
    if wish.removal:
        return await doors.target.compare(scope, Desired((), ""), (), owned)
    known = () if sweep else inventory.known(dossier.inventory)
    return await doors.target.compare(scope, desired, known, inventory.surplus(dossier.inventory, desired.manifests))


async def _changes(key: bytes, dossier: Dossier, comparison: Comparison, *, removal: bool) -> tuple[Change, ...]:
    """What left Git and is being deleted already is nothing to do: the run that ordered it has waited for it and named
    what holds it. Only a removal waits on, for its hooks and its end come after the last object."""
    verified = {entry.ref: entry.digest for entry in dossier.inventory}
    pairs = comparison.pairs if removal else [pair for pair in comparison.pairs if not leaving_already(pair)]
    found: list[Change | None] = []
    for number, pair in enumerate(pairs, 1):
        found.append(diff(pair, key, wished=_wished(pair, verified)))
        if not number % AT_ONCE:
            await asyncio.sleep(0)
    return tuple(sorted((change for change in found if change is not None), key=lambda change: change.ref))


def leaving_already(pair: Pair) -> bool:
    """Whether the object left Git and is on its way out, held by a finalizer."""
    return isinstance(pair, Seen) and pair.predicted is None and pair.going


def _wished(pair: Pair, verified: dict[Ref, str]) -> bool:
    """Whether the wish itself moved: otherwise the difference is drift."""
    return pair.manifest is None or verified.get(pair.manifest.ref) != pair.manifest.digest


def _destructive(dossier: Dossier, wish: Wanted, desired: Desired, changes: tuple[Change, ...]) -> tuple[str, ...]:
    if wish.unit.tool is not None:
        return destructive_to_stack(changes)
    owned = sum(1 for entry in dossier.inventory if not entry.hook)
    return destructive(changes, owned, removal=wish.removal, empty=not desired.manifests and owned > 0)


def _refuse_code(unit: Unit, desired: Desired) -> None:
    """A stack's plan runs what its code says: what may not run is refused before one is made."""
    found = [finding.text for finding in admit_stack(unit, desired)]
    if found:
        more = f" (and {len(found) - _NAMED} more)" if len(found) > _NAMED else ""
        raise Invalid("; ".join(found[:_NAMED]) + more)


def _findings(wish: Wanted, desired: Desired, changes: tuple[Change, ...]) -> tuple[Finding, ...]:
    if wish.removal:
        return ()
    if wish.unit.tool is not None:
        return admit_resources(wish.unit, changes)
    return (*admit(wish.unit, desired), *lint(desired))


def ordinary(desired: Desired) -> tuple[Ref, ...]:
    """Refs of the set's ordinary objects: hooks come and go and are never compared."""
    return tuple(manifest.ref for manifest in desired.manifests if not is_hook(manifest))
