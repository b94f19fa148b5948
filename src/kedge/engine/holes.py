"""Holes: a plan of an application while values of other units are not there yet. Pure.

No value is made up: the files are rendered twice, with two stand-ins that nobody can guess, and wherever the two sets
differ is a hole. It is shown as `‹shop/db.endpoint›`, or as `‹made of shop/db.endpoint, 3fa2c19b›` where the files made
something else of the value; the digest is keyed and of what they made of the stand-ins. Where the set itself depends on
the value (an object, a field or an item is there or not) nothing can be shown before it is known.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from kedge.engine.effects import canonical
from kedge.engine.inputs import filled
from kedge.engine.leaves import same
from kedge.model.change import Act, Change
from kedge.model.declaration import ValueType
from kedge.model.dossier import Approval
from kedge.model.manifest import Desired, Manifest, Place, digest_of
from kedge.model.output import Published
from kedge.model.plan import Plan
from kedge.model.unit import Input, Unit

_HOLE = re.compile(r"‹[^›]*›")
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class StandIn:
    """What stands for the value `name` (`shop/db.endpoint`) in the first and in the second of two renders."""

    name: str
    first: Any
    second: Any

    def published(self, *, second: bool = False) -> Published:
        return Published(self.name, json.dumps(self.second if second else self.first), "")


def stand_in(given: Input, key: bytes) -> StandIn | None:
    """The same for the same input and key, so that what was shown can be shown again. Of two texts the second could be
    a number: what is read as one comes to differ. None for a map, whose names the files may ask for."""
    token = hmac.new(key, f"hole\0{given.unit}\0{given.output}".encode(), sha256).hexdigest()
    number = (
        20_000 + int(token[32:40], 16) % 20_000
    )  # a port, a size, a count: nothing that anybody loops over for long
    first, second = f"hole{token[:24]}", str(number)
    match given.type:
        case ValueType.STRING | ValueType.ANY:
            return StandIn(str(given), first, second)
        case ValueType.NUMBER:
            return StandIn(str(given), number, number + 20_000)
        case ValueType.BOOL:
            return StandIn(str(given), True, False)
        case ValueType.LIST:
            return StandIn(str(given), [first], [second, f"{second}b"])
        case ValueType.MAP:
            return None


@dataclass(frozen=True, slots=True)
class Doubles:
    """A unit with the one stand-in for each value that is not there, and with the other."""

    first: Unit
    second: Unit
    stands: tuple[StandIn, ...]


def doubles(unit: Unit, known: Mapping[str, Published], holes: Collection[str], key: bytes) -> Doubles | None:
    """`known` is by the input's name; of `holes` (`shop/db.endpoint`) nothing is known whatever it says. None where
    nothing is missing, for a stack (no tool plans without a value), and where a value has no stand-in. Raises Invalid
    as `filled`."""
    lacking = [given for given in unit.inputs if given.name not in known or str(given) in holes]
    stands = {given.name: stand for given in lacking if (stand := stand_in(given, key)) is not None}
    if not lacking or len(stands) < len(lacking) or unit.tool is not None:
        return None
    first, second = (
        filled(unit, {**known, **{name: stand.published(second=two) for name, stand in stands.items()}})
        for two in (False, True)
    )
    return Doubles(first, second, tuple(stands.values()))


class _Unlike(Exception):
    """The two sets differ in more than values."""


@dataclass(frozen=True, slots=True)
class _Walk:
    stands: Sequence[StandIn]
    key: bytes
    holes: dict[Place, str] = field(default_factory=dict)


def with_holes(first: Desired, second: Desired, stands: Sequence[StandIn], key: bytes) -> Desired | None:
    """The set that both renders are of, with its holes. None where it can not be shown: they differ in more than
    values, or a value left no trace (which would be shown as if it were known)."""
    if len(first.manifests) != len(second.manifests):
        return None
    shown: list[str] = []
    manifests = []
    for one, other in zip(first.manifests, second.manifests, strict=True):
        walk = _Walk(stands, key)
        try:
            manifests.append(_merged(one, other, walk))
        except _Unlike:
            return None
        shown += walk.holes.values()
    if any(not any(stand.name in text for text in shown) for stand in stands):
        return None
    names = tuple(sorted(stand.name for stand in stands))
    return replace(first, manifests=tuple(manifests), digest=digest_of(tuple(manifests)), holes=names)


def _merged(one: Manifest, other: Manifest, walk: _Walk) -> Manifest:
    if (one.ref, one.api_version, one.generate_name) != (other.ref, other.api_version, other.generate_name):
        raise _Unlike
    if one.digest == other.digest:
        return one
    tree = _tree(json.loads(one.body), json.loads(other.body), (), walk)
    body = canonical(tree).encode("utf-8", "surrogatepass")
    told = {place[2]: text for place, text in walk.holes.items() if place[:2] == ("metadata", "annotations")}
    annotations = tuple((name, told.get(name, value)) for name, value in one.annotations)
    digest = sha256(body).hexdigest()
    return replace(one, body=body, digest=digest, annotations=annotations, holes=tuple(walk.holes))


def _tree(one: Any, other: Any, place: Place, walk: _Walk) -> Any:
    if same(one, other):
        return one
    if len(place) > _DEEPEST:
        raise _Unlike
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            raise _Unlike
        return {name: _tree(value, other[name], (*place, name), walk) for name, value in one.items()}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return [_tree(a, b, (*place, number), walk) for number, (a, b) in enumerate(pairs)]
    ours = place[:2] == ("metadata", "annotations") and str(place[-1]).startswith("kedge.dev/")
    if ours or not _is_value(one) or not _is_value(other):
        raise _Unlike
    walk.holes[place] = _told(one, other, walk)
    return walk.holes[place]


def _is_value(value: Any) -> bool:
    """A scalar, or a list of them: nothing of the files' own is lost behind a hole in its place."""
    items = value if isinstance(value, list) else [value]
    return not any(isinstance(item, dict | list) for item in items)


def _told(one: Any, other: Any, walk: _Walk) -> str:
    first, second = _spelled(one), _spelled(other)
    for stand in walk.stands:
        first = first.replace(_spelled(stand.first), f"‹{stand.name}›")
        second = second.replace(_spelled(stand.second), f"‹{stand.name}›")
    if first == second:
        return first
    names = ", ".join(sorted({stand.name for stand in walk.stands}))
    made = hmac.new(walk.key, b"made\0" + canonical([one, other]).encode("utf-8", "surrogatepass"), sha256)
    return f"‹made of {names}, {made.hexdigest()[:8]}›"


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def carried(
    approvals: Sequence[Approval], shown: tuple[Plan, Desired], now: tuple[Plan, Desired]
) -> tuple[Approval, ...]:
    """The approvals, those that were given to the plan with these very holes with what became of it: the effects of
    changes that fill a hole and do nothing else. `shown` is the plan with holes as it would be made now, `now` the one
    without; each with its placed set."""
    (before, open_set), (plan, full_set) = shown, now
    changes = {change.ref: change for change in plan.changes}
    manifests = {manifest.ref: manifest for manifest in full_set.manifests}
    templates = {manifest.ref: manifest for manifest in open_set.manifests if manifest.holes}
    filled: dict[str, str] = {}
    for change in before.changes:
        template, manifest = templates.get(change.ref), manifests.get(change.ref)
        after = changes.get(change.ref)
        if template and manifest and after and _fills(change, after, template, manifest):
            filled[change.effect] = after.effect
    return tuple(_with(approval, filled) if approval.holes == before.holes else approval for approval in approvals)


def _with(approval: Approval, filled: Mapping[str, str]) -> Approval:
    more = [filled[effect] for effect in approval.changes if effect in filled]
    return replace(approval, changes=tuple(dict.fromkeys((*approval.changes, *more))))


def _fills(shown: Change, now: Change, template: Manifest, manifest: Manifest) -> bool:
    """Whether the change is the one that was shown but for the holes: the same act, on no field that was not shown."""
    if now.rejection or now.act not in (Act.CREATE, Act.UPDATE) or (shown.act, shown.adopts) != (now.act, now.adopts):
        return False
    known = {(change.path, change.act) for change in shown.fields}
    if now.act is Act.UPDATE and not all((change.path, change.act) in known for change in now.fields):
        return False
    return _filled(json.loads(template.body), json.loads(manifest.body), frozenset(template.holes))


def _filled(template: Any, body: Any, holes: frozenset[Place]) -> bool:
    """Whether two objects differ in nothing but the holes of one of them."""
    stack: list[tuple[Any, Any, Place]] = [(template, body, ())]
    while stack:
        one, other, place = stack.pop()
        if place in holes:
            if not _is_value(other) or not _reads(one, _spelled(other)):
                return False
        elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
            stack += [(value, other[name], (*place, name)) for name, value in one.items()]
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            stack += [(a, b, (*place, number)) for number, (a, b) in enumerate(zip(one, other, strict=True))]
        elif not same(one, other):
            return False
    return True


def _reads(told: str, text: str) -> bool:
    """Whether a text is the one with holes, filled: what stands around them is there, and in this order."""
    start, *parts = _HOLE.split(told)
    if not parts or not text.startswith(start) or len(text) < len(start) + len(parts[-1]):
        return False
    *middle, end = parts
    if not text.endswith(end):
        return False
    at, limit = len(start), len(text) - len(end)
    for part in middle:
        found = text.find(part, at, limit)
        if found < 0:
            return False
        at = found + len(part)
    return True
