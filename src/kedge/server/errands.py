"""What executions that run elsewhere ask: each shows the token that it was given, which opens nothing else.

A large body is read only after that.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from kedge.model.errors import Invalid
from kedge.model.execution import LARGEST_WORD, Word
from kedge.ports import Errands
from kedge.server.access import Allowed, Unauthenticated, Verb
from kedge.server.guard import received

router = APIRouter(include_in_schema=False)
_SHORT = 1024


class Runner(msgspec.Struct):
    """Which pod asks."""

    runner: str


class Sent(Allowed):
    """The dependency of these routes: an execution's own token stands in for a person's."""

    async def __call__(self, request: Request) -> Errands:  # type: ignore[override]
        errands: Errands | None = request.app.state.desk.errands
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        id = request.path_params["execution"]
        if errands is not None and scheme.lower() == "bearer" and errands.admitted(id, token.strip()):
            return errands
        raise Unauthenticated("this token opens no execution here", hint="a token ends with the run it was given to")


Asked = Annotated[Errands, Depends(Sent(Verb.READ))]


@router.post("/executions/{execution}/claim")
async def claim(request: Request, errands: Asked, execution: str) -> Response:
    """What is to be done, for the pod that will do it; 409 where that is another, or none any more."""
    try:
        who = msgspec.json.decode(await received(request, _SHORT), type=Runner)
    except msgspec.MsgspecError as error:
        raise Invalid(f"this says not which pod asks: {error}") from None
    return Response(await errands.claim(execution, who.runner), media_type="application/json")


@router.post("/executions/{execution}/word")
async def word(request: Request, errands: Asked, execution: str) -> Response:
    """How far it is, or what it leaves."""
    try:
        told = msgspec.json.decode(await received(request, LARGEST_WORD), type=Word)
    except msgspec.MsgspecError as error:
        raise Invalid(f"this is no word of an execution: {error}") from None
    await errands.hear(execution, told)
    return Response(status_code=204)
