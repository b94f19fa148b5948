"""Objects that somebody hands us in a file: YAML or JSON, one or many, Lists flattened."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kedge.model.errors import Invalid, Problem, Where
from kedge.model.ref import Ref

LARGEST = 64 * 1024 * 1024
_NODES = 5_000_000
_DOCUMENTS = 100_000


def read_file(name: str) -> tuple[bytes, str]:
    """The bytes of a file, or of stdin for `-`, and what to call it. Raises Invalid."""
    try:
        if name == "-":
            raw, name = sys.stdin.buffer.read(LARGEST + 1), "stdin"
        else:
            with Path(name).open("rb") as file:
                raw = file.read(LARGEST + 1)
    except OSError as error:
        raise Invalid(f"it cannot be read: {error.strerror}", where=Where(name)) from None
    if len(raw) > LARGEST:
        raise Invalid(f"it has more than the {LARGEST} bytes allowed", where=Where(name))
    return raw, name


def objects(raw: bytes, file: str) -> Iterator[dict[str, Any]]:
    """Every object, in order. Raises Invalid with file, document and line for text that is no stream of objects."""
    for value, where in list(_values(raw, file)):
        yield from _flat(value, where)


def _values(raw: bytes, file: str) -> Iterator[tuple[Any, Where]]:
    """JSON is tried first, as one text and then line by line: it is quicker, and `kubectl -o json` writes it."""
    import orjson

    if raw.lstrip()[:1] in (b"{", b"["):
        try:
            yield orjson.loads(raw), Where(file)
            return
        except orjson.JSONDecodeError:
            lines = _json_lines(raw, file)
        if lines is not None:
            yield from lines
            return
    from kedge.dialects.loader import Limits, load

    for document in load(raw, file, Limits(size=LARGEST, nodes=_NODES, documents=_DOCUMENTS)):
        yield document.value, document.where()


def _json_lines(raw: bytes, file: str) -> list[tuple[Any, Where]] | None:
    import orjson

    lines = [(number, line) for number, line in enumerate(raw.splitlines(), 1) if line.strip()]
    try:
        return [(orjson.loads(line), Where(file, number, count)) for count, (number, line) in enumerate(lines, 1)]
    except orjson.JSONDecodeError:
        return None


def _flat(value: Any, where: Where) -> Iterator[dict[str, Any]]:
    """A List's items, a plain list's items, or the object itself; empty documents are nothing."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(reversed(item))
        elif isinstance(item, dict) and str(item.get("kind", "")).endswith("List") and "items" in item:
            pending.extend(reversed(_items(item, where)))
        elif isinstance(item, dict):
            yield item
        elif item is not None:
            raise Invalid("", problems=(Problem("this is no object but a single value", where, "kedge health FILE|-"),))


def _items(listing: dict[str, Any], where: Where) -> list[Any]:
    """Items of a `DeploymentList` leave out what its own kind says: it is put back."""
    items = listing["items"]
    if items is None:
        return []
    if not isinstance(items, list):
        raise Invalid("the items of a List are no list", where=where)
    kind = str(listing["kind"]).removesuffix("List")
    given = {"apiVersion": listing.get("apiVersion"), "kind": kind} if kind else {}
    return [{**given, **item} if isinstance(item, dict) else item for item in items]


def ref_of(obj: dict[str, Any]) -> Ref:
    """As good as the object allows: parts that are missing or no text stay empty."""
    metadata = obj.get("metadata")
    found = metadata if isinstance(metadata, dict) else {}
    version, kind = _text(obj.get("apiVersion")), _text(obj.get("kind"))
    group = version.partition("/")[0] if "/" in version else ""
    name = _text(found.get("name")) or _text(found.get("generateName"))
    return Ref(group, kind, _text(found.get("namespace")), name)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
