"""Whether a kind lives in namespaces: by discovery, by a definition in the same set, by a table of well-known kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from kedge.kube.discovery import Discovery
from kedge.model.errors import Unavailable
from kedge.model.manifest import Manifest

_RBAC, _ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"

# Cluster-scoped kinds of Kubernetes itself: for offline work, and for servers whose discovery is down in part.
CLUSTER_SCOPED = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        (_ADMISSION, "MutatingAdmissionPolicy"),
        (_ADMISSION, "MutatingAdmissionPolicyBinding"),
        (_ADMISSION, "MutatingWebhookConfiguration"),
        (_ADMISSION, "ValidatingAdmissionPolicy"),
        (_ADMISSION, "ValidatingAdmissionPolicyBinding"),
        (_ADMISSION, "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("networking.k8s.io", "IngressClass"),
        ("node.k8s.io", "RuntimeClass"),
        (_RBAC, "ClusterRole"),
        (_RBAC, "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("snapshot.storage.k8s.io", "VolumeSnapshotClass"),
        ("snapshot.storage.k8s.io", "VolumeSnapshotContent"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storage.k8s.io", "VolumeAttributesClass"),
    }
)

KNOWN = ("", "apps", "batch")
"""Groups whose kinds live where they always have."""

GroupKind = tuple[str, str]


def defined_in(manifests: Iterable[Manifest]) -> dict[GroupKind, bool]:
    """Kinds that definitions of this set will bring, and whether they are namespaced (spec.scope)."""
    found: dict[GroupKind, bool] = {}
    for manifest in manifests:
        if manifest.ref.group_kind != ("apiextensions.k8s.io", "CustomResourceDefinition"):
            continue
        spec = orjson.loads(manifest.body).get("spec")
        if isinstance(spec, dict) and isinstance(spec.get("names"), dict):
            key = str(spec.get("group") or ""), str(spec["names"].get("kind") or "")
            found[key] = spec.get("scope") != "Cluster"
    return found


async def read_scopes(discovery: Discovery, manifests: Iterable[Manifest]) -> Mapping[GroupKind, bool]:
    """Group and kind → namespaced, for every kind of the set that is known.

    Raises Unavailable when the group of a kind that nothing else explains can not be listed."""
    listed = tuple(manifests)
    defined = defined_in(listed)
    wanted = dict.fromkeys(manifest.ref.group_kind for manifest in listed)
    catalog = await discovery.catalog()
    scopes: dict[GroupKind, bool] = {}
    for key in wanted:
        kind = catalog.find(*key)
        if kind is not None:
            if key[0] in KNOWN and kind.namespaced == (key in CLUSTER_SCOPED):
                where = "in" if kind.namespaced else "outside"
                text = f"discovery: it says that a {key[1]} lives {where} namespaces: is this address a Kubernetes API?"
                raise Unavailable(text)
            scopes[key] = kind.namespaced
        elif key in defined:
            scopes[key] = defined[key]
        elif key in CLUSTER_SCOPED:
            scopes[key] = False
        elif key[0] in catalog.failed:
            raise Unavailable(f"nobody can tell where {key[1]} lives: {key[0]}: {catalog.failed[key[0]]}")
        else:
            found = await discovery.find(*key)
            if found is not None:
                scopes[key] = found.namespaced
    return scopes
