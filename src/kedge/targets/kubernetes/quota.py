"""What a quota refuses counts as rendered where that quota changes in the same set: it is applied first, and the set
would wait for itself otherwise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from kedge.model.pair import Pair, Presumed, Seen
from kedge.model.ref import Ref

_EXCEEDED = re.compile(r"exceeded quota: ([a-z0-9.-]+),")
"""As the API server's quota admission says it, with the first quota that is in the way."""


def refused_by_moved_quotas(pairs: Sequence[Pair]) -> dict[Ref, Pair]:
    """What counts as rendered after all, in place of pairs that were rejected."""
    quotas = {(pair.ref.namespace, pair.ref.name) for pair in pairs if _moves(pair)}
    rejected = [pair for pair in pairs if isinstance(pair, Seen) and pair.rejection] if quotas else []
    return {
        pair.ref: _as_rendered(pair, named[1])
        for pair in rejected
        if (named := _EXCEEDED.search(pair.rejection)) and (pair.ref.namespace, named[1]) in quotas
    }


def _moves(pair: Pair) -> bool:
    if pair.ref.group_kind != ("", "ResourceQuota") or not isinstance(pair, Seen) or pair.rejection:
        return False
    return pair.predicted is not None and (pair.live or {}).get("spec") != pair.predicted.get("spec")


def _as_rendered(pair: Seen, quota: str) -> Pair:
    why = f"the quota {quota} changes with this set; as it is now: {pair.rejection}"
    if pair.live is None and pair.manifest is not None:
        return Presumed(pair.ref, pair.manifest, why)
    return replace(pair, rejection="", untried=why)
