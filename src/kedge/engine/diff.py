"""Diff: one object seen twice → its change, as people read it and as an approval binds it. Pure.

pair ─► fold, normalise ─► leaves (real values) ─► effect (keyed) ─► fields (masked, cut) ─► Change
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from kedge.engine import mask
from kedge.engine.effects import Deed, canonical, effect, is_generated
from kedge.engine.leaves import Leaf, leaves, overlaid, path_of, same
from kedge.engine.mask import Sensitive, sensitive
from kedge.engine.normalize import ITEM, MISSING, OWNERSHIP, entries, folded, subject_of
from kedge.engine.resources import resource_change
from kedge.model.change import Act, Change, FieldAct, FieldChange, Hidden
from kedge.model.manifest import Manifest, Place
from kedge.model.pair import Object, Owner, Pair, Planned, Presumed, Seen

REPLACE = "kedge.dev/replace"
LONGEST = 2_000
"""Characters of a shown value. A longer one is cut around the place where the two begin to differ."""

_CONTEXT = 200
_ARGO_OPTIONS = "argocd.argoproj.io/sync-options"
_NEVER_REPLACED = frozenset(
    {
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
    }
)
_Marks = tuple[dict[str, Any], ...]
_ADOPTED = frozenset({"unit", "installation", "argocd", "flux", "helm"})


def diff(pair: Pair, key: bytes, *, ignore: Sequence[str] = (), wished: bool = True) -> Change | None:
    """What would become of one object; None when nothing but noise differs.

    `key` keys effects and markers. `ignore` are readable paths to leave alone (`spec.replicas`; `*` is any name, `[*]`
    any item). `wished` says whether the wish itself moved since it was last true: otherwise a difference is drift.
    """
    if isinstance(pair, Planned):
        return resource_change(pair, key, wished=wished)
    if isinstance(pair, Presumed):
        return _presumed(pair, key, wished)
    if pair.rejection:
        return _rejected(pair, key, wished)
    if pair.live is None:
        return None if pair.predicted is None else _created(pair, pair.predicted, key, wished)
    if pair.predicted is None:
        return _deleted(pair, key)
    return _updated(pair, pair.live, pair.predicted, (key, tuple(ignore), wished))


def _presumed(pair: Presumed, key: bytes, wished: bool) -> Change:
    body = _body(pair.manifest)
    deed = Deed(pair.ref, Act.CREATE, body=body)
    holes = [_hole(body, place) for place in pair.manifest.holes]
    return Change(
        ref=pair.ref,
        act=Act.CREATE,
        fields=_fields(holes, sensitive(pair.ref.kind, body), key),
        effect=effect(deed, key),
        why=f"as rendered: {pair.why}" if pair.why else "as rendered",
        drift=not wished,
        generated=is_generated(pair.ref),
        awaits=pair.why if pair.by_others else "",
    )


def _hole(body: Mapping[str, Any], place: Place) -> Leaf:
    """Of what is to be created, a field that is not known yet."""
    value: Any = body
    for step in place:
        value = value[step]
    trail = tuple(ITEM if isinstance(step, int) else step for step in place)
    return Leaf(path_of(place), trail, FieldAct.GAIN, MISSING, value)


def _created(pair: Seen, predicted: Object, key: bytes, wished: bool) -> Change:
    """The effect covers what Git renders: the server's answer holds values that it makes up anew each time."""
    body = _body(pair.manifest) if pair.manifest else predicted
    adopts = _adopts(pair.owner)
    return Change(
        ref=pair.ref,
        act=Act.CREATE,
        effect=effect(Deed(pair.ref, Act.CREATE, body=body, adopts=adopts), key),
        adopts=adopts,
        drift=not wished,
        generated=is_generated(pair.ref),
    )


def _deleted(pair: Seen, key: bytes) -> Change:
    adopts = _adopts(pair.owner)
    deed = Deed(pair.ref, Act.DELETE, adopts=adopts, along=pair.along)
    full, alone = effect(deed, key), effect(replace(deed, along=None), key)
    return Change(
        ref=pair.ref,
        act=Act.DELETE,
        effect=full,
        adopts=adopts,
        generated=is_generated(pair.ref),
        along=pair.along,
        alone=alone if alone != full else "",
    )


def _updated(pair: Seen, live: Object, predicted: Object, how: tuple[bytes, tuple[str, ...], bool]) -> Change | None:
    key, ignore, wished = how
    adopts = _adopts(pair.owner)
    blind = wished and bool(pair.untried)  # a field that Git states no longer is in both, and goes all the same
    if not adopts and not blind and same(live, predicted):
        return None
    found = sensitive(pair.ref.kind, live, predicted)
    shown, hidden = _compared(pair, live, predicted, found, ignore)
    if pair.autoscaled:
        hidden = (*hidden, Hidden("spec.replicas", "autoscaled"))
    marks, were = _ownership(predicted), _ownership(live)
    why = _why(pair, marks, were, bool(shown))
    if not shown and not adopts and marks == were and not blind:
        return None
    body = _body(pair.manifest) if pair.untried and pair.manifest else None
    deed = Deed(pair.ref, Act.UPDATE, shown, body, adopts)
    return Change(
        ref=pair.ref,
        act=Act.UPDATE,
        fields=_fields(shown, found, key),
        hidden=hidden,
        effect=effect(deed, key),
        why=why,
        adopts=adopts,
        drift=not wished,
        generated=is_generated(pair.ref),
    )


def _compared(
    pair: Seen, live: Object, after: Object, found: Sensitive, ignore: Sequence[str] = ()
) -> tuple[tuple[Leaf, ...], tuple[Hidden, ...]]:
    subject = subject_of(pair.ref.kind, live, after, ignore)
    if not found.secret:
        return leaves(subject, live, after, found.covers)
    shown, hidden = leaves(subject, folded(live), folded(after), found.covers)
    if ("stringData" in live) is not ("stringData" in after):
        hidden = (*hidden, Hidden("stringData", "secret-string-data"))
    return shown, hidden


def _rejected(pair: Seen, key: bytes, wished: bool) -> Change:
    """The server would not predict: the wish is laid over what lives, so that people see what was tried."""
    body = _body(pair.manifest) if pair.manifest else None
    found = sensitive(pair.ref.kind, pair.live, pair.predicted, body)
    shown: tuple[Leaf, ...] = ()
    if pair.live is not None and (body is not None or pair.predicted is not None):
        after = overlaid(pair.live, body) if body is not None else pair.predicted
        shown, _ = _compared(pair, pair.live, after or {}, found)
    replaces = pair.live is not None and pair.immutable and may_replace(pair.manifest)
    act = Act.REPLACE if replaces else _tried(pair)
    said = mask.text(pair.rejection, key, pair.ref.kind, pair.live, pair.predicted, body)
    adopts = _adopts(pair.owner)
    deed = Deed(pair.ref, act, shown, body if act in (Act.CREATE, Act.REPLACE) else None, adopts)
    return Change(
        ref=pair.ref,
        act=act,
        fields=_fields(shown, found, key),
        effect=effect(deed, key),
        why=f"replaced, for it can not be changed in place: {said}" if replaces else _way_out(pair),
        adopts=adopts,
        drift=not wished,
        rejection="" if replaces else said,
        generated=is_generated(pair.ref),
    )


def _tried(pair: Seen) -> Act:
    if pair.live is None:
        return Act.CREATE
    return Act.DELETE if pair.manifest is None and pair.predicted is None else Act.UPDATE


def _way_out(pair: Seen) -> str:
    if not pair.immutable:
        return ""
    if pair.ref.group_kind in _NEVER_REPLACED:
        return f"a {pair.ref.kind} is never replaced: deleting it takes away what it holds"
    return f'an immutable field changes: the annotation {REPLACE}: "true" lets Kedge delete and create it anew'


def may_replace(manifest: Manifest | None) -> bool:
    """Whether the manifest asks for replacement, in Kedge's words or Argo CD's. Never for what holds other things."""
    if manifest is None or manifest.ref.group_kind in _NEVER_REPLACED:
        return False
    options = {option.strip() for option in (manifest.annotation(_ARGO_OPTIONS) or "").split(",")}
    return manifest.annotation(REPLACE) == "true" or bool(options & {"Replace=true", "Force=true"})


def _adopts(owner: Owner | None) -> str:
    return str(owner) if owner is not None and owner.kind in _ADOPTED else ""


def _ownership(obj: Object) -> _Marks:
    return tuple(
        {name: value for name, value in entries(obj, kind).items() if name in OWNERSHIP}
        for kind in ("labels", "annotations")
    )


def _why(pair: Seen, marks: _Marks, were: _Marks, differs: bool) -> str:
    reasons = [f"as rendered: {pair.untried}"] if pair.untried else []
    if marks != were:
        restored = "Kedge's marks of ownership are restored"
        reasons.append(restored if any(were) else "taken over: Kedge did not manage it")
    if pair.owner is not None and pair.owner.kind not in _ADOPTED:
        reasons.append(f"managed by {pair.owner} so far")
    if pair.interactive and differs:
        reasons.append(f"set by {', '.join(pair.interactive)}, not in Git")
    return "; ".join(reasons)


def _body(manifest: Manifest) -> Mapping[str, Any]:
    body = orjson.loads(manifest.body)
    return body if isinstance(body, dict) else {}


def _fields(shown: Sequence[Leaf], found: Sensitive, key: bytes) -> tuple[FieldChange, ...]:
    return tuple(_field(leaf, found, key) for leaf in shown)


def _field(leaf: Leaf, found: Sensitive, key: bytes) -> FieldChange:
    if found.touches(leaf.trail):
        encoded = found.secret and leaf.trail[0] == "data"
        before, after = (
            "" if value is MISSING else mask.marker(value, key, encoded=encoded) for value in (leaf.before, leaf.after)
        )
    elif found.secret and (leaf.trail == ("metadata",) or leaf.trail[:2] == ("metadata", "annotations")):
        # A Secret's annotations may hold copies of its values, and so nothing of them is shown.
        before, after = ("" if value is MISSING else mask.marker(value, key) for value in (leaf.before, leaf.after))
    else:
        before, after = _cut(*("" if value is MISSING else canonical(value) for value in (leaf.before, leaf.after)))
    return FieldChange(leaf.path, leaf.act, before, after)


def _cut(before: str, after: str) -> tuple[str, str]:
    """Both texts short enough to show; where they are long, the first difference stays in sight."""
    if len(before) <= LONGEST and len(after) <= LONGEST:
        return before, after
    shorter = min(len(before), len(after))
    start = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    skip = max(0, start - _CONTEXT)
    return _excerpt(before, skip), _excerpt(after, skip)


def _excerpt(text: str, skip: int) -> str:
    if len(text) <= LONGEST and not skip:
        return text
    head = f"…({skip} equal characters) " if skip else ""
    room = LONGEST - len(head) - 40
    rest = len(text) - skip - room
    return f"{head}{text[skip : skip + room]}" + (f" …({rest} more characters)" if rest > 0 else "")
