"""What people ask for: each path hands one wish to the road's commands and answers the unit as it stands."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from kedge.control.road.preview import PIN_SECONDS
from kedge.model.dossier import Dossier
from kedge.model.person import Person
from kedge.server import answers, concerns, views
from kedge.server.access import Allowed, Named, Verb
from kedge.server.answers import answer
from kedge.server.reading import desk_of, dossier_of, live_commit, unit_view

router = APIRouter(prefix="/api/v1/units/{project}/{name}", tags=["commands"])

_YEAR = 366 * 24 * 3600.0


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WithReason(Body):
    reason: str = Field("", max_length=2000)


class Approve(WithReason):
    """`effects` are (the first characters, at least 4, of) those that were shown."""

    effects: str = Field(min_length=4, max_length=200)
    breakGlass: bool = False


class RollbackPreview(WithReason):
    """`to` is a run's number, the first digits of a commit, or "" for the newest run that applied something else."""

    to: str = Field("", max_length=100, pattern=r"^([0-9A-Za-z][0-9A-Za-z.+_:-]*)?$")
    lasting: float = Field(PIN_SECONDS, gt=0, le=_YEAR)


class Rollback(RollbackPreview):
    """`effects`, where given, are those of the preview that was shown: a rollback to anything else is refused."""

    effects: str = Field("", max_length=200)


def _answered(request: Request, dossier: Dossier, did: str, problems: tuple[views.ProblemView, ...] = ()) -> Response:
    return answer(answers.Wished(unit_view(desk_of(request), dossier), did, problems))


@router.post("/sync", response_model=answers.Wished)
async def sync(
    request: Request, name: Named, body: WithReason, person: Annotated[Person, Depends(Allowed(Verb.SYNC))]
) -> Response:
    """Apply now what Git wants, hooks included."""
    desk = desk_of(request)
    await dossier_of(desk, name)
    dossier = await desk.commands.sync(person, name, body.reason)
    problems = concerns.concerning(dossier.unit, await desk.store.roots(), await desk.store.heads())
    return _answered(request, dossier, "sync asked for", problems)


@router.post("/suspend", response_model=answers.Wished)
async def suspend(
    request: Request, name: Named, body: WithReason, person: Annotated[Person, Depends(Allowed(Verb.SUSPEND))]
) -> Response:
    """Stop automation until `resume`."""
    desk = desk_of(request)
    await dossier_of(desk, name)
    return _answered(request, await desk.commands.suspend(person, name, body.reason), "suspended")


@router.post("/resume", response_model=answers.Wished)
async def resume(
    request: Request, name: Named, body: WithReason, person: Annotated[Person, Depends(Allowed(Verb.RESUME))]
) -> Response:
    """End a suspension or a pin."""
    desk = desk_of(request)
    await dossier_of(desk, name)
    return _answered(request, await desk.commands.resume(person, name, body.reason), "resumed")


@router.post("/cancel", response_model=answers.Wished)
async def cancel(
    request: Request, name: Named, body: WithReason, person: Annotated[Person, Depends(Allowed(Verb.CANCEL))]
) -> Response:
    """End the running operation where it stands, and suspend."""
    desk = desk_of(request)
    await dossier_of(desk, name)
    return _answered(request, await desk.commands.cancel(person, name, body.reason), "cancelled and suspended")


@router.post("/approve", response_model=answers.Wished)
async def approve(
    request: Request, name: Named, body: Approve, person: Annotated[Person, Depends(Allowed(Verb.APPROVE))]
) -> Response:
    """Agree to the pending plan's effects."""
    desk = desk_of(request)
    await dossier_of(desk, name)
    dossier = await desk.commands.approve(person, name, body.effects, body.reason, break_glass=body.breakGlass)
    return _answered(request, dossier, "glass broken" if body.breakGlass else "approved")


@router.post("/rollback:preview", response_model=answers.Preview)
async def preview(
    request: Request, name: Named, body: RollbackPreview, person: Annotated[Person, Depends(Allowed(Verb.READ))]
) -> Response:
    """What a rollback would do, exactly; changes nothing."""
    desk = desk_of(request)
    dossier = await dossier_of(desk, name)
    pin, proposal = await desk.commands.preview(person, name, body.to, body.reason, body.lasting)
    commit = pin.revision.known if pin.revision is not None else ""
    shown = views.PinView(pin.run, pin.actor, pin.reason, pin.at, pin.expires, commit)
    return answer(answers.Preview(str(name), shown, proposal.plan, proposal.plan.effects, live_commit(dossier)))


@router.post("/rollback:git", response_model=answers.Restored)
async def restored(
    request: Request, name: Named, body: RollbackPreview, person: Annotated[Person, Depends(Allowed(Verb.READ))]
) -> Response:
    """Which files a commit has to put back to go there by Git; changes nothing."""
    desk = desk_of(request)
    await dossier_of(desk, name)
    return answer(answers.Restored(str(name), await desk.commands.restoration(person, name, body.to)))


@router.post("/rollback", response_model=answers.Wished)
async def rollback(
    request: Request, name: Named, body: Rollback, person: Annotated[Person, Depends(Allowed(Verb.ROLLBACK))]
) -> Response:
    """Pin the unit to an earlier state."""
    desk = desk_of(request)
    await dossier_of(desk, name)
    dossier = await desk.commands.rollback(
        person, name, body.to, body.reason, lasting=body.lasting, effects=body.effects
    )
    return _answered(request, dossier, f"pinned to run {dossier.pin.run}" if dossier.pin is not None else "pinned")
