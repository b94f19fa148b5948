"""Admission: may this unit have these objects? Its project's kinds and targets decide. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase

from kedge.model.change import Finding, Severity
from kedge.model.manifest import Desired, Manifest
from kedge.model.ref import Ref
from kedge.model.unit import KindRules, Unit


def admit(unit: Unit, desired: Desired) -> tuple[Finding, ...]:
    """An error for every object that the unit may not have, hooks included.

    A Namespace counts as being in itself: who may not use it may not make it either.
    """
    return tuple(
        Finding(Severity.ERROR, rule, text, manifest.ref)
        for manifest in desired.manifests
        for rule, text in (*_kind(unit, manifest), *_namespace(unit, manifest))
    )


def _kind(unit: Unit, manifest: Manifest) -> list[tuple[str, str]]:
    refused = kind_refused(unit.kinds, manifest.ref)
    if not refused:
        return []
    return [("admit/kind", f"{manifest.ref}: project {unit.name.project} {refused}{_at(manifest)}")]


def kind_refused(rules: KindRules, ref: Ref) -> str:
    """Why a kind is not admitted, "" when it is. A denial wins over a permission."""
    name = f"{ref.group}/{ref.kind}" if ref.group else ref.kind
    denied = next((glob for glob in rules.denied if fnmatchcase(name, glob)), "")
    if denied:
        return f"denies {name} ({denied})"
    if rules.allowed and not any(fnmatchcase(name, glob) for glob in rules.allowed):
        return f"does not allow {name} (it allows {', '.join(rules.allowed)})"
    return ""


def _namespace(unit: Unit, manifest: Manifest) -> list[tuple[str, str]]:
    ref, targets = manifest.ref, unit.targets
    namespace = ref.name if ref.group_kind == ("", "Namespace") else ref.namespace
    cluster = unit.target.cluster
    if not targets or not namespace:
        return []
    if any(fnmatchcase(cluster, target.cluster) and fnmatchcase(namespace, target.namespace) for target in targets):
        return []
    allowed = ", ".join(f"{target.cluster}/{target.namespace}" for target in targets)
    text = f"{ref}: project {unit.name.project} may not use {cluster}/{namespace} (it may use {allowed})"
    return [("admit/namespace", text + _at(manifest))]


def _at(manifest: Manifest) -> str:
    return f", in {manifest.where}" if str(manifest.where) else ""
