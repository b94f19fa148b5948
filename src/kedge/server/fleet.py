"""Reads about everything but units: sources, roots, clusters and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from kedge.model.fleet import UnitQuery
from kedge.server import answers, views
from kedge.server.access import Reader
from kedge.server.answers import answer
from kedge.server.desk import Desk
from kedge.server.reading import Text, desk_of

router = APIRouter(prefix="/api/v1", tags=["fleet"])

_PAGE = 1000
_PAGES = 200


@router.get("/sources", response_model=answers.Sources)
async def sources(request: Request, person: Reader) -> Response:
    """Every (repository, ref) in use: its newest known commit, when it was asked and answered, and what is wrong."""
    desk = desk_of(request)
    now = desk.clock.now()
    found = sorted(await desk.store.heads(), key=lambda head: (not head.problem, head.repository, head.ref))
    asked = desk.asked()
    rows = (views.source(head, now, asked.get((head.repository, head.ref))) for head in found)
    return answer(answers.Sources(tuple(rows)))


@router.get("/roots", response_model=answers.Roots)
async def roots(request: Request, person: Reader) -> Response:
    """What each root last declared, and its problems: nothing is removed while there are any."""
    return answer(answers.Roots(tuple(map(views.root, await desk_of(request).store.roots()))))


@router.get("/clusters", response_model=answers.Clusters)
async def clusters(request: Request, person: Reader) -> Response:
    """Declared clusters and those that units live in, worst first: when a watch told anything last, what is wrong."""
    desk = desk_of(request)
    counts: dict[str, int] = {}
    after = ""
    for _ in range(_PAGES):
        page = await desk.store.units(UnitQuery(after=after, limit=_PAGE))
        for row in page.items:
            counts[row.cluster] = counts.get(row.cluster, 0) + 1
        after = page.next
        if not after:
            break
    declared = {cluster.name: cluster.server for cluster in await desk.store.clusters()}
    names = sorted({*counts, *declared}) or ["default"]
    found = [_cluster(desk, name, counts, declared) for name in names]
    return answer(answers.Clusters(tuple(sorted(found, key=lambda cluster: (not cluster.reason, cluster.name)))))


def _cluster(desk: Desk, name: str, counts: Mapping[str, int], declared: Mapping[str, str]) -> answers.ClusterView:
    now, fresh, ailment = desk.clock.now(), desk.fresh(name), desk.ailment(name)
    return answers.ClusterView(
        name=name,
        fresh=fresh,
        age=views.age(fresh, now),
        units=counts.get(name, 0),
        server=declared.get(name, ""),
        reason=ailment.reason if ailment is not None else "",
        reasonAge=views.age(ailment.since, now) if ailment is not None else None,
    )


@router.get("/events", response_model=answers.Events)
async def events(
    request: Request,
    person: Reader,
    unit: Text = "",
    before: Annotated[int, Query(ge=0)] = 0,
    after: Annotated[int | None, Query(ge=0)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """The record. Newest first below `before`; with `after`, oldest first above it."""
    store = desk_of(request).store
    if after is not None:
        found = tuple(await store.events(after, unit, limit))
    else:
        found = tuple(await store.latest(unit, before, limit))
    return answer(answers.Events(found, found[-1].id if len(found) == limit else 0))
