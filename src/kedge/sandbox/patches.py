"""Merge, JSON and strategic merge patches. Each works in place on a copy of the live object that the caller made."""

from __future__ import annotations

import re
from collections import deque
from typing import Any

import orjson

from kedge.sandbox.problems import Problem, bad_request
from kedge.sandbox.types import Type, built_in_types
from kedge.sandbox.wire import Object

COPIED_BYTES = 3 * 1024 * 1024
INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def shown(document: Any) -> str:
    """The start of a patched document, for the refusal of what can not be read of it."""
    return orjson.dumps(document).decode()[:4096]


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = merge(target.get(key), value)
    return target


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902; raises Problem 422 where an operation does not fit the document, 413 where copies grow it too far."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > 10_000:
        raise Problem(413, "RequestEntityTooLarge", "The allowed maximum operations in a JSON patch is 10000")
    copied = 0
    for operation in operations:
        if isinstance(operation, dict) and operation.get("op") == "copy":
            copied += _spread(target, operation)
            if copied > COPIED_BYTES:
                raise Problem(413, "RequestEntityTooLarge", f"a JSON patch may copy {COPIED_BYTES} bytes at most")
        target = _operate(target, operation)
    return target


def _spread(document: Any, operation: Object) -> int:
    """Makes the operation an addition of a copy of its own; answers the copy's size."""
    try:
        raw = orjson.dumps(_look(document, _pointer(str(operation.get("from", "")))))
    except orjson.JSONEncodeError as error:
        raise _unfit() from error
    operation.update(op="add", value=orjson.loads(raw))
    return len(raw)


def _operate(document: Any, operation: Any) -> Any:
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        raise bad_request("error decoding patch: an operation needs op and path")
    op, path = operation.get("op"), _pointer(operation["path"])
    if op == "test":
        if _look(document, path) != operation.get("value"):
            raise _unfit()
        return document
    if op == "move":
        source = _pointer(str(operation.get("from", "")))
        value = _look(document, source)
        if path[: len(source)] == source and path != source:
            raise _unfit()
        return _set(_take(document, source), path, value, insert=True)
    if op == "remove":
        return _take(document, path)
    if op == "replace":
        parent = _look(document, path[:-1]) if path else None
        if not isinstance(parent, dict):  # of an object, what is not there may be replaced, too
            _look(document, path)
        return _set(document, path, operation.get("value"), insert=False)
    if op == "add":
        return _set(document, path, operation.get("value"), insert=True)
    raise _unfit()


def _unfit() -> Problem:
    """What the API server says of a JSON patch that does not fit, whatever the reason."""
    return Problem(422, "Invalid", "the server rejected our request due to an error in our request", {})


def _pointer(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _look(document: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and INDEX.fullmatch(part) and int(part) < len(document):
            document = document[int(part)]
        else:
            raise _unfit()
    return document


def _set(document: Any, path: list[str], value: Any, insert: bool) -> Any:
    if not path:
        return value
    parent, last = _look(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        index = len(parent) if last == "-" else int(last) if INDEX.fullmatch(last) else -1
        if index < 0 or index > len(parent):
            raise _unfit()
        parent[index : index if insert else index + 1] = [value]
    else:
        raise _unfit()
    return document


def _take(document: Any, path: list[str]) -> Any:
    if not path:
        return None
    _look(document, path)
    parent, last = _look(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        del parent[last]
    else:
        del parent[int(last)]
    return document


def strategic(type_name: str, target: Any, patch: Any) -> Any:
    """A strategic merge patch over a built-in type: keyed lists merge by their first key, others are replaced."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    if not isinstance(target, dict):
        target = {}
    table = built_in_types().fields.get(type_name, {})
    before = {key: target.get(key) for key in table if f"$setElementOrder/{key}" in patch}
    keep = patch.get("$retainKeys")
    if isinstance(keep, list):
        for key in [key for key in target if key not in keep]:
            del target[key]
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            gone = _listed(key, value)
            target[name] = [item for item in _listed(name, target.get(name) or []) if item not in gone]
        elif not key.startswith("$"):
            _strategic_field(table.get(key), target, key, value)
    for name, live in before.items():
        order, items = _listed(name, patch[f"$setElementOrder/{name}"]), target.get(name)
        if isinstance(items, list):
            target[name] = _in_order(items, order, live or [], _key_of(table[name]))
    return target


def _strategic_field(field: Type | None, target: Object, key: str, value: Any) -> None:
    if value is None:
        target.pop(key, None)
    elif field is None or field.shape == "scalar":
        target[key] = merge(target.get(key), value) if field is None or field.of == "any" else value
    elif field.shape == "object":
        target[key] = strategic(field.of, target.get(key), value)
    elif field.shape == "map":
        inner = field.element.of if field.element and field.element.shape == "object" else ""
        target[key] = strategic(inner, target.get(key), value)
    elif field.keys and isinstance(value, list):
        target[key] = _keyed(field, target.get(key) or [], value)
    elif field.unique and isinstance(value, list):
        live = target.get(key) or []
        target[key] = _in_order(live + [item for item in value if item not in live], value, live, "")
    else:
        target[key] = value


def _keyed(field: Type, live: list[Any], patch: list[Any]) -> list[Any]:
    by = field.keys[0]
    if any(isinstance(item, dict) and item.get("$patch") == "replace" and by not in item for item in patch):
        return [item for item in patch if not (isinstance(item, dict) and "$patch" in item)]
    result, stated = list(live), []
    for item in patch:
        if not isinstance(item, dict) or by not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {by}")
        found = next(
            (index for index, old in enumerate(result) if isinstance(old, dict) and old.get(by) == item[by]), None
        )
        if item.get("$patch") == "delete":
            if found is not None:
                del result[found]
            continue
        stated.append(item)
        if found is None:
            result.append(strategic(field.of, {}, item))
        else:
            result[found] = strategic(field.of, result[found], item)
    return _in_order(result, stated, live, by)


def _key_of(field: Type) -> str:
    return field.keys[0] if field.keys else ""


def _in_order(items: list[Any], order: list[Any], live: list[Any], by: str) -> list[Any]:
    """What a patch states in the patch's order, before all others but those that already stood before it."""
    places = {_mark(item, by): index for index, item in enumerate(order)}
    stood = {_mark(item, by): index for index, item in enumerate(live)}
    ours = deque(
        sorted((item for item in items if _mark(item, by) in places), key=lambda item: places[_mark(item, by)])
    )
    others = deque(item for item in items if _mark(item, by) not in places)
    merged: list[Any] = []
    while ours and others:
        here, there = stood.get(_mark(ours[0], by)), stood.get(_mark(others[0], by))
        first = here is not None and there is not None and there < here
        merged.append((others if first else ours).popleft())
    return [*merged, *ours, *others]


def _mark(item: Any, by: str) -> bytes:
    """What tells an element from others in its list; elements may be anything, so it is their JSON."""
    return orjson.dumps(item.get(by) if by and isinstance(item, dict) else item, option=orjson.OPT_SORT_KEYS)


def _listed(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise bad_request(f"error decoding patch: {key} is no list")
    return value
