"""From any live object back to its author: object → what made it → unit → commit."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from kedge.model.errors import Denied, Unavailable
from kedge.model.family import Lineage
from kedge.model.ref import Ref, UnitName
from kedge.server import answers, views
from kedge.server.access import Reader
from kedge.server.answers import answer
from kedge.server.desk import Desk
from kedge.server.problems import Absent
from kedge.server.reading import Text, desk_of, dossier_of

DEFAULT = "default"

router = APIRouter(prefix="/api/v1", tags=["fleet"])


@router.get("/trace", response_model=answers.Trace)
async def trace(
    request: Request,
    person: Reader,
    kind: Text,
    name: Text,
    group: Text = "",
    namespace: Text = "",
    cluster: Text = "default",
) -> Response:
    """From an object to its unit, commit and author. `kind` is any word that kubectl takes, such as `deploy` or
    `deployments.apps`. Without a namespace the object is looked for in all of them."""
    desk = desk_of(request)
    exact = Ref(group, kind, namespace, name)
    chain: Sequence[Ref] = (exact,)
    owner = (await desk.store.claims(cluster, chain)).get(exact)
    if owner is None:
        lineage = await _lineage(desk, cluster, exact)
        chain = lineage.chain
        claims = await desk.store.claims(cluster, chain)
        ours = next((ref for ref in chain if ref in claims), None)
        if ours is None:
            raise Absent(
                f"no unit owns {_path(chain)} in cluster {cluster}: it is managed by {lineage.manager}",
                hint="kedge tree NAME lists a unit's objects",
            )
        owner, chain = claims[ours], chain[: chain.index(ours) + 1]
    dossier = await dossier_of(desk, UnitName.parse(owner))
    source = dossier.unit.source
    return answer(
        answers.Trace(
            object=str(chain[0]),
            cluster=cluster,
            unit=owner,
            revision=views.revision(dossier.applied),
            run=views.run(dossier.last),
            source=f"{views.public_url(source.repository)} {source.path}".strip(),
            via=tuple(map(str, chain[1:])),
        )
    )


async def _lineage(desk: Desk, cluster: str, what: Ref) -> Lineage:
    if cluster != DEFAULT and cluster not in {declared.name for declared in await desk.store.clusters()}:
        raise Absent(f"there is no cluster {cluster}", hint="kedge get clusters")
    word = f"{what.kind}.{what.group}" if what.group else what.kind
    live = desk.commands.doors.target.live
    try:
        found = await live.lineage(cluster, word, what.namespace, what.name)
    except (Denied, Unavailable) as error:
        raise Unavailable(
            f"no unit owns {what} by that name, and the cluster {cluster} can not be asked: {error}"
        ) from error
    if found is None:
        raise Absent(
            f"there is no {what} in cluster {cluster}", hint="" if what.namespace else "-n names its namespace"
        )
    return found


def _path(chain: Sequence[Ref]) -> str:
    return f"{chain[0]}, of {chain[-1]}," if len(chain) > 1 else str(chain[0])
