"""States of stacks for people: listed, shown without secrets, compared; pulled, pushed, rolled back and unlocked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field, ValidationError

from kedge.control.states.keeper import Asked, StateKeeper, Told
from kedge.engine.stateview import Shown, StateDifference
from kedge.model.errors import Invalid
from kedge.model.person import Person
from kedge.model.state import LARGEST_STATE, StateLine, StateLock, StateVersion
from kedge.server import views
from kedge.server.access import Allowed, Named, Reader, Verb
from kedge.server.answers import answer
from kedge.server.guard import received
from kedge.server.problems import Absent
from kedge.server.reading import Text, desk_of
from kedge.server.wishing import WithReason

router = APIRouter(prefix="/api/v1", tags=["states"])
_UNIT = "/units/{project}/{name}/state"
_MOST = 200

Number = Annotated[int, Query(ge=0, lt=2**31)]


@dataclass(frozen=True, slots=True)
class LockView:
    """Who holds the lock. `execution` is the run's."""

    id: str
    execution: str
    who: str
    operation: str
    since: float
    age: float | None


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version. `digest` is keyed; `size` in bytes; `resources` a number."""

    number: int
    serial: int
    lineage: str
    digest: str
    size: int
    resources: int
    at: float
    age: float | None
    origin: str
    execution: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class LineView:
    unit: str
    newest: VersionView
    lock: LockView | None


@dataclass(frozen=True, slots=True)
class States:
    items: tuple[LineView, ...]
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Versions:
    """Newest first; `next` is the `before` of the page after it, 0 at the end."""

    unit: str
    items: tuple[VersionView, ...]
    lock: LockView | None
    next: int = 0
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class OneState:
    """`resources` are addresses; `shown` those that were asked for, with what may be shown of their attributes."""

    unit: str
    version: VersionView
    lock: LockView | None
    outputs: tuple[Shown, ...]
    resources: tuple[str, ...]
    shown: tuple[Shown, ...]
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Differences:
    """From one version to another; `before` is null where there was none yet."""

    unit: str
    before: VersionView | None
    after: VersionView
    items: tuple[StateDifference, ...]
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Pulled:
    unit: str
    version: VersionView
    content: str
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class StateDone:
    """`told` is what was done, or with `dryRun` would be."""

    unit: str
    told: str
    version: VersionView | None
    dryRun: bool
    schemaVersion: str = views.SCHEMA


class Pull(WithReason):
    version: int = Field(0, ge=0, lt=2**31)


class Act(WithReason):
    """`newest` is the newest version that was shown: then nothing is done to any other. `breakGlass` is for those who
    may not approve the unit's plans."""

    dryRun: bool = False
    breakGlass: bool = False
    newest: int = Field(0, ge=0, lt=2**31)


class Push(Act):
    """`content` is the state file's text. `force` goes past the rules of lineage and serial."""

    content: str
    force: bool = False


_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": Push.model_json_schema()}}}}
"""What a push is sent as: its handler reads it by itself, for it may be large."""


class Back(Act):
    """`to` is the number of a version."""

    to: int = Field(ge=1, lt=2**31)


class Unlock(Act):
    """`force` breaks the lock of a run that may still be at work."""

    force: bool = False


def keeper_of(request: Request) -> StateKeeper:
    desk = desk_of(request)
    if desk.states is None:
        raise Absent("this server keeps no states")
    return StateKeeper(desk.states, desk.store, desk.commands.ring)


@router.get("/states", response_model=States)
async def states(request: Request, person: Reader) -> Response:
    """Every unit that has a state, or had one."""
    lines = await keeper_of(request).backend.store.everything()
    now = desk_of(request).clock.now()
    return answer(States(tuple(_line(line, now) for line in lines)))


@router.get(f"{_UNIT}/versions", response_model=Versions)
async def versions(
    request: Request,
    person: Reader,
    name: Named,
    before: Number = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """Versions that are kept, newest first, and who holds the lock."""
    store, now = keeper_of(request).backend.store, desk_of(request).clock.now()
    found = await store.versions(str(name), before, limit)
    lock = (await store.facts(str(name))).lock
    more = found[-1].number if len(found) == limit else 0
    return answer(Versions(str(name), tuple(_version(one, now) for one in found), _lock(lock, now), more))


@router.get(_UNIT, response_model=OneState)
async def state(request: Request, person: Reader, name: Named, version: Number = 0, address: Text = "") -> Response:
    """One version: outputs and addresses; with `address`, the attributes of the resources it begins. No secrets."""
    keeper, now = keeper_of(request), desk_of(request).clock.now()
    found = await keeper.version(name, version)
    seen = await keeper.view(found) if found.size else None
    lock = (await keeper.backend.store.facts(str(name))).lock
    resources = seen.resources if seen is not None else ()
    wanted = [one for one in resources if address and one.address.startswith(address)]
    if address and not wanted:
        raise Absent(f"there is no resource {address} in the state of {name}", hint=f"kedge state show {name}")
    return answer(
        OneState(
            str(name),
            _version(found, now),
            _lock(lock, now),
            seen.outputs if seen is not None else (),
            tuple(one.address for one in resources),
            tuple(wanted[:_MOST]),
        )
    )


@router.get(f"{_UNIT}/diff", response_model=Differences)
async def difference(request: Request, person: Reader, name: Named, old: Number = 0, new: Number = 0) -> Response:
    """From version `old` (0: the one before) to `new` (0: the newest). No secrets."""
    keeper, now = keeper_of(request), desk_of(request).clock.now()
    after = await keeper.version(name, new)
    before = await keeper.version(name, old) if old else await keeper.before(after)
    items = await keeper.differences(before, after)
    return answer(
        Differences(str(name), _version(before, now) if before is not None else None, _version(after, now), items)
    )


@router.post(f"{_UNIT}/pull", response_model=Pulled)
async def pull(
    request: Request, name: Named, body: Pull, person: Annotated[Person, Depends(Allowed(Verb.PULL))]
) -> Response:
    """A state in clear, with the secrets in it. That it was read is on record."""
    keeper = keeper_of(request)
    found = await keeper.version(name, body.version)
    content = await keeper.pull(name, found.number, Asked(person, body.reason))
    return answer(Pulled(str(name), _version(found, desk_of(request).clock.now()), content.decode()))


@router.post(f"{_UNIT}/push", response_model=StateDone, openapi_extra=_BODY)
async def push(request: Request, name: Named, person: Annotated[Person, Depends(Allowed(Verb.PUSH))]) -> Response:
    """Put a state file in place of the newest version, by the tools' own rules of lineage and serial."""
    try:
        body = Push.model_validate_json(await received(request, 2 * LARGEST_STATE))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:10])
        raise Invalid(f"the request cannot be read: {told[:500]}") from None
    asked = _asked(person, body, force=body.force)
    try:
        content = body.content.encode()
    except UnicodeEncodeError:
        raise Invalid("the state is not UTF-8 text") from None
    return _done(request, name, await keeper_of(request).push(name, content, asked), body)


@router.post(f"{_UNIT}/rollback", response_model=StateDone)
async def rollback(
    request: Request, name: Named, body: Back, person: Annotated[Person, Depends(Allowed(Verb.ROLLBACK))]
) -> Response:
    """Write what an earlier version held under a new serial. Refused while the state is locked."""
    return _done(request, name, await keeper_of(request).rollback(name, body.to, _asked(person, body)), body)


@router.post(f"{_UNIT}/unlock", response_model=StateDone)
async def unlock(
    request: Request, name: Named, body: Unlock, person: Annotated[Person, Depends(Allowed(Verb.UNLOCK))]
) -> Response:
    """Break the lock of a run that is proven to be over; with `force`, of any: it can not write any more."""
    asked = _asked(person, body, force=body.force)
    return _done(request, name, await keeper_of(request).unlock(name, asked), body)


def _asked(person: Person, body: Act, *, force: bool = False) -> Asked:
    return Asked(person, body.reason, body.dryRun, force, body.breakGlass, body.newest)


def _done(request: Request, name: object, told: Told, body: Act) -> Response:
    now = desk_of(request).clock.now()
    version = _version(told.version, now) if told.version is not None else None
    return answer(StateDone(str(name), told.text, version, body.dryRun))


def _line(line: StateLine, now: float) -> LineView:
    return LineView(line.newest.unit, _version(line.newest, now), _lock(line.lock, now))


def _version(found: StateVersion, now: float) -> VersionView:
    return VersionView(
        number=found.number,
        serial=found.serial,
        lineage=found.lineage,
        digest=found.digest,
        size=found.size,
        resources=found.resources,
        at=found.at,
        age=views.age(found.at, now),
        origin=found.origin.value,
        execution=found.execution,
        actor=found.actor,
        reason=found.reason,
    )


def _lock(held: StateLock | None, now: float) -> LockView | None:
    if held is None:
        return None
    return LockView(held.id, held.execution, held.who, held.operation, held.since, views.age(held.since, now))
