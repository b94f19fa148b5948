"""What every new cluster has: its namespaces, one node, a storage class, the API's own service, a few roles."""

from __future__ import annotations

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.controllers.making import make
from kedge.sandbox.controllers.pods import NODE, NODE_IP
from kedge.sandbox.wire import Object

SPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}


def seed(cluster: Cluster) -> None:
    """Fills an empty store."""
    for name in SPACES:
        make(cluster, "namespaces.", {"metadata": {"name": name}})
    make(
        cluster, "nodes.", {"metadata": {"name": NODE, "labels": _node_labels()}, "spec": {}, "status": _node(cluster)}
    )
    lease = {"holderIdentity": NODE, "leaseDurationSeconds": 40, "renewTime": cluster.stamp().replace("Z", ".000000Z")}
    make(cluster, "leases.coordination.k8s.io", {"metadata": {"name": NODE, "namespace": SPACES[1]}, "spec": lease})
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    standard = {"metadata": {"name": "standard", "annotations": default}, "provisioner": "sandbox.kedge.dev/volumes"}
    make(cluster, "storageclasses.storage.k8s.io", standard)
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}
    labels = {"component": "apiserver", "provider": "kubernetes"}
    meta = {"name": "kubernetes", "namespace": "default", "labels": labels}
    make(cluster, "services.", {"metadata": meta, "spec": {"clusterIP": "10.96.0.1", "ports": [port]}})
    for name in ("cluster-admin", "admin", "edit", "view"):
        verbs = ["get", "list", "watch"] if name == "view" else ["*"]
        rule = {**EVERYTHING, "verbs": verbs}
        make(cluster, "clusterroles.rbac.authorization.k8s.io", {"metadata": {"name": name}, "rules": [rule]})
    for name, value in (("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)):
        make(cluster, "priorityclasses.scheduling.k8s.io", {"metadata": {"name": name}, "value": value})


def _node_labels() -> Object:
    return {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}


def _node(cluster: Cluster) -> Object:
    room = {"cpu": "64", "memory": "256Gi", "pods": "10000", "ephemeral-storage": "1Ti"}
    stamp = cluster.stamp()
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
    return {
        "capacity": room,
        "allocatable": room,
        "conditions": [{**ready, "lastHeartbeatTime": stamp, "lastTransitionTime": stamp}],
        "addresses": [{"type": "InternalIP", "address": NODE_IP}, {"type": "Hostname", "address": NODE}],
        "nodeInfo": {
            "kubeletVersion": cluster.options.version, "containerRuntimeVersion": "sandbox://1", "osImage": "none",
            "kernelVersion": "none", "operatingSystem": "linux", "architecture": "amd64", "machineID": "sandbox",
            "systemUUID": "sandbox", "bootID": "sandbox", "kubeProxyVersion": "",
        },
    }  # fmt: skip
