"""A list with an end: for questions that a person waits for, where part of the truth now is better than all of it late.

Objects come whole, or as metadata alone, which is what the server holds in hand and a fraction of the size (and of a
Secret, everything but the secret).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kedge.kube.answer import error_of, mapping, parse_object, read_refusal
from kedge.kube.client import PAGE, Client
from kedge.kube.discovery import Kind
from kedge.kube.transport import JSON

METADATA = f"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"


@dataclass(frozen=True, slots=True)
class Survey:
    """`cut` tells that there are more objects than were read."""

    items: tuple[dict[str, Any], ...] = ()
    cut: bool = False


async def survey(
    client: Client, kind: Kind, namespace: str, most: int, *, whole: bool = True, fields: str = ""
) -> Survey:
    """At most `most` objects (to the next page) of a kind in a namespace; "": in all. Raises Denied and Unavailable."""
    path = kind.path(namespace)
    query = {"limit": str(min(PAGE, most)), **({"fieldSelector": fields} if fields else {})}
    items: list[dict[str, Any]] = []
    while True:
        response = await client.asker.ask("GET", path, query, {} if whole else {"accept": METADATA})
        if response.status != 200:
            refusal = read_refusal(response)
            if refusal.missing or refusal.code == 410:
                return Survey(tuple(items), cut=refusal.code == 410)
            raise error_of(refusal, f"list {path}")
        value = parse_object(response.body, f"list {path}")
        items += _typed(value, kind)
        token = mapping(value.get("metadata")).get("continue")
        if not token or len(items) >= most:
            return Survey(tuple(items), cut=bool(token))
        query = {**query, "continue": str(token)}


def _typed(value: Mapping[str, Any], kind: Kind) -> list[dict[str, Any]]:
    """Items carry no kind of their own, or that of metadata alone."""
    found = value.get("items")
    whole = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    named = {"apiVersion": kind.api_version, "kind": kind.kind}
    return [{**item, **named} for item in whole if isinstance(item.get("metadata"), dict)]
