"""What a cluster alone tells of who owns what: enough to go on without the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kedge.model.ref import Ref


@dataclass(frozen=True, slots=True)
class Recovered:
    """`units`: unit name → the ordinary objects that carry its mark, in order. `pins`: unit name → what its objects say
    of a rollback. `unread` are kinds and groups that could not be listed, with the reason: there may be more. `within`
    are the namespaces that were looked into, None for all."""

    units: Mapping[str, Sequence[Ref]]
    pins: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    within: frozenset[str] | None = None
