"""Reads about units: the fleet page, one unit, its plan, objects, runs and history."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from kedge.control.road.operate import family_of
from kedge.engine.gate import outdated
from kedge.model.dossier import Dossier, Sync
from kedge.model.errors import Invalid
from kedge.model.family import Child, Family
from kedge.model.fleet import UnitQuery
from kedge.model.health import Status
from kedge.model.operation import Owned, Sight
from kedge.model.ref import Ref, UnitName
from kedge.server import answers, concerns, views
from kedge.server.access import Named, Reader
from kedge.server.answers import answer
from kedge.server.desk import Desk
from kedge.server.problems import Absent

router = APIRouter(prefix="/api/v1/units", tags=["units"])

Text = Annotated[str, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def dossier_of(desk: Desk, name: UnitName) -> Dossier:
    """Raises Absent for a unit that is not known here."""
    dossier = await desk.store.load(name)
    if dossier is None:
        raise Absent(f"there is no unit {name}", hint="kedge get lists them")
    return dossier


def live_commit(dossier: Dossier) -> str:
    return dossier.applied.known if dossier.applied is not None else ""


def unit_view(desk: Desk, dossier: Dossier) -> views.UnitView:
    known = _known(desk, str(dossier.name), dossier.unit.target.cluster)
    return views.unit(dossier, known, desk.clock.now())


def _known(desk: Desk, unit: str, cluster: str) -> views.Verification:
    return views.Verification(desk.current(unit, cluster), desk.verified(unit), desk.late(unit))


@router.get("", response_model=answers.Units)
async def units(
    request: Request,
    person: Reader,
    project: Text = "",
    kind: Text = "",
    health: Text = "",
    sync: Text = "",
    cluster: Text = "",
    text: Text = "",
    label: Annotated[list[str] | None, Query(max_length=10)] = None,
    after: Annotated[str, Query(max_length=500)] = "",
    limit: Limit = 100,
) -> Response:
    """The fleet, worst first. `label` is `key=value` and may be repeated; `after` is the `next` of the page before."""
    desk = desk_of(request)
    query = UnitQuery(
        project=project,
        kind=_one_of(kind, ["app", "stack"], "kind"),
        health=_one_of(health, [status.value for status in Status], "health"),
        sync=_one_of(sync, [state.value for state in Sync], "sync"),
        cluster=cluster,
        text=text,
        labels=tuple(_label(item) for item in label or ()),
        after=after,
        limit=limit,
    )
    page = await desk.store.units(query)
    now = desk.clock.now()
    items = tuple(views.line(row, _known(desk, row.name, row.cluster), now) for row in page.items)
    if after:
        return answer(answers.Units(items, page.next, page.total))
    problems = concerns.problems(await desk.store.roots(), await desk.store.heads(), desk.store.problem)
    return answer(answers.Units(items, page.next, page.total, await _counts(desk, query), problems))


async def _counts(desk: Desk, query: UnitQuery) -> dict[str, int]:
    """Units by health and by sync, each under all other filters of the page."""
    one = replace(query, limit=1, after="")
    counts: dict[str, int] = {}
    for status in Status:
        counts[status.value] = (await desk.store.units(replace(one, health=status.value))).total
    for state in Sync:
        counts[state.value] = (await desk.store.units(replace(one, sync=state.value))).total
    if Status.UNKNOWN.value == Sync.UNKNOWN.value:
        counts["healthUnknown"] = (await desk.store.units(replace(one, health=Status.UNKNOWN.value))).total
        counts["syncUnknown"] = counts.pop(Sync.UNKNOWN.value)
    return counts


def _one_of(given: str, known: list[str], what: str) -> str:
    """The known word that `given` means, whatever its case. Raises Invalid."""
    if not given:
        return ""
    found = next((word for word in known if word.lower() == given.lower()), None)
    if found is None:
        raise Invalid(f"there is no {what} “{given}”", hint=f"one of {', '.join(known)}")
    return found


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Invalid(f"“{text}” is no label", hint="write key=value")
    return key, value


@router.get("/{project}/{name}", response_model=answers.OneUnit)
async def unit(request: Request, person: Reader, name: Named) -> Response:
    """One unit. An environment is `?environment=prod`, or `@prod` behind the name, here and below."""
    desk = desk_of(request)
    dossier = await dossier_of(desk, name)
    problems = concerns.concerning(dossier.unit, await desk.store.roots(), await desk.store.heads(), desk.store.problem)
    return answer(answers.OneUnit(unit_view(desk, dossier), problems))


@router.get("/{project}/{name}/plan", response_model=answers.PlanAnswer)
async def plan(request: Request, person: Reader, name: Named, fresh: bool = False) -> Response:
    """The pending plan; with `fresh`, a new one of what Git wants now, from a dry run of every object."""
    desk = desk_of(request)
    dossier = await dossier_of(desk, name)
    made = (await desk.commands.plan(name)).plan if fresh else dossier.plan
    given = outdated(made, dossier.approvals) if made is not None else None
    approved = await desk.store.plan(given.plan) if given is not None else None
    by = given.person if given is not None and approved is not None else ""
    return answer(answers.PlanAnswer(str(name), made, fresh, live_commit(dossier), approved, by))


@router.get("/{project}/{name}/objects", response_model=answers.Objects)
async def objects(request: Request, person: Reader, name: Named, children: bool = False) -> Response:
    """Every object of the unit with its health, in the order of waves; with `children`, what the cluster made from
    them as well, which is read for this answer."""
    desk = desk_of(request)
    dossier = await dossier_of(desk, name)
    ours = {owned.ref: owned for owned in dossier.inventory}
    family = await family_of(desk.commands.doors, dossier) if children else Family(await desk.look(dossier))
    sights = family.sights
    refs = sorted(dict.fromkeys([*ours, *sights]), key=lambda ref: (ours[ref].wave if ref in ours else 0, ref))
    items = tuple(_object(ref, ours.get(ref), sights.get(ref)) for ref in refs)
    return answer(answers.Objects(str(name), items, tuple(map(_child, family.children)), family.notes))


def _child(child: Child) -> answers.ChildView:
    ref = child.ref
    return answers.ChildView(
        group=ref.group,
        kind=ref.kind,
        namespace=ref.namespace,
        name=ref.name,
        key=ref.key,
        owner=child.owner.key,
        status=child.status,
        message=child.message,
        terminating=child.terminating,
    )


def _object(ref: Ref, owned: Owned | None, sight: Sight | None) -> answers.ObjectView:
    seen = sight if sight is not None else Sight(ref, exists=False, status="Unknown", message="not watched yet")
    return answers.ObjectView(
        group=ref.group,
        kind=ref.kind,
        namespace=ref.namespace,
        name=ref.name,
        key=ref.key,
        exists=seen.exists,
        status=seen.status,
        message=seen.message,
        managed=owned is not None,
        wave=owned.wave if owned is not None else 0,
        hook=owned.hook if owned is not None else "",
        terminating=seen.terminating,
        finalizers=seen.finalizers,
    )


@router.get("/{project}/{name}/operations", response_model=answers.Runs)
async def operations(
    request: Request,
    person: Reader,
    name: Named,
    before: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Runs, newest first. A unit that is gone keeps its runs."""
    desk = desk_of(request)
    found = await desk.store.operations(str(name), before, limit)
    if not found and not before:
        await dossier_of(desk, name)  # a name that was never a unit's is a slip, and no unit without a past
    runs = tuple(run for run in (views.run(operation) for operation in found) if run is not None)
    more = runs[-1].number if len(runs) == limit and runs[-1].number > 1 else 0
    return answer(answers.Runs(str(name), runs, more))


@router.get("/{project}/{name}/operations/{number}", response_model=answers.OneRun)
async def operation(request: Request, person: Reader, name: Named, number: int) -> Response:
    """One run with what came of each step, and the plan it carried out."""
    store = desk_of(request).store
    found = await store.operation(str(name), number) if 0 < number < 2**31 else None
    run = views.run(found, outcomes=True)
    if found is None or run is None:
        raise Absent(f"{name} has no run {number}", hint=f"kedge history {name}")
    return answer(answers.OneRun(str(name), run, await store.plan(found.plan)))


@router.get("/{project}/{name}/events", response_model=answers.Events)
async def history(
    request: Request,
    person: Reader,
    name: Named,
    before: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """The unit's history, newest first. A unit that is gone keeps it."""
    desk = desk_of(request)
    found = tuple(await desk.store.latest(str(name), before, limit))
    if not found and not before:
        await dossier_of(desk, name)
    return answer(answers.Events(found, found[-1].id if len(found) == limit else 0))
