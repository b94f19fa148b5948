"""Two rendered sets, compared without a server: the same diff and the same plan view as against a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from kedge.engine.diff import diff
from kedge.engine.effects import effects
from kedge.engine.plan import Draft, make_plan
from kedge.model.declaration import TargetSection
from kedge.model.manifest import Desired, Manifest
from kedge.model.pair import Seen
from kedge.model.plan import Plan
from kedge.model.ref import Ref, UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import Unit

KEY = b"an offline digest is of no use to an approval"


def compared(before: Desired, after: Desired, name: str = "offline") -> Plan:
    """The plan that leads from one set to the other. Its effects are keyed locally: they approve nothing."""
    old, new = _by_ref(before), _by_ref(after)
    pairs = [_pair(ref, old.get(ref), new.get(ref)) for ref in sorted({*old, *new})]
    found = [diff(pair, KEY) for pair in pairs]
    changes = tuple(change for change in found if change is not None)
    unit = Unit(UnitName("offline", name), "offline", SourceSpec("", ""), TargetSection())
    draft = Draft(unit=unit, revision=None, desired=after, changes=changes, effects=effects(changes), inventory=())
    return replace(make_plan(draft), needs=None)


def _by_ref(desired: Desired) -> dict[Ref, Manifest]:
    return dict(_named(desired))


def _named(desired: Desired) -> Iterator[tuple[Ref, Manifest]]:
    """A generated name is told by its prefix."""
    for manifest in desired.manifests:
        ref = manifest.ref
        yield (ref if ref.name else replace(ref, name=f"{manifest.generate_name}*")), manifest


def _pair(ref: Ref, before: Manifest | None, after: Manifest | None) -> Seen:
    return Seen(ref, _body(before), _body(after), after)


def _body(manifest: Manifest | None) -> dict[str, Any] | None:
    return None if manifest is None else dict(orjson.loads(manifest.body))
