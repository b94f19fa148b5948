"""Secrets that Credentials name as `store: NAME`: kept and taken away here, listed by name, never shown."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from kedge.model.event import Event
from kedge.model.person import Person
from kedge.server import answers
from kedge.server.access import Allowed, Verb
from kedge.server.answers import answer
from kedge.server.problems import Absent
from kedge.server.reading import desk_of

router = APIRouter(prefix="/api/v1/secrets", tags=["secrets"])

LARGEST = 64 * 1024

SecretName = Annotated[str, Path(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Keeper = Annotated[Person, Depends(Allowed(Verb.KEEP))]


class Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")
    value: SecretStr = Field(min_length=1, max_length=LARGEST)


@router.get("", response_model=answers.Secrets)
async def secrets(request: Request, person: Keeper) -> Response:
    """Their names."""
    return answer(answers.Secrets(tuple(await desk_of(request).store.kept_names())))


@router.put("/{name}", response_model=answers.SecretDone)
async def keep(request: Request, name: SecretName, body: Kept, person: Keeper) -> Response:
    """Keep a secret, encrypted, in place of the one of that name."""
    desk = desk_of(request)
    event = Event("secret.kept", desk.clock.now(), person.name, message=f"secret {name} kept")
    await desk.store.keep(name, body.value.get_secret_value(), event)
    desk.secret_moved(name)
    return answer(answers.SecretDone(name, "kept"))


@router.delete("/{name}", response_model=answers.SecretDone)
async def forget(request: Request, name: SecretName, person: Keeper) -> Response:
    """Take a secret away: what is opened with it stays closed from now on."""
    desk = desk_of(request)
    if name not in await desk.store.kept_names():
        raise Absent(f"there is no secret {name}", hint="kedge get secrets lists them")
    event = Event("secret.deleted", desk.clock.now(), person.name, message=f"secret {name} deleted")
    await desk.store.keep(name, None, event)
    desk.secret_moved(name)
    return answer(answers.SecretDone(name, "deleted"))
