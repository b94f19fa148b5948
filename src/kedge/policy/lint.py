"""A few checks of a rendered set that are nearly always right. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kedge.model.change import Finding, Severity
from kedge.model.manifest import Desired, Manifest
from kedge.model.ref import Ref

_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----")
_NAMESPACED = frozenset(
    {("", kind) for kind in ("ConfigMap", "Secret", "Service", "ServiceAccount", "Pod", "PersistentVolumeClaim")}
    | {("apps", kind) for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")}
    | {("batch", kind) for kind in ("Job", "CronJob")}
    | {("rbac.authorization.k8s.io", kind) for kind in ("Role", "RoleBinding")}
    | {("networking.k8s.io", kind) for kind in ("Ingress", "NetworkPolicy")}
)
_RETIRED = {
    ("extensions/v1beta1", "Deployment"): ("1.16", "apps/v1"),
    ("apps/v1beta1", "Deployment"): ("1.16", "apps/v1"),
    ("apps/v1beta2", "Deployment"): ("1.16", "apps/v1"),
    ("apps/v1beta1", "StatefulSet"): ("1.16", "apps/v1"),
    ("apps/v1beta2", "StatefulSet"): ("1.16", "apps/v1"),
    ("extensions/v1beta1", "DaemonSet"): ("1.16", "apps/v1"),
    ("apps/v1beta2", "DaemonSet"): ("1.16", "apps/v1"),
    ("extensions/v1beta1", "NetworkPolicy"): ("1.16", "networking.k8s.io/v1"),
    ("extensions/v1beta1", "Ingress"): ("1.22", "networking.k8s.io/v1"),
    ("networking.k8s.io/v1beta1", "Ingress"): ("1.22", "networking.k8s.io/v1"),
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"): ("1.22", "apiextensions.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole"): ("1.22", "rbac.authorization.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1beta1", "Role"): ("1.22", "rbac.authorization.k8s.io/v1"),
    ("batch/v1beta1", "CronJob"): ("1.25", "batch/v1"),
    ("policy/v1beta1", "PodDisruptionBudget"): ("1.25", "policy/v1"),
    ("policy/v1beta1", "PodSecurityPolicy"): ("1.25", "Pod Security Admission"),
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"): ("1.25", "autoscaling/v2"),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"): ("1.26", "autoscaling/v2"),
}
"""API version and kind → the Kubernetes release without it, and what took its place (Kubernetes' deprecation guide)."""


def lint(desired: Desired) -> tuple[Finding, ...]:
    """What the renderer noted, then findings in the order of the set. Only what could not be applied as meant is an
    error."""
    return (
        *(Finding(Severity.WARNING, "lint/render", note) for note in desired.notes),
        *_duplicates(desired.manifests),
        *(finding for manifest in desired.manifests for finding in _one(manifest)),
    )


def _duplicates(manifests: Sequence[Manifest]) -> list[Finding]:
    first: dict[Ref, Manifest] = {}
    findings = []
    for manifest in manifests:
        if not manifest.ref.name:
            continue
        earlier = first.setdefault(manifest.ref, manifest)
        if earlier is not manifest:
            places = " and ".join(str(m.where) or "an unnamed place" for m in (earlier, manifest))
            text = f"{manifest.ref} is in the set twice: {places}. Remove one of the two"
            findings.append(Finding(Severity.ERROR, "lint/duplicate", text, manifest.ref))
    return findings


def _one(manifest: Manifest) -> list[Finding]:
    ref = manifest.ref
    findings = []
    if ref.group_kind == ("", "ConfigMap") and _PRIVATE_KEY.search(manifest.body):
        text = f"{ref} holds a private key in plain text: everybody who can read Git or the namespace has it"
        findings.append(Finding(Severity.WARNING, "lint/private-key", text, ref))
    if b'"sops":{' in manifest.body and b"ENC[AES256_GCM," in manifest.body:
        text = f"{ref} is encrypted with SOPS, and would be applied as it is: name a key in `decrypt.keys`"
        findings.append(Finding(Severity.ERROR, "lint/encrypted", text, ref))
    if ref.group_kind in _NAMESPACED and not ref.namespace:
        text = f"{ref} names no namespace, and the unit's target gives none"
        findings.append(Finding(Severity.WARNING, "lint/namespace", text, ref))
    retired = _RETIRED.get((manifest.api_version, ref.kind))
    if retired is not None:
        text = f"{ref}: Kubernetes {retired[0]} no longer serves {manifest.api_version}: use {retired[1]}"
        findings.append(Finding(Severity.WARNING, "lint/retired-api", text, ref))
    return findings
