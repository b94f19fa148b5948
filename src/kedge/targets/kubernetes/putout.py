"""What an application puts out: fields of its live objects."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kedge.engine.outputs import at_path
from kedge.model.output import Output, OutputPlace
from kedge.targets.kubernetes.site import Site


async def read_outputs(site: Site, places: Sequence[OutputPlace]) -> tuple[Output, ...]:
    """The fields that are there. A Secret's are sensitive. Raises Unavailable and Denied."""
    found = []
    for place in places:
        live = await site.get(place.ref)
        value = at_path(live, place.path) if live is not None else None
        if value is not None:
            found.append(Output(place.name, json.dumps(value, sort_keys=True), place.ref.kind == "Secret"))
    return tuple(found)
