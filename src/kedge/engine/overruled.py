"""What an API server made otherwise than it was asked to: an admission webhook or a policy overrules what Git states.

Another apply would change nothing of that, so it is no drift to repair; but what lives is not what Git states, and
people are told.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kedge.engine.leaves import Leaf, keyed, leaves, same, shared_key
from kedge.engine.mask import sensitive
from kedge.engine.normalize import MISSING, folded, subject_of
from kedge.model.change import FieldAct
from kedge.model.operation import Overruled
from kedge.model.pair import Pair, Seen
from kedge.model.ref import Ref

TOLD = 20
_NAMED = 3


def seen_overruled(known: Sequence[Overruled], pairs: Sequence[Pair], owned: Collection[Ref]) -> tuple[Overruled, ...]:
    """What the cluster makes otherwise than Git states, by objects that were looked at and found to need no apply; of
    those that nobody looked at, what was `known` before. Replicas that an autoscaler was left do not count."""
    found = {entry.ref: entry for entry in known if entry.ref in owned}
    for pair in pairs:
        if isinstance(pair, Seen) and pair.manifest is not None and pair.live is not None and not pair.autoscaled:
            paths = overruled(pair.ref.kind, json.loads(pair.manifest.body), pair.live)
            found.pop(pair.ref, None)
            if paths:
                found[pair.ref] = Overruled(pair.ref, paths)
    return tuple(found[ref] for ref in sorted(found))[:TOLD]


def overruled(kind: str, wish: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """The paths, as people read them, at which `made` is not as `wish` states; "" where all of it was kept.

    What was added does not count, nor do other ways to write the same value (quantities, a Secret's stringData, base64
    with line breaks). Values are not shown."""
    if _kept(wish, made):
        return ""
    after = laid(made, {name: value for name, value in wish.items() if name != "status"})
    found = sensitive(kind, made, after)
    if found.secret:
        made, after = folded(made), folded(after)
    shown, _ = leaves(subject_of(kind, made, after), made, after, found.covers)
    told = [leaf.path for leaf in shown if not (_same_text(leaf.before, leaf.after) or _left_out(leaf))]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return ", ".join(told[:_NAMED]) + more


def _kept(wish: Any, made: Any) -> bool:
    """Cheap, for nearly everything is kept as it is: whether every value stated is there."""
    if isinstance(wish, dict):
        if not isinstance(made, dict):
            return False
        for name, value in wish.items():
            other = made.get(name, MISSING)
            if type(value) is str and value:  # as most are
                if value != other:
                    return False
            elif not (_says_nothing(value) if other is MISSING else _kept(value, other)):
                return False
        return True
    if isinstance(wish, list):
        return isinstance(made, list) and len(wish) == len(made) and all(map(_kept, wish, made))
    return wish == made if isinstance(wish, str) else same(wish, made)


def _says_nothing(value: Any) -> bool:
    """Whether a server may leave it out: Kubernetes writes no zeros of fields that may be missing (`omitempty`)."""
    if isinstance(value, dict):
        return all(map(_says_nothing, value.values()))
    return not value


def laid(made: Any, wish: Any) -> Any:
    """`made` with what `wish` states laid over it. What stands in `made` alone stays: it was added.

    Also the best guess at an apply that nobody can try: items of lists are told apart as people tell them apart."""
    if isinstance(made, dict) and isinstance(wish, dict):
        stated = {name: value for name, value in wish.items() if value is not None or name in made}
        return {**made, **{name: laid(made[name], value) if name in made else value for name, value in stated.items()}}
    if isinstance(made, list) and isinstance(wish, list):
        return _laid_list(made, wish)
    return made if wish is None else wish


def _laid_list(made: list[Any], wish: list[Any]) -> list[Any]:
    if all(isinstance(item, str) for item in (*made, *wish)):
        return [*wish, *(item for item in made if item not in wish)]
    fields = shared_key(made, wish)
    if fields:
        there, stated = keyed(made, fields), keyed(wish, fields)
        known = {key: laid(item, stated[key]) if key in stated else item for key, item in there.items()}
        return list({**known, **{key: item for key, item in stated.items() if key not in there}}.values())
    return [laid(*both) for both in zip(made, wish, strict=True)] if len(made) == len(wish) else wish


def _same_text(before: Any, after: Any) -> bool:
    """Base64 may be stated with line breaks, and is kept without."""
    return isinstance(before, str) and isinstance(after, str) and "".join(before.split()) == "".join(after.split())


def _left_out(leaf: Leaf) -> bool:
    return leaf.act is FieldAct.GAIN and _says_nothing(leaf.after)
