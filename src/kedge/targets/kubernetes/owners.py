"""Other hands on an object: another unit, another installation, Argo CD, Flux or Helm; and people at a keyboard.

Programs' fields are taken only when their adoption was approved. People's are drift: they are taken back with the next
apply, as are those of a client-side `kubectl apply`, which would otherwise stay for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import orjson

from kedge.engine.fieldset import CLIENT_SIDE, INTERACTIVE, FieldSet, entries, fingerprint, owned, remove, writers
from kedge.engine.fieldset import take_over as merged
from kedge.kube.client import MANAGER
from kedge.model.pair import Owner, Scope
from kedge.targets.kubernetes import marks

BY_HAND = CLIENT_SIDE.union(INTERACTIVE)
ARGO_ID = "argocd.argoproj.io/tracking-id"
ARGO_INSTANCE = "argocd.argoproj.io/instance"
HELM_RELEASE = "meta.helm.sh/release-name"
HELM_NAMESPACE = "meta.helm.sh/release-namespace"
_FLUX = (("kustomize.toolkit.fluxcd.io", "Kustomization"), ("helm.toolkit.fluxcd.io", "HelmRelease"))
_PROGRAMS = {
    "argocd-controller": "argocd",
    "argocd-application-controller": "argocd",
    "kustomize-controller": "flux",
    "helm-controller": "flux",
    "helm": "helm",
}


def mark_of(obj: Mapping[str, Any]) -> Owner | None:
    """The program that says it manages the object, by its annotations and labels, else by the fields it applied.

    `app.kubernetes.io/managed-by: Helm` and `app.kubernetes.io/instance` do not count: charts write them, whoever
    renders them."""
    annotations, labels = marks.annotations_of(obj), marks.labels_of(obj)
    if tracking := annotations.get(ARGO_ID) or labels.get(ARGO_INSTANCE):
        return Owner("argocd", str(tracking).partition(":")[0])
    for prefix, kind in _FLUX:
        if name := labels.get(f"{prefix}/name"):
            return Owner("flux", f"{kind} {labels.get(f'{prefix}/namespace', '')}/{name}")
    if release := annotations.get(HELM_RELEASE):
        return Owner("helm", f"release {annotations.get(HELM_NAMESPACE, '')}/{release}")
    found = marks.managed_fields_of(obj)
    if _PROGRAMS.keys().isdisjoint([manager for manager, _, _ in writers(found)]):
        return None
    for entry in entries(found):
        if entry.manager in _PROGRAMS and not entry.subresource and entry.fields:
            return Owner(_PROGRAMS[entry.manager], f"(field manager {entry.manager})")
    return None


def judged_owner(scope: Scope, text: str, mark: Owner | None) -> Owner | None:
    """Whose an object is, seen from `scope`: its owner annotation's `text` first; None where it is ours or nobody's."""
    installation, unit = marks.split_owner(text)
    if installation and installation != scope.installation:
        return Owner("installation", f"{installation}, unit {unit}")
    if unit and unit != scope.unit:
        return Owner("unit", unit)
    return mark


def without_declared(mark: Owner | None, desired: Mapping[str, Any]) -> Owner | None:
    """A mark that Git itself states (exported manifests hold them) says nothing of who manages the object."""
    stated = mark_of(desired)
    return None if mark is not None and stated is not None and stated.kind == mark.kind else mark


def owners_fingerprint(obj: Mapping[str, Any]) -> str:
    """The drift fingerprint: of field ownership and of the values that are ours, or of all values where the server
    keeps no record of owners."""
    found = marks.managed_fields_of(obj)
    if not found:
        return f"value:{sha256(_value_of(obj)).hexdigest()}"
    return fingerprint(obj, found, MANAGER, BY_HAND)


_MOVING = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


def _value_of(obj: Mapping[str, Any]) -> bytes:
    """What somebody may have written into an object: everything but status and the server's own bookkeeping."""
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in _MOVING}
    kept = {key: value for key, value in obj.items() if key not in ("status", "metadata", "apiVersion")}
    return orjson.dumps({**kept, "metadata": metadata}, option=orjson.OPT_SORT_KEYS)


def hands(obj: Mapping[str, Any], *, adopt: Owner | None = None) -> tuple[str, ...]:
    """Managers whose entries are to be taken over: people's, and the programs' of an owner that is being adopted."""
    programs = [name for name, kind in _PROGRAMS.items() if kind == adopt.kind] if adopt is not None else ()
    names = {
        manager
        for manager, _, subresource in writers(marks.managed_fields_of(obj))
        if not subresource and (manager in BY_HAND or manager in programs)
    }
    return tuple(sorted(names))


def surplus_fields(obj: Mapping[str, Any], names: Iterable[str]) -> FieldSet:
    """Fields that nobody but the managers `names` keeps on the object: they go once those are taken over."""
    taken = set(names)
    if not taken:
        return FieldSet()
    theirs, others = FieldSet(), owned(marks.managed_fields_of(obj), MANAGER)
    for entry in entries(marks.managed_fields_of(obj)):
        if entry.manager in taken and not entry.subresource:
            theirs |= entry.fields
        elif entry.manager != MANAGER or entry.operation != "Apply":
            others |= entry.fields
    return theirs - others


def without_surplus(obj: Mapping[str, Any], names: Iterable[str]) -> Mapping[str, Any]:
    """What is left of an object when the fields of `names` alone go."""
    fields = surplus_fields(obj, names)
    return remove(obj, fields) if fields else obj


def taking_over(obj: Mapping[str, Any], names: Iterable[str], *, adopt: bool) -> list[dict[str, Any]]:
    """The JSON patch that hands the entries of `names` to Kedge; with `adopt`, other programs' marks go as well.

    Guarded by the resource version: refused when anybody has written in between."""
    metadata = obj.get("metadata") or {}
    patch: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata.get("resourceVersion")},
        {
            "op": "replace",
            "path": "/metadata/managedFields",
            "value": merged(marks.managed_fields_of(obj), MANAGER, names),
        },
    ]
    if adopt:
        patch += [{"op": "remove", "path": path} for path in _mark_paths(obj)]
    return patch


def _mark_paths(obj: Mapping[str, Any]) -> list[str]:
    prefixes = tuple(f"{prefix}/" for prefix, _ in _FLUX)
    names = (ARGO_ID, ARGO_INSTANCE, HELM_RELEASE, HELM_NAMESPACE)
    found = []
    for section, keys in (("annotations", marks.annotations_of(obj)), ("labels", marks.labels_of(obj))):
        for key in keys:
            if key in names or key.startswith(prefixes):
                found.append(f"/metadata/{section}/{pointed(key)}")
    return found


def pointed(key: str) -> str:
    """A key as one part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
