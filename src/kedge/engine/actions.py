"""An action and a live object → the patches and the object that carry it out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kedge.engine.health.expression import MOST_EFFORT, Expression
from kedge.engine.health.read import field, mapping, mappings, text
from kedge.engine.health.view import view_of
from kedge.model.action import Action, Fields
from kedge.model.errors import Invalid
from kedge.model.rule import HealthRule

Brought = Callable[[str, str], tuple[Action, ...]]
"""(group, kind) → the actions that are known for it."""


def nothing(group: str, kind: str) -> tuple[Action, ...]:
    """Nothing can be done to any kind."""
    return ()


def declared_first(rules: Sequence[HealthRule], brought: Brought, group: str, kind: str) -> tuple[Action, ...]:
    """The actions of a kind: those that are declared, and of those that Kedge brings the ones of other names. Of two
    declared ones of a name the first by the rule's name counts."""
    fitting = sorted((rule for rule in rules if rule.covers(group, kind)), key=lambda rule: rule.name)
    found: dict[str, Action] = {}
    for action in (*(action for rule in fitting for action in rule.actions), *brought(group, kind)):
        found.setdefault(action.name, action)
    return tuple(found.values())


def wrong_with(action: Action) -> str:
    """Why an action may not be declared, "" where it may."""
    if not _WORD.fullmatch(action.name):
        return "its name is a word of small letters and dashes"
    if not action.does:
        return "`does` says what it does, as the end of “it will …”"
    if not (action.patch or action.status or action.condition or action.create):
        return "it changes nothing: one of patch, status, condition and create is wanted"
    metadata = action.patch.get("metadata", {})
    if not isinstance(metadata, dict) or set(metadata) - {"annotations"}:
        return "of an object's metadata it may patch annotations alone"
    if any("kedge.dev/" in str(key) for key in mapping(metadata, "annotations")):
        return "Kedge's own annotations are not patched"
    if action.condition and not action.condition.get("type"):
        return "a condition has a type"
    if action.create and (set(action.create) - _MADE or mapping(action.create, "metadata").get("namespace") != _SAME):
        return f"what it makes has {', '.join(sorted(_MADE))}, and the namespace {_SAME}"
    return _unfit(action.when)


def _unfit(when: str) -> str:
    try:
        effort = Expression(when).effort if when else 0
    except Invalid as error:
        return error.problems[0].text
    return f"`when` holds {effort} macros and comparisons inside macros" if effort > MOST_EFFORT else ""


_WORD = re.compile(r"[a-z][a-z-]{0,30}")
_MADE = frozenset(("apiVersion", "kind", "metadata", "spec"))
_SAME = "${namespace}"
COPY = "$copy"
SHORT = 40  # characters of a name that leave room for what is put behind it
_VARIABLE = re.compile(r"\$\{([a-z]*)\}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What to send: merge patches of the object and of its status, and an object to make; {} for none of it."""

    patch: Mapping[str, Any]
    status: Mapping[str, Any]
    create: Mapping[str, Any]
    fields: Fields


def hindrance_of(action: Action, live: Mapping[str, Any], now: float) -> str:
    """Why an action can not be done to an object as it is, "" when it can."""
    if not action.when:
        return ""
    when = Expression(action.when)
    return "" if when.holds(view_of(live, when.uses, now)) else action.hindrance or f"{action.when} does not hold"


def prepare(action: Action, live: Mapping[str, Any], actor: str, now: float) -> Prepared:
    """Fill an action's templates from a live object. `now` in epoch seconds. Raises Invalid where the object lacks
    what is to be copied."""
    words = _words(live, actor, now)
    patch = _filled(action.patch, live, words)
    status = _filled(action.status, live, words)
    if action.condition:
        status = _with_condition(live, _filled(action.condition, live, words), words["now"])
    return Prepared(patch, status, _filled(action.create, live, words), tuple(_leaves(patch)))


def stated(body: Mapping[str, Any], fields: Fields) -> tuple[str, ...]:
    """Those of `fields` that a manifest states, as dotted paths: a sync would put its value back."""
    return tuple(".".join(path) for path in fields if _states(body, path))


def _states(body: Any, path: tuple[str, ...]) -> bool:
    for step in path:
        if not isinstance(body, Mapping) or step not in body:
            return False
        body = body[step]
    return True


def _words(live: Mapping[str, Any], actor: str, now: float) -> dict[str, str]:
    moment = datetime.fromtimestamp(now, UTC)
    name = text(live, "metadata", "name")
    return {
        "now": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "unix": str(int(now)),
        "stamp": moment.strftime("%m%d%H%M%S"),
        "name": name,
        "short": name[:SHORT].rstrip("-."),
        "namespace": text(live, "metadata", "namespace"),
        "uid": text(live, "metadata", "uid"),
        "actor": actor,
    }


def _filled(value: Any, live: Mapping[str, Any], words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: words.get(match[1], match[0]), value)
    if isinstance(value, list):
        return [_filled(part, live, words) for part in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {COPY}:
        found = field(live, *str(value[COPY]).rstrip("?").split("."))
        if found is None and not str(value[COPY]).endswith("?"):
            raise Invalid(f"the object has no {value[COPY]}")
        return found
    return {key: _filled(part, live, words) for key, part in value.items()}


def _with_condition(live: Mapping[str, Any], condition: Mapping[str, Any], now: str) -> dict[str, Any]:
    """A patch of the whole list, which the server refuses where somebody has changed the object meanwhile."""
    others = [dict(old) for old in mappings(live, "status", "conditions") if old.get("type") != condition["type"]]
    new = {"lastTransitionTime": now, "observedGeneration": field(live, "metadata", "generation"), **condition}
    known = {key: part for key, part in new.items() if part is not None}
    version = mapping(live, "metadata").get("resourceVersion")
    return {"metadata": {"resourceVersion": version}, "status": {"conditions": [*others, known]}}


def _leaves(patch: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(patch, Mapping) and patch:
        for key, part in patch.items():
            yield from _leaves(part, (*path, str(key)))
    elif path:
        yield path
