"""The `http` backend of OpenTofu and Terraform: GET, POST, DELETE, LOCK and UNLOCK of one unit's state.

A run shows the token it was given as the password of basic authentication; nobody else's token opens anything here.
What it sends is read only after that. A lock that is taken is answered by 423 with the holder's own words, a write
that may not be by 409: then the tool keeps what it could not send in `errored.tfstate`.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from kedge.control.states.backend import LARGEST_INFO, StateBackend
from kedge.model.errors import Invalid
from kedge.model.state import LARGEST_STATE, Locked, StateGrant
from kedge.server.access import Allowed, Unauthenticated, Verb, unit_of
from kedge.server.guard import received
from kedge.server.problems import Absent, problem

router = APIRouter(include_in_schema=False)

PATH = "/state/{project}/{name}"
_LONGEST_HEADER = 2000
JSON = "application/json"


class NotGranted(Unauthenticated):
    """No token of a run that may."""

    scheme = 'Basic realm="kedge state"'


class Granted(Allowed):
    """The dependency of these routes: a run's own token stands in for a person's. Answers the grant."""

    async def __call__(self, request: Request) -> StateGrant:  # type: ignore[override]
        name, token = _credentials(request.headers.get("authorization", ""))
        backend: StateBackend | None = request.app.state.desk.states
        if backend is None:
            raise Absent("this server keeps no states")
        grant = await backend.admitted(str(unit_of(request)), name, token)
        if grant is None:
            raise NotGranted("this token opens no state here", hint="a token ends with the run it was given to")
        request.state.backend = backend
        return grant


Run = Annotated[StateGrant, Depends(Granted(Verb.READ))]


def _credentials(authorization: str) -> tuple[str, str]:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic" and len(given) <= _LONGEST_HEADER:
        try:
            name, _, token = b64decode(given, validate=True).decode().partition(":")
            return name, token
        except ValueError:
            pass
    raise NotGranted("a run shows its token as the password of basic authentication")


def _backend(request: Request) -> StateBackend:
    backend: StateBackend = request.state.backend
    return backend


@router.get(PATH)
async def get(request: Request, run: Run) -> Response:
    """The newest version; 204 where there is none. Without a Content-MD5: the tools make their own and check none."""
    content = await _backend(request).read(run.unit)
    if content is None:
        return Response(status_code=204)
    return Response(content, media_type=JSON)


@router.post(PATH)
async def post(request: Request, run: Run, ID: str = "") -> Response:
    """A new version, by the holder of the lock `ID`."""
    checksum = request.headers.get("content-md5", "")
    try:
        wanted = b64decode(checksum, validate=True)
    except ValueError:
        raise Invalid("the Content-MD5 is not base64") from None
    await _backend(request).write(run, ID, await received(request, LARGEST_STATE), wanted)
    return Response(status_code=200)


@router.delete(PATH)
async def delete(request: Request, run: Run, ID: str = "") -> Response:
    """No state from here on; earlier versions stay."""
    await _backend(request).delete(run, ID)
    return Response(status_code=200)


@router.api_route(PATH, methods=["LOCK"])
async def lock(request: Request, run: Run) -> Response:
    """Take the lock, or 423 with who has it."""
    try:
        await _backend(request).lock(run, await received(request, LARGEST_INFO))
    except Locked as error:
        return Response(error.lock.info, 423, media_type=JSON)
    return Response(status_code=200)


@router.api_route(PATH, methods=["UNLOCK"])
async def unlock(request: Request, run: Run) -> Response:
    """Let the run's own lock go."""
    try:
        await _backend(request).unlock(run, await received(request, LARGEST_INFO))
    except Locked as error:
        return problem(409, str(error))
    return Response(status_code=200)
