"""Who owns which field: set algebra over the `managedFields` of live objects.

Kubernetes records for every manager the set of fields it has set, as a trie (`fieldsV1`): `f:name` is a field,
`k:{…}` a list item by its keys, `v:…` a list item by its value, `i:3` one by its index, and `.` the node itself.
Here such a trie is a set of paths, so that union, difference and comparison are the ordinary ones.

Source: structured-merge-diff's fieldpath (the format) and Flux's ssa package (taking over). Everything in
`managedFields` may have been written by anybody: what cannot be read is passed over, and nothing here raises.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

from kedge.engine.effects import canonical

Path = tuple[str, ...]
"""Elements as fieldsV1 writes them, outermost first: ("f:spec", 'k:{"name":"web"}', "f:image")."""

DEPTH_LIMIT = 128  # elements of a path; what lies deeper counts as part of the element at the limit
ELEMENT_LIMIT = 4096  # characters of a key or value element that are parsed
SELF = "."
SHAPES = 500  # tries that are remembered, ready to be looked up: the objects of a fleet have some tens
SHAPE_LIMIT = 8192  # characters of one: anybody may write them

# People at work, by the manager name their tool leaves (kubectl names itself by verb, others by user agent). A field
# that one of these added is drift: nobody declared it, and no controller will keep it up.
INTERACTIVE: Final[Mapping[str, str]] = {
    "kubectl": "kubectl apply --server-side by hand",
    "kubectl-annotate": "kubectl annotate",
    "kubectl-create": "kubectl create",
    "kubectl-edit": "kubectl edit",
    "kubectl-expose": "kubectl expose",
    "kubectl-label": "kubectl label",
    "kubectl-patch": "kubectl patch",
    "kubectl-replace": "kubectl replace",
    "kubectl-rollout": "kubectl rollout restart, undo, pause or resume",
    "kubectl-run": "kubectl run",
    "kubectl-scale": "kubectl scale",
    "kubectl-set": "kubectl set image, env or resources",
    "oc": "OpenShift's command line",
    "Mozilla": "a console in a browser, which passes the browser's name on",
    "dashboard": "Kubernetes Dashboard",
    "headlamp": "Headlamp",
    "headlamp-server": "Headlamp",
    "k9s": "k9s",
    "Lens": "Lens",
    "OpenLens": "OpenLens",
    "freelens": "Freelens",
    "node-fetch": "Lens and other desktop consoles, which leave the name of their HTTP library",
    "curl": "a request written by hand",
}

# Managers of an earlier client-side apply: their fields are adopted with the object, and are no drift.
CLIENT_SIDE: Final = frozenset({"kubectl-client-side-apply", "before-first-apply"})


@dataclass(frozen=True, slots=True)
class FieldSet:
    """A set of field paths; a path in it is owned itself, which says nothing of the paths below."""

    paths: frozenset[Path] = frozenset()

    def __or__(self, other: FieldSet) -> FieldSet:
        return FieldSet(self.paths | other.paths)

    def __sub__(self, other: FieldSet) -> FieldSet:
        return FieldSet(self.paths - other.paths)

    def __and__(self, other: FieldSet) -> FieldSet:
        return FieldSet(self.paths & other.paths)

    def __contains__(self, path: object) -> bool:
        return path in self.paths

    def __iter__(self) -> Iterator[Path]:
        return iter(sorted(self.paths))

    def __len__(self) -> int:
        return len(self.paths)

    def leaves(self) -> FieldSet:
        """The paths with no longer path below them in the set: the values, without the containers around them."""
        inner = {path[:end] for path in self.paths for end in range(1, len(path))}
        return FieldSet(self.paths - inner)

    def fields(self) -> dict[str, Any]:
        """The trie as fieldsV1 writes it; `parse` of it is this set again."""
        root: dict[str, Any] = {}
        for path in self:
            node = root
            for element in path:
                node = node.setdefault(element, {})
            node[SELF] = {}
        return {name: _pruned(child) for name, child in root.items()}


@dataclass(frozen=True, slots=True)
class Ownership:
    """One entry of managedFields: who, by which operation (Apply or Update), through which subresource, what."""

    manager: str
    operation: str
    subresource: str
    fields: FieldSet


def parse(fields: object) -> FieldSet:
    """The paths of a fieldsV1 trie. An empty node owns itself; unreadable parts own nothing."""
    found: set[Path] = set()
    open_nodes: list[tuple[Path, dict[Any, Any]]] = [((), fields)] if isinstance(fields, dict) else []
    while open_nodes:
        path, node = open_nodes.pop()
        inner = False
        for name, child in node.items():
            if not isinstance(name, str) or name[1:2] != ":":
                continue
            inner, below = True, (*path, name)
            # Most nodes are leaves: taking them here, not from the stack, makes this twice as fast.
            if child and isinstance(child, dict) and len(below) < DEPTH_LIMIT:
                open_nodes.append((below, child))
            else:
                found.add(below)
        if path and (not inner or SELF in node):
            found.add(path)
    return FieldSet(frozenset(found))


def writers(managed_fields: object) -> tuple[tuple[str, str, str], ...]:
    """Manager, operation and subresource of each readable entry. Parses no fields, so it costs next to nothing."""
    return tuple([head.who for head in _heads(managed_fields)])


def entries(managed_fields: object) -> tuple[Ownership, ...]:
    """The readable entries of `metadata.managedFields`, in the order they stand."""
    return tuple(_read(head) for head in _heads(managed_fields))


def owned(managed_fields: object, manager: str, operation: str = "Apply") -> FieldSet:
    """What `manager` owns of the object itself by `operation`; subresources (status, scale) are others' business."""
    wanted = (manager, operation, "")
    return _union(parse(head.fields) for head in _heads(managed_fields) if head.who == wanted)


def interactive_paths(managed_fields: object, interactive: Iterable[str] = INTERACTIVE) -> FieldSet:
    """What people have set by hand, through any subresource but status."""
    names = frozenset(interactive)
    return _union(parse(head.fields) for head in _heads(managed_fields) if _by_hand(head, names))


def foreign_managers(
    managed_fields: object, manager: str, wanted: FieldSet | None = None, interactive: Iterable[str] = INTERACTIVE
) -> tuple[Ownership, ...]:
    """Other programs that own fields of the object, by name; with `wanted`, only those of its fields.

    Neither `manager` itself nor people at work nor writers of status count. Whether a program may be overridden is
    the caller's to judge.
    """
    passed_over = {manager, *interactive}
    heads = (head for head in _heads(managed_fields) if head.who[0] not in passed_over and head.who[2] != "status")
    found = (_read(head) for head in heads)
    if wanted is not None:
        found = (replace(entry, fields=entry.fields & wanted) for entry in found)
    kept = (entry for entry in found if entry.fields)
    return tuple(sorted(kept, key=lambda entry: (entry.manager, entry.operation, entry.subresource)))


def fingerprint(
    obj: Mapping[str, Any], managed_fields: object, manager: str, interactive: Iterable[str] = INTERACTIVE
) -> str:
    """sha256 in hex over what we own, its values, and what people have set by hand, independent of times and order.

    Somebody else's change to a field of ours takes it out of our entry; a field added by hand shows up in an entry of
    its own. Either moves the fingerprint; what controllers write does not. The values tell of a write of our own that
    was lost and comes late: it sets the same fields to what they were."""
    names, ours = frozenset(interactive), (manager, "Apply", "")
    told: set[str] = set()
    values: list[Any] = []
    for head in _heads(managed_fields):
        if head.who == ours:
            written, shape = _read_shape(head.fields)
            _hold(obj, shape, values)
        elif head.who[0] != manager and _by_hand(head, names):
            written = canonical(head.fields)
        else:
            continue
        told.add(f"{head.who!a} {written}")
    lines = "\n".join((*sorted(told), canonical(values)))
    return sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


class _Shape(NamedTuple):
    """A node of a trie, ready to be laid over an object: the names of fields that are owned as a whole, and what is
    owned below other fields, and below the items of a list, which are found by their keys."""

    whole: tuple[str, ...] = ()
    fields: tuple[tuple[str, _Shape], ...] = ()
    items: tuple[tuple[Any, _Shape | None], ...] = ()


def _read_shape(fields: object) -> tuple[str, _Shape]:
    """A trie as text, and its shape. An API server writes equal sets alike, but for their order."""
    written = canonical(fields)
    return written, _known_shape(written) if len(written) <= SHAPE_LIMIT else _shape(fields)


@lru_cache(maxsize=SHAPES)
def _known_shape(written: str) -> _Shape:
    try:
        return _shape(json.loads(written))
    except RecursionError:
        return _Shape()


def _shape(node: object, depth: int = 0) -> _Shape:
    inner: list[tuple[str, _Shape | None]] = []
    if isinstance(node, dict) and depth < DEPTH_LIMIT:
        inner = [(name, _shape(child, depth + 1) if child else None) for name, child in sorted(node.items())]
    return _Shape(
        tuple(name[2:] for name, below in inner if name[:2] == "f:" and below is None),
        tuple((name[2:], below) for name, below in inner if name[:2] == "f:" and below is not None),
        tuple((_decoded(name)[1], below) for name, below in inner if name[:2] == "k:"),
    )


def _hold(value: Any, shape: _Shape, found: list[Any]) -> None:
    """The values of all fields that are owned as a whole. Items that are values are told by the trie itself."""
    whole, fields, items = shape
    if type(value) is dict:
        found.extend(map(value.get, whole))
        for name, below in fields:
            _hold(value.get(name), below, found)
    elif type(value) is list:
        for keys, item in items:
            if item is None:
                found.append(_item(value, keys))
            else:
                _hold(_item(value, keys), item, found)
    else:
        found.append(value)


def _item(items: list[Any], keys: Any) -> Any:
    """The item of a list that has these keys."""
    if type(keys) is dict:
        for item in items:
            if type(item) is dict and all([item.get(key) == value for key, value in keys.items()]):
                return item
    return None


def take_over(managed_fields: object, manager: str, from_managers: Iterable[str]) -> list[Any]:
    """The managedFields list after the entries of `from_managers` have been merged into our Apply entry.

    As Flux's ssa package patches it before an apply: a field that only somebody else owned becomes ours, so that the
    apply removes it when Git does not state it. Entries for subresources stay; our entry comes last; where we had
    none, the first one taken becomes it. Nothing to take gives the list as it was.
    """
    if not isinstance(managed_fields, list):
        return []
    names = frozenset(from_managers) - {manager}
    ours = [head for head in _heads(managed_fields) if head.who == (manager, "Apply", "")]
    taken = [head for head in _heads(managed_fields) if head.who[0] in names and not head.who[2]]
    if not taken:
        return list(managed_fields)
    gone = {id(head.entry) for head in (*ours, *taken)}
    kept = [entry for entry in managed_fields if id(entry) not in gone]
    fields = _union(parse(head.fields) for head in (*ours, *taken))
    base = {**(ours or taken)[0].entry, "manager": manager, "operation": "Apply", "fieldsType": "FieldsV1"}
    return [*kept, {**base, "fieldsV1": fields.fields()}]


def remove(obj: Mapping[str, Any], fields: FieldSet) -> dict[str, Any]:
    """A copy of `obj` without the owned fields.

    A leaf goes whole. A container that is owned itself goes when nothing but its keys is left in it, so that what
    others have put into it stays. Paths that lead nowhere are passed over.
    """
    return _mapping_without(obj, fields.fields())


def describe(path: Path) -> str:
    """A path as people write it: `spec.containers[name=web].image`, `metadata.finalizers["example.org/x"]`."""
    return "".join(_spoken(element) for element in path).lstrip(".")


class _Head(NamedTuple):
    """An entry before its fields are parsed, which most questions never need; `who` as in Ownership."""

    who: tuple[str, str, str]
    fields: object
    entry: dict[str, Any]


def _heads(managed_fields: object) -> Iterator[_Head]:
    for entry in managed_fields if isinstance(managed_fields, list) else ():
        if isinstance(entry, dict):
            manager, operation, subresource = entry.get("manager"), entry.get("operation"), entry.get("subresource")
            who = (
                manager if isinstance(manager, str) else "",
                operation if isinstance(operation, str) else "",
                subresource if isinstance(subresource, str) else "",
            )
            yield _Head(who, entry.get("fieldsV1"), entry)


def _read(head: _Head) -> Ownership:
    return Ownership(*head.who, fields=parse(head.fields))


class _Gone:
    """Marks a value that has been removed; None is a value."""


_GONE = _Gone()


def _without(value: Any, node: Mapping[str, Any]) -> Any:
    inner = {name: child for name, child in node.items() if name != SELF}
    if not inner:
        return _GONE
    if isinstance(value, Mapping):
        left: Any = _mapping_without(value, inner)
    elif isinstance(value, list):
        left = _list_without(value, inner)
    else:
        return value
    return _GONE if not left and SELF in node else left


def _mapping_without(value: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    left = {}
    for name, item in value.items():
        node = inner.get(f"f:{name}")
        kept = item if node is None else _without(item, node)
        if kept is not _GONE:
            left[name] = kept
    return left


def _list_without(value: list[Any], inner: Mapping[str, Any]) -> list[Any]:
    named = [(*_decoded(element), node) for element, node in inner.items()]
    kept = [_item_without(item, *_match(item, index, named)) for index, item in enumerate(value)]
    return [item for item in kept if item is not _GONE]


def _item_without(item: Any, keys: frozenset[str], node: Mapping[str, Any] | None) -> Any:
    if node is None:
        return item
    left = _without(item, node)
    return _GONE if SELF in node and isinstance(left, dict) and keys >= left.keys() else left


def _match(item: Any, index: int, named: list[tuple[str, Any, Any]]) -> tuple[frozenset[str], Mapping[str, Any] | None]:
    """The node of the trie that speaks of a list item, and the item's keys if it is one that has keys."""
    for kind, wanted, node in named:
        if kind == "k" and isinstance(wanted, dict) and isinstance(item, Mapping):
            if all(name in item and _same(item[name], value) for name, value in wanted.items()):
                return frozenset(wanted), node
        elif (kind == "v" and _same(item, wanted)) or (kind == "i" and _same(index, wanted)):
            return frozenset(), node
    return frozenset(), None


def _decoded(element: str) -> tuple[str, Any]:
    kind, _, rest = element.partition(":")
    if kind not in ("k", "v", "i") or len(element) > ELEMENT_LIMIT:
        return "", None
    try:
        return kind, json.loads(rest)
    except (ValueError, RecursionError):
        return "", None


def _same(one: Any, other: Any) -> bool:
    # In Python True equals 1, in JSON it does not.
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _spoken(element: str) -> str:
    kind, value = _decoded(element)
    if kind == "k" and isinstance(value, dict):
        return "[" + ",".join(f"{name}={_plain(item)}" for name, item in value.items()) + "]"
    if kind in ("v", "i"):
        return f"[{json.dumps(value)}]"
    name = element.removeprefix("f:")
    return f".{name}" if name.isidentifier() else f"[{json.dumps(name)}]"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _pruned(node: dict[str, Any]) -> dict[str, Any]:
    """A node that only owns itself is written as an empty one."""
    if node.keys() == {SELF}:
        return {}
    return {name: child if name == SELF else _pruned(child) for name, child in node.items()}


def _union(sets: Iterable[FieldSet]) -> FieldSet:
    return FieldSet(frozenset().union(*(found.paths for found in sets)))


def _by_hand(head: _Head, names: frozenset[str]) -> bool:
    manager, _, subresource = head.who
    return manager in names and subresource != "status"
