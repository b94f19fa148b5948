"""A small field manager in plain Python, for tests that need no native worker: the same rules, fewer corners."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from kedge.sandbox.decode import decode
from kedge.sandbox.fields import Answer, Applied, FieldCall, Refused
from kedge.sandbox.problems import Problem
from kedge.sandbox.types import Type, built_in_types

Path = tuple[str, ...]
META = frozenset(
    [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "selfLink",
        "managedFields",
        "deletionGracePeriodSeconds",
    ]
)
MISSING = object()
ANY = Type("scalar", "any")


def _key(item: Any, keys: tuple[str, ...]) -> str:
    found = {key: item.get(key, "TCP" if key == "protocol" else None) for key in keys}
    return "k:" + orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode()


def _of_schema(schema: dict[str, Any]) -> Type:
    kind = schema.get("type")
    if kind == "array":
        keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        unique = schema.get("x-kubernetes-list-type") == "set"
        return Type("list", "any", keys, unique, not keys and not unique, element=Type("scalar", "any"))
    return Type("map", "any", element=None) if kind == "object" else ANY


def leaves(value: Any, type_: Type | None, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every owned path of a value with what is there; atomic values are leaves."""
    if type_ is not None and (type_.atomic or (type_.of in built_in_types().atomic and type_.shape == "object")):
        yield path, value
        return
    if isinstance(value, dict) and value and (type_ is None or type_.shape in ("object", "map", "scalar")):
        fields = built_in_types().fields.get(type_.of, {}) if type_ and type_.shape == "object" else {}
        element = type_.element if type_ and type_.shape == "map" else None
        for key, item in value.items():
            if (path == () and key in ("apiVersion", "kind")) or (path == ("f:metadata",) and key in META):
                continue
            yield from leaves(item, fields.get(key, element), (*path, "f:" + key))
    elif isinstance(value, list) and type_ is not None and type_.keys:
        for item in value:
            inner = (*path, _key(item, type_.keys))
            yield (*inner, "."), MISSING
            yield from leaves(item, type_.element, inner)
    elif isinstance(value, list) and type_ is not None and type_.unique:
        for item in value:
            yield (*path, "v:" + orjson.dumps(item).decode()), item
    else:
        yield path, value


def _pack(paths: set[Path]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        at = tree
        for part in path:
            at = at.setdefault(part, {})
    return tree


def _unpack(tree: dict[str, Any], path: Path = ()) -> Iterator[Path]:
    for key, inner in tree.items():
        if inner:
            yield from _unpack(inner, (*path, key))
        else:
            yield (*path, key)


def _find(items: list[Any], part: str) -> int:
    if part.startswith("v:"):
        wanted = orjson.loads(part[2:])
        return next((index for index, item in enumerate(items) if item == wanted), -1)
    keys = orjson.loads(part[2:])
    return next(
        (index for index, item in enumerate(items) if isinstance(item, dict) and _key(item, tuple(keys)) == part), -1
    )


def _remove(value: Any, path: Path) -> None:
    trail: list[tuple[Any, Any]] = []
    for part in path:
        if part == ".":
            break
        if isinstance(value, dict) and part.startswith("f:") and part[2:] in value:
            trail.append((value, part[2:]))
        elif isinstance(value, list) and (index := _find(value, part)) >= 0:
            trail.append((value, index))
        else:
            return
        value = trail[-1][0][trail[-1][1]]
    if path[-1] == "." and isinstance(value, dict) and len(value) > len(orjson.loads(path[-2][2:])):
        return
    for holder, key in reversed(trail):
        del holder[key]
        if holder:
            return


def _merge(live: Any, applied: Any, type_: Type | None) -> Any:
    if type_ is not None and type_.atomic:
        return applied
    if isinstance(live, dict) and isinstance(applied, dict):
        if type_ is not None and type_.shape == "object" and type_.of in built_in_types().atomic:
            return applied
        fields = built_in_types().fields.get(type_.of, {}) if type_ and type_.shape == "object" else {}
        element = type_.element if type_ and type_.shape == "map" else None
        return {**live, **{key: _merge(live.get(key), item, fields.get(key, element)) for key, item in applied.items()}}
    if isinstance(live, list) and isinstance(applied, list) and type_ is not None and (type_.keys or type_.unique):
        made = list(live)
        for item in applied:
            part = _key(item, type_.keys) if type_.keys else "v:" + orjson.dumps(item).decode()
            index = _find(made, part)
            if index < 0:
                made.append(item)
            else:
                made[index] = _merge(made[index], item, type_.element)
        return made
    return applied


class StandIn:
    """``Fields`` in a page of Python. ``calls`` counts what was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def ask(self, call: FieldCall) -> Answer:
        self.calls += 1
        if call.verb == "apply" and (told := _misfit(call)):
            message = f"failed to create typed patch object: {told}"
            return Refused({"status": "Failure", "code": 500, "reason": "InternalError", "message": message})
        new = orjson.loads(orjson.dumps(call.new))
        live = orjson.loads(orjson.dumps(call.live)) if call.live is not None else None
        return self._apply(call, live, new) if call.verb == "apply" else self._update(call, live, new)

    def _type(self, call: FieldCall) -> Type:
        return Type("object", call.kind.type) if not call.kind.custom else Type("object", "coordination.v1.Lease")

    def _entries(self, source: dict[str, Any] | None) -> list[tuple[dict[str, Any], set[Path]]]:
        found = (source or {}).get("metadata", {}).get("managedFields") or []
        return [(entry, set(_unpack(entry.get("fieldsV1") or {}))) for entry in found if entry]

    def _apply(self, call: FieldCall, live: dict[str, Any] | None, new: dict[str, Any]) -> Answer:
        type_ = self._type(call)
        wanted = dict(leaves(new, type_))
        there = dict(leaves(live, type_)) if live else {}
        entries, mine, clashes = [], set(), []
        for entry, paths in self._entries(live):
            own = entry["operation"] == "Apply" and entry["manager"] == call.manager
            if own and entry.get("subresource", "") == call.subresource:
                mine = paths
                continue
            lost = {
                path
                for path in paths
                if path in wanted and path[-1] != "." and there.get(path, MISSING) != wanted[path]
            }
            clashes += [(entry, path) for path in sorted(lost)]
            entries.append((entry, paths - lost))
        if clashes and not call.force:
            return _conflicts(clashes)
        merged = _merge(live, new, type_) if live else new
        others = set().union(*(paths for _, paths in entries))
        for path in sorted(mine - set(wanted) - others, key=lambda path: (path[-1] == ".", path)):
            _remove(merged, path)
        made = {"manager": call.manager, "operation": "Apply", "apiVersion": call.kind.api_version, "time": call.time}
        return self._done(call, merged, [(made, set(wanted)), *entries], live)

    def _update(self, call: FieldCall, live: dict[str, Any] | None, new: dict[str, Any]) -> Answer:
        type_ = self._type(call)
        given = new.get("metadata", {}).get("managedFields")
        entries = [] if given == [{}] else self._entries(new) or self._entries(live)
        after, before = dict(leaves(new, type_)), dict(leaves(live, type_)) if live else {}
        changed = {path for path, value in after.items() if before.get(path, None) != value or path not in before}
        gone = set(before) - set(after)
        kept = [(entry, paths - changed - gone) for entry, paths in entries]
        if given == [{}]:
            return self._done(call, new, [], live)
        made = {"manager": call.manager, "operation": "Update", "apiVersion": call.kind.api_version, "time": call.time}
        if changed:
            for index, (entry, paths) in enumerate(kept):
                same = entry["manager"] == call.manager and entry["operation"] == "Update"
                if same and entry.get("subresource", "") == call.subresource:
                    kept[index] = (made, paths | changed)
                    break
            else:
                kept.append((made, changed))
        return self._done(call, new, kept, live)

    def _done(self, call: FieldCall, obj: dict[str, Any], entries: Any, live: dict[str, Any] | None) -> Answer:
        packed = []
        for entry, paths in entries:
            if not paths:
                continue
            made = {**entry, "fieldsType": "FieldsV1", "fieldsV1": _pack(paths)}
            if entry.get("time") == call.time and call.subresource and "subresource" not in entry:
                made["subresource"] = call.subresource
            packed.append(made)
        obj.setdefault("metadata", {}).pop("managedFields", None)
        if packed:
            obj["metadata"]["managedFields"] = packed
        return Applied(obj)


def _misfit(call: FieldCall) -> str:
    """Why an applied configuration is none of its type."""
    kind = replace(call.kind, type="coordination.v1.Lease") if call.kind.custom else call.kind
    try:
        decode(kind, orjson.loads(orjson.dumps(call.new)))
    except Problem as problem:
        return problem.message
    return ""


def _conflicts(clashes: list[tuple[dict[str, Any], Path]]) -> Refused:
    causes = []
    for entry, path in clashes:
        field = "".join("." + part[2:] if part[0] == "f" else f"[{part[2:]}]" for part in path)
        causes.append(
            {"reason": "FieldManagerConflict", "message": f'conflict with "{entry["manager"]}"', "field": field}
        )
    many = "conflict" if len(causes) == 1 else "conflicts"
    told = f"Apply failed with {len(causes)} {many}: " + ", ".join(
        f"{item['message']}: {item['field']}" for item in causes
    )
    status = {"status": "Failure", "code": 409, "reason": "Conflict", "message": told, "details": {"causes": causes}}
    return Refused(status)
