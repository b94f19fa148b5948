"""What programs are made of: an object of each kind, changes that it takes, and changes that it should refuse."""

# ruff: noqa: E501  (tables)
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """`changes` are merge patches, good and bad; `scale` where there is such a subresource; `status` a status patch."""

    base: str
    plural: str
    kind: str
    obj: Object
    changes: tuple[Object, ...] = ()
    namespaced: bool = True
    scale: bool = False
    status: Object | None = None
    broken: tuple[Object, ...] = field(default=())
    """Merge patches to the object that make it one that can not be created."""

    @property
    def version(self) -> str:
        return self.base.partition("/")[2].partition("/")[2] if self.base.startswith("/apis") else "v1"

    def made(self, name: str) -> Object:
        api = self.base.removeprefix("/apis/").removeprefix("/api/")
        meta = {**self.obj.get("metadata", {}), "name": name}
        return {"apiVersion": api, "kind": self.kind, **self.obj, "metadata": meta}


def template(restart: str = "", **more: Any) -> Object:
    spec: Object = {"containers": [{"name": "main", "image": "nginx:1.27"}], **more}
    if restart:
        spec["restartPolicy"] = restart
    return {"metadata": {"labels": {"app": "web"}}, "spec": spec}


SELECTOR = {"matchLabels": {"app": "web"}}
RICH = {
    "initContainers": [{"name": "first", "image": "busybox", "command": ["true"]}],
    "containers": [
        {
            "name": "main", "image": "nginx", "ports": [{"containerPort": 80}, {"containerPort": 443, "name": "tls"}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": 0.5}},
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}}, "readinessProbe": {"tcpSocket": {"port": "tls"}},
            "volumeMounts": [{"name": "all", "mountPath": "/all"}],
            "securityContext": {"runAsNonRoot": True}, "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
        },
        {"name": "side", "image": "nginx@sha256:" + "0" * 64},
    ],
    "volumes": [
        {"name": "all", "emptyDir": {}}, {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys"}},
        {"name": "many", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
    ],
    "tolerations": [{"key": "a", "operator": "Exists"}], "nodeSelector": {"disk": "fast"},
}  # fmt: skip
CORE, APPS, BATCH = "/api/v1", "/apis/apps/v1", "/apis/batch/v1"
NET, RBAC, STORAGE = "/apis/networking.k8s.io/v1", "/apis/rbac.authorization.k8s.io/v1", "/apis/storage.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
POLICY_CIDR = {"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}]}}
WORKLOAD_CHANGES: tuple[Object, ...] = (
    {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "nginx:1.28"}]}}}},
    {"spec": {"template": {"spec": RICH}}},
    {"spec": {"selector": {"matchLabels": {"app": "other"}}}},
    {"spec": {"template": {"metadata": {"labels": {"app": "other"}}}}},
    {"spec": {"template": {"spec": {"containers": []}}}},
    {"spec": {"template": {"spec": {"containers": [{"name": "Main_", "image": "x"}]}}}},
    {"spec": {"template": {"spec": {"containers": [{"name": "main"}]}}}},
    {"spec": {"template": {"spec": {"restartPolicy": "Sometimes"}}}},
    {"spec": {"minReadySeconds": -1}},
    {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": "long"}}}},
    {"spec": {"template": {"spec": {"containers": [
        {"name": "main", "image": "x", "resources": {"requests": {"cpu": "much"}}}]}}}},
    {"spec": {"template": {"spec": {"containers": [
        {"name": "main", "image": "x", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}]}}}},
    {"spec": {"template": {"spec": {"containers": [
        {"name": "main", "image": "x", "volumeMounts": [{"name": "absent", "mountPath": "/x"}]}]}}}},
    {"spec": {"template": {"spec": {"hostNetwork": True}}}},
)  # fmt: skip
REPLICAS: tuple[Object, ...] = ({"spec": {"replicas": 3}}, {"spec": {"replicas": -1}}, {"spec": {"replicas": None}})

SAMPLES: tuple[Sample, ...] = (
    Sample(
        CORE, "configmaps", "ConfigMap", {"data": {"a": "1"}},
        ({"data": {"b": "2"}}, {"data": {"a": None}}, {"data": {"a": 1}}, {"immutable": True}, {"data": {"no way": "x"}},
         {"binaryData": {"c": "aGk="}}, {"binaryData": {"a": "aGk="}}, {"binaryData": {"d": "no base64!"}}),
        broken=({"data": []}, {"data": {"a/b": "1"}}),
    ),
    Sample(
        CORE, "secrets", "Secret", {"data": {"a": "aGk="}},
        ({"stringData": {"b": "two"}}, {"type": "other"}, {"data": {"c": "%%"}}, {"immutable": True}, {"data": None}),
        broken=({"type": "kubernetes.io/tls"}, {"data": {"a": "?"}}),
    ),
    Sample(
        CORE, "services", "Service", {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}},
        ({"spec": {"type": "NodePort"}}, {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}},
         {"spec": {"ports": [{"port": 80}, {"port": 80}]}}, {"spec": {"clusterIP": "10.96.77.77"}},
         {"spec": {"type": "LoadBalancer"}}, {"spec": {"type": "ExternalName", "externalName": "example.com"}},
         {"spec": {"sessionAffinity": "ClientIP"}}, {"spec": {"ports": [{"port": 0}]}}, {"spec": {"type": "None"}},
         {"spec": {"ports": [{"port": 80, "targetPort": "http"}]}}, {"spec": {"ports": None}}),
        status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        broken=({"spec": {"clusterIP": "nonsense"}}, {"spec": {"ports": [{"port": 80, "protocol": "ICMP"}]}}),
    ),
    Sample(CORE, "services", "Service", {"spec": {"clusterIP": "None", "selector": {"app": "web"}}},
           ({"spec": {"ports": [{"port": 80}]}}, {"spec": {"clusterIP": None}}, {"spec": {"publishNotReadyAddresses": True}})),
    Sample(CORE, "serviceaccounts", "ServiceAccount", {},
           ({"automountServiceAccountToken": False}, {"imagePullSecrets": [{"name": "x"}]}, {"secrets": "x"})),
    Sample(
        CORE, "persistentvolumeclaims", "PersistentVolumeClaim",
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
        ({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, {"spec": {"resources": {"requests": {"storage": "1Mi"}}}},
         {"spec": {"accessModes": ["ReadOnlyMany"]}}, {"spec": {"storageClassName": "fast"}}),
        status={"phase": "Bound", "capacity": {"storage": "1Gi"}},
        broken=({"spec": {"accessModes": []}}, {"spec": {"resources": {"requests": None}}},
                {"spec": {"accessModes": ["Sometimes"]}}),
    ),
    Sample(
        CORE, "persistentvolumes", "PersistentVolume",
        {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}},
        ({"spec": {"hostPath": {"path": "/y"}}}, {"spec": {"capacity": {"storage": "2Gi"}}},
         {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}, {"spec": {"storageClassName": "a"}}),
        namespaced=False, broken=({"spec": {"capacity": None}}, {"spec": {"hostPath": None}}),
    ),
    Sample(CORE, "resourcequotas", "ResourceQuota", {"spec": {"hard": {"configmaps": "100"}}},
           ({"spec": {"hard": {"pods": "10"}}}, {"spec": {"hard": {"pods": "many"}}}, {"spec": {"scopes": ["BestEffort"]}})),
    Sample(
        CORE, "limitranges", "LimitRange", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}},
        ({"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}}, {"spec": {"limits": [{"type": "Pod"}]}},
         {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}}]}}),
    ),
    Sample(
        CORE, "pods", "Pod", template(),
        ({"spec": {"containers": [{"name": "main", "image": "nginx:2"}]}}, {"spec": {"restartPolicy": "Never"}},
         {"spec": {"activeDeadlineSeconds": 30}}, {"spec": {"nodeName": "node-1"}}, {"spec": {"containers": []}},
         {"spec": {"terminationGracePeriodSeconds": 1}}),
        status={"phase": "Running"}, broken=({"spec": {"restartPolicy": "No"}}, {"spec": {"containers": None}}),
    ),
    Sample(CORE, "pods", "Pod", {"spec": RICH}, ({"metadata": {"labels": {"b": "1"}}},)),
    Sample(CORE, "podtemplates", "PodTemplate", {"template": template()}, ({"template": {"spec": {"dnsPolicy": "x"}}},)),
    Sample(CORE, "replicationcontrollers", "ReplicationController", {"spec": {"replicas": 1, "template": template()}},
           REPLICAS, scale=True),
    Sample(CORE, "endpoints", "Endpoints", {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]},
           ({"subsets": None}, {"subsets": [{"addresses": [{"ip": "nope"}], "ports": [{"port": 80}]}]})),
    Sample(
        APPS, "deployments", "Deployment", {"spec": {"selector": SELECTOR, "template": template()}},
        (*WORKLOAD_CHANGES, *REPLICAS, {"spec": {"strategy": {"type": "Recreate"}}},
         {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}, {"spec": {"paused": True}},
         {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}},
         {"spec": {"progressDeadlineSeconds": 0}}, {"spec": {"revisionHistoryLimit": -1}}, {"spec": {"unknown": 1}}),
        scale=True, status={"replicas": 2, "observedGeneration": 1},
        broken=({"spec": {"selector": None}}, {"spec": {"template": None}}, {"spec": {"selector": {"matchLabels": {"a": "b"}}}}),
    ),
    Sample(
        APPS, "statefulsets", "StatefulSet",
        {"spec": {"serviceName": "web", "selector": SELECTOR, "template": template(), "volumeClaimTemplates": [
            {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
                                                    "resources": {"requests": {"storage": "1Gi"}}}}]}},
        (*WORKLOAD_CHANGES, *REPLICAS, {"spec": {"serviceName": "other"}}, {"spec": {"podManagementPolicy": "Parallel"}},
         {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}), scale=True,
        status={"replicas": 1},
    ),
    Sample(APPS, "daemonsets", "DaemonSet", {"spec": {"selector": SELECTOR, "template": template()}},
           (*WORKLOAD_CHANGES, {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}})),
    Sample(APPS, "replicasets", "ReplicaSet", {"spec": {"selector": SELECTOR, "template": template()}},
           (*WORKLOAD_CHANGES, *REPLICAS), scale=True),
    Sample(APPS, "controllerrevisions", "ControllerRevision", {"revision": 1, "data": {"a": 1}},
           ({"revision": 2}, {"data": {"a": 2}})),
    Sample(
        BATCH, "jobs", "Job", {"spec": {"template": template("Never")}},
        ({"spec": {"parallelism": 2}}, {"spec": {"completions": 3}}, {"spec": {"suspend": True}},
         {"spec": {"backoffLimit": -1}}, {"spec": {"template": template("Always")}}, {"spec": {"ttlSecondsAfterFinished": 9}}),
        broken=({"spec": {"template": template("Always")}}, {"spec": {"selector": SELECTOR}}),
    ),
    Sample(
        BATCH, "cronjobs", "CronJob",
        {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template("OnFailure")}}}},
        ({"spec": {"schedule": "never"}}, {"spec": {"suspend": True}}, {"spec": {"concurrencyPolicy": "Maybe"}},
         {"spec": {"timeZone": "Nowhere/City"}}, {"spec": {"startingDeadlineSeconds": 5}}),
        broken=({"spec": {"schedule": ""}},),
    ),
    Sample(
        "/apis/autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler",
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}},
        ({"spec": {"minReplicas": 2}}, {"spec": {"minReplicas": 9}}, {"spec": {"maxReplicas": 0}},
         {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 10}}}},
         {"spec": {"metrics": [{"type": "Resource", "resource": {"name": "memory", "target": {
             "type": "AverageValue", "averageValue": "100Mi"}}}]}}),
    ),
    Sample(
        "/apis/autoscaling/v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler",
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}},
        ({"spec": {"minReplicas": 2}}, {"spec": {"targetCPUUtilizationPercentage": 50}}),
    ),
    Sample(
        NET, "ingresses", "Ingress",
        {"spec": {"rules": [{"host": "example.com", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}},
        ({"spec": {"ingressClassName": "fast"}}, {"spec": {"rules": [{"host": "*.x.com"}]}}, {"spec": {"rules": None}},
         {"spec": {"tls": [{"hosts": ["example.com"], "secretName": "tls"}]}}, {"spec": {"rules": [{"host": "A_B"}]}},
         {"spec": {"rules": [{"http": {"paths": [{"path": "x", "pathType": "Prefix", "backend": {
             "service": {"name": "web", "port": {"number": 80}}}}]}}]}},
         {"spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Exact", "backend": {"service": {"name": "web"}}}]}}]}}),
        status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    ),
    Sample(NET, "ingressclasses", "IngressClass", {"spec": {"controller": "example.com/one"}},
           ({"spec": {"controller": "example.com/two"}}, {"spec": {"controller": None}}), namespaced=False),
    Sample(
        NET, "networkpolicies", "NetworkPolicy", {"spec": {"podSelector": SELECTOR, "ingress": [{"ports": [{"port": 80}]}]}},
        (POLICY_CIDR, {"spec": {"egress": [{}]}}, {"spec": {"policyTypes": ["Sideways"]}},
         {"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["192.168.0.0/16"]}}]}]}},
         {"spec": {"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}}),
        broken=(POLICY_CIDR,),
    ),
    Sample("/apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", {"spec": {"selector": SELECTOR, "minAvailable": 1}},
           ({"spec": {"minAvailable": "50%"}}, {"spec": {"maxUnavailable": 1}}, {"spec": {"minAvailable": "half"}},
            {"spec": {"unhealthyPodEvictionPolicy": "Often"}})),
    Sample(RBAC, "roles", "Role", {"rules": RULES},
           ({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}, {"rules": [{"resources": ["pods"]}]},
            {"rules": None})),
    Sample(RBAC, "clusterroles", "ClusterRole", {"rules": RULES},
           ({"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]},
            {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}), namespaced=False),
    Sample(
        RBAC, "rolebindings", "RoleBinding",
        {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
         "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]},
        ({"subjects": [{"kind": "User", "name": "mona"}]}, {"roleRef": {"name": "writer"}}, {"subjects": None},
         {"subjects": [{"kind": "Robot", "name": "x"}]}), broken=({"roleRef": {"kind": "Deployment"}},),
    ),
    Sample(
        RBAC, "clusterrolebindings", "ClusterRoleBinding",
        {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
         "subjects": [{"kind": "Group", "name": "nobody"}]},
        ({"subjects": [{"kind": "ServiceAccount", "name": "x"}]}, {"roleRef": {"name": "edit"}}), namespaced=False,
    ),
    Sample(STORAGE, "storageclasses", "StorageClass", {"provisioner": "example.com/disk"},
           ({"reclaimPolicy": "Retain"}, {"allowVolumeExpansion": True}, {"parameters": {"a": "1"}}), namespaced=False,
           broken=({"provisioner": None},)),
    Sample(STORAGE, "csidrivers", "CSIDriver", {"spec": {}}, ({"spec": {"attachRequired": False}},), namespaced=False),
    Sample("/apis/coordination.k8s.io/v1", "leases", "Lease", {"spec": {"holderIdentity": "me", "leaseDurationSeconds": 10}},
           ({"spec": {"leaseDurationSeconds": 0}}, {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z"}},
            {"spec": {"renewTime": "soon"}})),
    Sample("/apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice",
           {"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"]}], "ports": [{"port": 80, "name": "http"}]},
           ({"addressType": "IPv6"}, {"endpoints": [{"addresses": ["x"]}]}, {"endpoints": []})),
    Sample("/apis/scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", {"value": 7},
           ({"value": 8}, {"description": "first"}, {"preemptionPolicy": "Never"}), namespaced=False,
           broken=({"value": 2000000001}, {"value": "high"})),
    Sample("/apis/node.k8s.io/v1", "runtimeclasses", "RuntimeClass", {"handler": "one"},
           ({"handler": "two"}, {"overhead": {"podFixed": {"cpu": "1"}}}), namespaced=False, broken=({"handler": None},)),
    Sample(
        ADMISSION, "validatingwebhookconfigurations", "ValidatingWebhookConfiguration",
        {"webhooks": [{"name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                       "clientConfig": {"url": "https://127.0.0.1:1/x"}, "failurePolicy": "Ignore",
                       "rules": [{"apiGroups": ["none.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"],
                                  "resources": ["nothings"]}]}]},
        ({"webhooks": [{"name": "short"}]}, {"webhooks": None}), namespaced=False,
    ),
    Sample(CORE, "namespaces", "Namespace", {}, ({"spec": {"finalizers": []}}, {"metadata": {"labels": {"x": "y"}}}),
           namespaced=False),
)  # fmt: skip


def definition(group: str, scope: str = "Namespaced") -> Object:
    """A kind with defaults, bounds, an enumeration, free fields, lists by key, status and scale."""
    item = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
    }
    spec = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 9},
            "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "parts": {
                "type": "array",
                "items": item,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            "port": {"x-kubernetes-int-or-string": True},
            "word": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "nullable": True},
        },
    }
    status = {"type": "object", "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"spec": spec, "status": status}}
    scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
               "subresources": {"status": {}, "scale": scale}}  # fmt: skip
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "scope": scope, "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
                 "versions": [version]},
    }  # fmt: skip


def widget(group: str) -> Sample:
    return Sample(
        f"/apis/{group}/v1", "widgets", "Widget", {"spec": {"size": 1}},
        ({"spec": {"size": 3}}, {"spec": {"size": 10}}, {"spec": {"size": "big"}}, {"spec": {"color": "green"}},
         {"spec": {"free": {"a": {"b": [1, None]}}}}, {"spec": {"parts": [{"name": "a"}, {"name": "a"}]}},
         {"spec": {"parts": [{"name": "a", "size": 1}, {"name": "b"}]}}, {"spec": {"port": "http"}},
         {"spec": {"unknown": True}}, {"spec": {"word": "TOO LONG"}}, {"spec": {"word": None}}, {"spec": None},
         {"spec": {"parts": [{"size": 1}]}}, {"status": {"phase": "x"}}),
        scale=True, status={"phase": "Ready", "replicas": 1}, broken=({"spec": {"size": None}}, {"spec": {"size": 1.5}}),
    )  # fmt: skip
