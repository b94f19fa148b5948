"""Who asks, and may they: `may` is the one place where access is decided.

Every route but the probes and the webhooks depends on `Allowed`; a test walks the routes and fails for one that
does not.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, Request

from kedge.model.errors import Denied, Invalid
from kedge.model.person import Person
from kedge.model.ref import UnitName

READERS = "readers"
"""A person of this group reads everything and changes nothing."""


class Verb(StrEnum):
    READ = "read"
    LOGS = "logs"
    SYNC = "sync"
    SUSPEND = "suspend"
    RESUME = "resume"
    CANCEL = "cancel"
    APPROVE = "approve"
    ROLLBACK = "rollback"
    RESTART = "restart"
    SCALE = "scale"
    ACT = "act"
    KEEP = "keep"
    PULL = "pull"
    PUSH = "push"
    UNLOCK = "unlock"


_READS = frozenset({Verb.READ, Verb.LOGS})


class Unauthenticated(Denied):
    """Nobody we know asks: 401. `scheme` says how to show who asks."""

    scheme = "Bearer"


def may(person: Person, verb: Verb, unit: UnitName | None) -> bool:
    """Whether `person` may do `verb` to `unit` (None: to the fleet). Whose approval counts is the gate's decision."""
    return verb in _READS or READERS not in person.groups


def who(tokens: Mapping[str, Person], authorization: str) -> Person:
    """The person behind an `Authorization: Bearer …` header. Every known digest is compared, in constant time.

    Raises Unauthenticated.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("this needs a token", hint="kedge up writes one to server.json in its data directory")
    digest = sha256(token.strip().encode("utf-8", "surrogateescape")).hexdigest()
    found: Person | None = None
    for known, person in tokens.items():
        if hmac.compare_digest(known, digest):
            found = person
    if found is None:
        raise Unauthenticated("this token is not known here", hint="use the token of the server that now runs")
    return found


class Allowed:
    """A route's dependency: authenticates the caller and asks `may`. Answers the person."""

    def __init__(self, verb: Verb) -> None:
        self.verb = verb

    async def __call__(self, request: Request) -> Person:
        person = who(request.app.state.desk.tokens, request.headers.get("authorization", ""))
        unit = unit_of(request)
        if not may(person, self.verb, unit):
            raise Denied(f"{person.name} may not {self.verb} {unit or 'here'}", hint="ask somebody who may")
        return person


def unit_of(request: Request) -> UnitName | None:
    """The unit that a path names: `/units/{project}/{name}`, where the environment is `?environment=` or `@` in the
    name. Raises Invalid for anything that cannot be a unit's name."""
    project, name = request.path_params.get("project"), request.path_params.get("name")
    if project is None or name is None:
        return None
    environment = request.query_params.get("environment", "")
    text = f"{project}/{name}@{environment}" if environment else f"{project}/{name}"
    try:
        return UnitName.parse(text)
    except ValueError as error:
        raise Invalid(str(error)) from None


async def named(request: Request) -> UnitName:
    unit = unit_of(request)
    if unit is None:
        raise Invalid("this path names no unit")
    return unit


Reader = Annotated[Person, Depends(Allowed(Verb.READ))]
Named = Annotated[UnitName, Depends(named)]
