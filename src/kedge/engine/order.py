"""In which order kinds are applied, and which objects others stand on.

The order is that of Argo CD's gitops-engine (`sync_tasks.go`): what others need comes first. Deleting goes backwards.
"""

from __future__ import annotations

from kedge.model.ref import Ref

_KINDS = (
    "Namespace",
    "CustomResourceDefinition",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PriorityClass",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
)
_RANK = {kind: rank for rank, kind in enumerate(_KINDS)}
_LAST = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


def kind_rank(ref: Ref) -> int:
    """Lower is applied earlier. Unknown kinds (custom resources) come after the known ones, admission webhooks last:
    a webhook whose service is not up yet would refuse its own neighbours."""
    if ref.kind in _LAST:
        return len(_KINDS) + 1
    return _RANK.get(ref.kind, len(_KINDS))


def is_definition(ref: Ref) -> bool:
    return ref.group_kind == ("apiextensions.k8s.io", "CustomResourceDefinition")


def is_namespace(ref: Ref) -> bool:
    return ref.group_kind == ("", "Namespace")
