"""From a rendered set to a placed one: final namespaces, and the marks by which Kedge knows its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import orjson

from kedge.engine.hooks import is_hook
from kedge.model.errors import Invalid, Problem
from kedge.model.manifest import Desired, Manifest, digest_of
from kedge.model.pair import Scope
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.scopes import GroupKind

CACHED_BYTES = 32 * 1024 * 1024


class PlaceCache:
    """Placed manifests by what they were made from: the same manifest in the same scope is stamped once.

    Bounded by bytes; the oldest leave first."""

    def __init__(self, limit: int = CACHED_BYTES) -> None:
        self._limit = limit
        self._held = 0
        self._made: dict[tuple[str, ...], Manifest] = {}

    def get(self, key: tuple[str, ...]) -> Manifest | None:
        return self._made.get(key)

    def put(self, key: tuple[str, ...], manifest: Manifest) -> None:
        self._made[key] = manifest
        self._held += len(manifest.body)
        while self._held > self._limit:
            oldest = next(iter(self._made))
            self._held -= len(self._made.pop(oldest).body)


def place_set(scope: Scope, desired: Desired, scopes: Mapping[GroupKind, bool], cache: PlaceCache) -> Desired:
    """Every manifest in its namespace and stamped. Kinds that are not in `scopes` are taken for namespaced, as most
    are, where anything names a namespace.

    Raises Invalid, naming every object that can not be placed."""
    problems: list[Problem] = []
    placed: dict[Ref | str, Manifest] = {}
    for manifest in desired.manifests:
        problem = _problem(scope, manifest, scopes)
        if problem:
            problems.append(Problem(problem, manifest.where))
            continue
        made = _placed(scope, manifest, scopes.get(manifest.ref.group_kind, True), cache)
        key: Ref | str = made.ref if made.ref.name else f"{made.ref.key}{made.generate_name}"
        twin = placed.setdefault(key, made)
        if twin is not made:
            text = f"{made.ref} is there twice, also in {twin.where or 'another file'}"
            problems.append(Problem(text, manifest.where, "give one of the two another name or namespace"))
    if problems:
        raise Invalid("", problems=tuple(problems[:20]))
    manifests = tuple(placed.values())
    guessed = any(manifest.ref.group_kind not in scopes for manifest in manifests)
    return replace(desired, manifests=manifests, digest=digest_of(manifests), guessed=guessed)


def _problem(scope: Scope, manifest: Manifest, scopes: Mapping[GroupKind, bool]) -> str:
    ref = manifest.ref
    if not ref.name and not is_hook(manifest):
        return (
            f"{ref.kind} has {'only a generateName' if manifest.generate_name else 'no name'}: only hooks may do that"
        )
    if not ref.name and not manifest.generate_name:
        return f"{ref.kind} has neither a name nor a generateName"
    # A kind that nothing defines yet may turn out to need none: it is waited for, and placed anew.
    if scopes.get(ref.group_kind, False) and not ref.namespace and not scope.namespace:
        return f"{ref.kind} {ref.name or manifest.generate_name} names no namespace, and neither does the unit's target"
    return ""


def _placed(scope: Scope, manifest: Manifest, namespaced: bool, cache: PlaceCache) -> Manifest:
    namespace = (manifest.ref.namespace or scope.namespace) if namespaced else ""
    key = (manifest.digest, manifest.ref.key, manifest.generate_name, namespace, scope.installation, scope.unit)
    made = cache.get(key)
    if made is None:
        made = _stamped(scope, manifest, namespace)
        cache.put(key, made)
    same = (made.where, made.holes) == (manifest.where, manifest.holes)
    return made if same else replace(made, where=manifest.where, holes=manifest.holes)


def _stamped(scope: Scope, manifest: Manifest, namespace: str) -> Manifest:
    obj = orjson.loads(manifest.body)
    metadata: dict[str, Any] = obj.setdefault("metadata", {})
    metadata.pop("namespace", None)
    if namespace:
        metadata["namespace"] = namespace
    mark = marks.HOOK_OF if is_hook(manifest) else marks.UNIT
    labels = {mark: marks.unit_label(scope.unit), marks.SHARD: marks.shard_of(scope.unit)}
    annotations = {marks.OWNER: marks.owner_text(scope.installation, scope.unit)}
    metadata["labels"] = _own(metadata.get("labels")) | labels
    metadata["annotations"] = _own(metadata.get("annotations")) | annotations
    ref = manifest.ref
    return rebuilt(manifest, obj, Ref(ref.group, ref.kind, namespace, ref.name))


def _own(found: Any) -> dict[str, Any]:
    """Marks of ours that came with the manifest (copied from a cluster, say) do not count."""
    return {key: value for key, value in (found or {}).items() if key not in marks.ALL}


def rebuilt(manifest: Manifest, obj: Mapping[str, Any], ref: Ref) -> Manifest:
    """The manifest with another body: canonical JSON, its digest, and the annotations beside it."""
    body = orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
    annotations = marks.annotations_of(obj)
    pairs: Sequence[tuple[str, str]] = sorted((str(key), str(value)) for key, value in annotations.items())
    return replace(manifest, ref=ref, body=body, digest=sha256(body).hexdigest(), annotations=tuple(pairs))
