"""The kinds that are served, as a table: what they are called, where they live, and what can be done with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind in one version. ``key`` names where its objects are stored, the same for all its versions.

    ``type`` is its name in types.txt (built-in kinds), ``schema`` the structural schema of its definition (custom
    kinds).
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    generation: bool = False
    type: str = ""
    custom: bool = False
    singular: str = ""
    list_kind: str = ""
    schema: dict[str, Any] | None = None
    columns: tuple[dict[str, Any], ...] = ()
    selectable: tuple[str, ...] = ()
    storage: bool = True
    scale: dict[str, Any] | None = None
    api_version: str = field(init=False, default="")
    key: str = field(init=False, default="")
    resource: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_version", f"{self.group}/{self.version}" if self.group else self.version)
        object.__setattr__(self, "key", f"{self.plural}.{self.group}")
        object.__setattr__(self, "resource", f"{self.plural}.{self.group}" if self.group else self.plural)
        object.__setattr__(self, "singular", self.singular or self.kind.lower())
        object.__setattr__(self, "list_kind", self.list_kind or self.kind + "List")

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    def path(self, namespace: str = "", name: str = "") -> str:
        """The URL path of the collection, or of one object in it."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        inner = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{inner}/{self.plural}" + (f"/{name}" if name else "")


NAMED = "kubernetes.io/metadata.name"
"""The label by which a namespace is selected."""

# plural Kind scope(N|C) short-names(-) flags: g counts generations; s status; c scale; a category "all"; older: another
# version is stored; others by name
TABLE = """
/v1 core.v1
  bindings Binding N - virtual
  componentstatuses ComponentStatus C cs readonly
  configmaps ConfigMap N cm
  endpoints Endpoints N ep
  events Event N ev
  limitranges LimitRange N limits
  namespaces Namespace C ns s finalize
  nodes Node C no s
  persistentvolumeclaims PersistentVolumeClaim N pvc s
  persistentvolumes PersistentVolume C pv s
  pods Pod N po s a g log eviction binding ephemeralcontainers
  podtemplates PodTemplate N - g
  replicationcontrollers ReplicationController N rc s c a g
  resourcequotas ResourceQuota N quota s
  secrets Secret N -
  serviceaccounts ServiceAccount N sa token
  services Service N svc s a
apiregistration.k8s.io/v1 apiregistration.v1
  apiservices APIService C - s
apps/v1 apps.v1
  controllerrevisions ControllerRevision N -
  daemonsets DaemonSet N ds s a g
  deployments Deployment N deploy s c a g
  replicasets ReplicaSet N rs s c a g
  statefulsets StatefulSet N sts s c a g
events.k8s.io/v1 events.v1
  events Event N ev
authentication.k8s.io/v1 -
  selfsubjectreviews SelfSubjectReview C - virtual
  tokenreviews TokenReview C - virtual
authorization.k8s.io/v1 -
  localsubjectaccessreviews LocalSubjectAccessReview N - virtual
  selfsubjectaccessreviews SelfSubjectAccessReview C - virtual
  selfsubjectrulesreviews SelfSubjectRulesReview C - virtual
  subjectaccessreviews SubjectAccessReview C - virtual
autoscaling/v2 autoscaling.v2
  horizontalpodautoscalers HorizontalPodAutoscaler N hpa s a
autoscaling/v1 autoscaling.v1
  horizontalpodautoscalers HorizontalPodAutoscaler N hpa s a older
batch/v1 batch.v1
  cronjobs CronJob N cj s a g
  jobs Job N - s a g
networking.k8s.io/v1 networking.v1
  ingressclasses IngressClass C - g
  ingresses Ingress N ing s g
  networkpolicies NetworkPolicy N netpol g
policy/v1 policy.v1
  poddisruptionbudgets PodDisruptionBudget N pdb s g
rbac.authorization.k8s.io/v1 rbac.v1
  clusterrolebindings ClusterRoleBinding C -
  clusterroles ClusterRole C -
  rolebindings RoleBinding N -
  roles Role N -
storage.k8s.io/v1 storage.v1
  csidrivers CSIDriver C -
  csinodes CSINode C -
  storageclasses StorageClass C sc
  volumeattachments VolumeAttachment C - s
admissionregistration.k8s.io/v1 admissionregistration.v1
  mutatingwebhookconfigurations MutatingWebhookConfiguration C - g
  validatingadmissionpolicies ValidatingAdmissionPolicy C - s g
  validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding C - g
  validatingwebhookconfigurations ValidatingWebhookConfiguration C - g
apiextensions.k8s.io/v1 apiextensions.v1
  customresourcedefinitions CustomResourceDefinition C crd,crds s g
scheduling.k8s.io/v1 scheduling.v1
  priorityclasses PriorityClass C pc g
coordination.k8s.io/v1 coordination.v1
  leases Lease N -
node.k8s.io/v1 node.v1
  runtimeclasses RuntimeClass C -
discovery.k8s.io/v1 discovery.v1
  endpointslices EndpointSlice N - g
"""


def _row(group: str, version: str, types: str, line: str) -> Kind:
    plural, kind, scope, short, *flags = line.split()
    subresources = {"s": "status", "c": "scale"}
    return Kind(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        namespaced=scope == "N",
        short=() if short == "-" else tuple(short.split(",")),
        categories=("all",) if "a" in flags else ("api-extensions",) if group.startswith("apiext") else (),
        subresources=frozenset(subresources.get(flag, flag) for flag in flags if flag not in ("a", "g", "older")),
        generation="g" in flags,
        storage="older" not in flags,
        type=f"{types}.{kind}" if types != "-" else "",
    )


def built_in() -> tuple[Kind, ...]:
    """Every built-in kind, in the order of the table."""
    found: list[Kind] = []
    group = version = types = ""
    for line in TABLE.splitlines():
        if line.startswith("  "):
            found.append(_row(group, version, types, line))
        elif line:
            served, types = line.split()
            group, _, version = served.rpartition("/")
    return tuple(found)


def verbs_of(kind: Kind) -> tuple[str, ...]:
    """What discovery says can be done with a kind."""
    if "virtual" in kind.subresources:
        return ("create",)
    if "readonly" in kind.subresources:
        return ("get", "list")
    if kind.key == "namespaces.":  # nobody deletes them by the dozen
        return tuple(verb for verb in VERBS if verb != "deletecollection")
    return CUSTOM_VERBS if kind.custom else VERBS


def real_subresources(kind: Kind) -> tuple[str, ...]:
    """Subresources to be listed by discovery, without the table's own flags."""
    return tuple(sorted(kind.subresources - {"virtual", "readonly"}, reverse=kind.custom))
