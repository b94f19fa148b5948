"""From a wish to a placed rendered set, rendering only when an answer to one of the last render's questions moved."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass, replace
from hashlib import sha256

from kedge.control.road.doors import Doors
from kedge.engine.delivery import Wanted, in_force, render_holds, wanted
from kedge.engine.holes import doubles, with_holes
from kedge.engine.inputs import filled, missing
from kedge.model.dossier import Dossier, Rendering
from kedge.model.errors import Absent, Awaited, Invalid, Unavailable
from kedge.model.manifest import Desired
from kedge.model.origin import spoken
from kedge.model.output import Published
from kedge.model.ref import stack_ref
from kedge.model.source import EntryKind, Revision
from kedge.model.unit import Unit

_BRINGS = 100
"""Folders outside of its own that a unit of a huge repository may read."""


HOLE = 180.0
"""Seconds after which a unit that waits for a value is looked at without having been rung."""


@dataclass(frozen=True, slots=True)
class Furnished:
    """A placed set, and the rendering to remember for it (None for a pin's or a removal's frozen set, and for one with
    holes)."""

    desired: Desired
    rendering: Rendering | None


def spec_of(unit: Unit, version: str, stamp: str = "") -> str:
    """Digest of everything beside the files that decides what a render answers; `stamp` is that of its secrets."""
    lines = [
        str(unit.name),
        repr(unit.source),
        repr(unit.target),
        repr(unit.render),
        *([repr(unit.tool)] if unit.tool is not None else []),
        version,
        *([stamp] if stamp else []),
    ]
    return sha256("\n".join(lines).encode()).hexdigest()


async def furnish(doors: Doors, dossier: Dossier, wanted: Wanted) -> Furnished:
    """The placed rendered set that `wanted` asks for.

    Raises Invalid when it does not render, Unavailable when its commit is not known yet or discovery fails.
    """
    if wanted.rendered or wanted.removal:
        return await _frozen(doors, wanted)
    unit = await _supplied(doors, wanted.unit) if wanted.unit.inputs else wanted.unit
    if wanted.revision is None:
        raise Unavailable(
            f"no commit of {wanted.unit.source.repository} {spoken(wanted.unit.source.ref)} is known yet",
            hint="kedge get source says why",
        )
    return await _fresh(doors, dossier, unit, wanted.revision)


async def furnish_with_holes(doors: Doors, wanted: Wanted, holes: Collection[str] = ()) -> Furnished | None:
    """The placed set of an application with a hole for each value that is not there, and for each of `holes` although
    it is: see `kedge.engine.holes`. None where it has none, or can not be shown. Raises Unavailable as `furnish`."""
    unit, key = wanted.unit, doors.installation.effects_key
    if wanted.revision is None or wanted.rendered or wanted.removal:
        return None
    try:
        twice = doubles(unit, await _known(doors, unit), holes, key)
        if twice is None:
            return None
        sets = [await rendered(doors, wanted.revision, one) for one in (twice.first, twice.second)]
        desired = with_holes(sets[0], sets[1], twice.stands, key)
        return None if desired is None else Furnished(await doors.target.place(doors.scope(unit), desired), None)
    except Invalid:
        return None  # what the files ask of the value a stand-in has not: they are judged once it is there


async def _supplied(doors: Doors, unit: Unit) -> Unit:
    """The unit with the values of the units that it reads. Raises Awaited while one is not there, Invalid as
    `filled`."""
    known = await _known(doors, unit)
    if hole := missing(unit, known):
        raise Awaited(hole, retry_after=HOLE)
    return filled(unit, known)


async def _known(doors: Doors, unit: Unit) -> dict[str, Published]:
    """What the units that it reads have put out, by the input's name."""
    known: dict[str, Published] = {}
    for given in unit.inputs:
        upstream = await doors.store.load(given.unit)
        outputs = {output.name: output for output in (upstream.outputs if upstream is not None else ())}
        if given.output in outputs:
            known[given.name] = outputs[given.output]
    return known


async def _frozen(doors: Doors, wanted: Wanted) -> Furnished:
    if not wanted.rendered:
        return Furnished(Desired((), digest=""), None)
    manifests = await doors.rendered.get(wanted.rendered)
    if manifests is None:
        raise Invalid(
            f"the rendered set {wanted.rendered[:12]} of {wanted.unit.name} is no longer kept",
            hint="roll back to a newer run, or by commit",
        )
    return Furnished(Desired(manifests, wanted.rendered), None)


async def _fresh(doors: Doors, dossier: Dossier, unit: Unit, revision: Revision) -> Furnished:
    spec = spec_of(unit, doors.renderer.version, await _stamp(doors, unit))
    last = dossier.rendering
    if last is not None and last.spec == spec and not last.guessed and _holds(doors, last, revision):
        manifests = await doors.rendered.get(last.rendered)
        if manifests is not None:
            return Furnished(Desired(manifests, last.rendered, last.renderer, last.reads, last.notes), last)
    desired = await rendered(doors, revision, unit)
    placed = await doors.target.place(doors.scope(unit), desired)
    doors.rendered.put(placed.digest, placed.manifests)
    rendering = Rendering(revision, spec, desired.reads, desired.digest, placed.digest, desired.renderer, desired.notes)
    return Furnished(placed, replace(rendering, guessed=placed.guessed))


async def abreast(doors: Doors, dossier: Dossier) -> bool:
    """Whether what Git wants of the unit now is what it was last found, or made, to be. Where nobody can tell, its own
    turn does; renders nothing."""
    wish, last = wanted(dossier), dossier.rendering
    if wish.rendered or wish.removal or wish.revision is None or last is None:
        return True
    if not await _there(doors, dossier, last):
        return False
    try:
        unit = await _supplied(doors, wish.unit) if wish.unit.inputs else wish.unit
        spec = spec_of(unit, doors.renderer.version, await _stamp(doors, unit))
        return last.spec == spec and _holds(doors, last, wish.revision)
    except Awaited:
        return False  # it will be something else once the value is there
    except (Invalid, Unavailable):
        return True


async def _there(doors: Doors, dossier: Dossier, last: Rendering) -> bool:
    """Whether a unit is what it was last rendered to: of one that was pinned, that is held or whose run failed, nobody
    has found or made it so."""
    if dossier.unit.tool is None:
        return in_force(dossier)[1] == last.rendered
    known = {entry.digest for entry in dossier.inventory if entry.ref == stack_ref(dossier.name)}
    return any(manifest.digest in known for manifest in await doors.rendered.get(last.rendered) or ())


async def still_so(doors: Doors, unit: Unit, furnished: Furnished) -> bool:
    """Whether what a unit's set was rendered with, beside its files, is there as it was then: a value that it reads may
    have moved while the set was compared."""
    if furnished.rendering is None or not unit.inputs:
        return True
    try:
        supplied = await _supplied(doors, unit)
    except (Awaited, Invalid):
        return False
    return spec_of(supplied, doors.renderer.version, await _stamp(doors, supplied)) == furnished.rendering.spec


async def rendered(doors: Doors, revision: Revision, unit: Unit) -> Desired:
    """What a unit renders to at a commit. Of a huge repository its own folder is brought first, and then whatever else
    the rendering turns out to read, a folder's files at a time. Raises as `kedge.ports.Renderer.render`."""
    await doors.source.bring(revision, (unit.source.path,))
    snapshot = doors.source.snapshot(revision)
    for _ in range(_BRINGS):
        try:
            return await doors.renderer.render(snapshot, unit)
        except Absent as absent:
            beside = snapshot.entries(absent.path.rpartition("/")[0])
            files = [entry.path for entry in beside if entry.kind is not EntryKind.FOLDER]
            await doors.source.bring(revision, [absent.path, *files])
    raise Invalid(
        f"{unit.name} reads files of more than {_BRINGS} folders outside of {unit.source.path}",
        hint="put what it reads below one folder, and that into source.path",
    )


async def _stamp(doors: Doors, unit: Unit) -> str:
    """A digest that moves when a secret of the unit does. It is keyed: what is stored tells nothing of the secrets."""
    if not unit.render.secrets:
        return ""
    values = await doors.renderer.secrets(unit)
    text = "\0".join(f"{name}\0{values[name]}" for name in sorted(values))
    return hmac.new(doors.installation.effects_key, b"render\0" + text.encode(), sha256).hexdigest()


def _holds(doors: Doors, last: Rendering, revision: Revision) -> bool:
    if last.revision.commit == revision.commit:
        return True
    snapshot = doors.source.snapshot(revision)
    return render_holds(last.reads, {read.path: snapshot.entry(read.path) for read in last.reads})
