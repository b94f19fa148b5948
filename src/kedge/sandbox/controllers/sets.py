"""StatefulSets, in order, and DaemonSets, one pod on each node."""

from __future__ import annotations

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.controllers.making import digest, end, is_active, is_ready, make, owned, phase_of, pod_of, room
from kedge.sandbox.store import Place, Stored
from kedge.sandbox.wire import Object, copied

STATEFUL, DAEMON, PODS, CLAIMS = "statefulsets.apps", "daemonsets.apps", "pods.", "persistentvolumeclaims."
MARK = "controller-revision-hash"


def stateful_set(cluster: Cluster, place: Place, stored: Stored) -> None:
    """The next pod up, the last pod down, or one pod replaced; never two at once unless it may go in parallel."""
    if stored.meta.get("deletionTimestamp"):
        return
    spec = stored.obj["spec"]
    mark = f"{place.name}-{digest(spec['template'])}"
    pods = {_ordinal(pod): pod for pod in cluster.store.owned_by(stored.uid, PODS)}
    first = (spec.get("ordinals") or {}).get("start", 0)
    span = range(first, first + spec["replicas"])
    parallel = spec.get("podManagementPolicy") == "Parallel"
    _fill(cluster, place, stored, pods, span, mark, parallel)
    _shrink(cluster, pods, span, parallel)
    _replace(cluster, stored, pods, span, mark)
    _tell_stateful(cluster, stored, mark)


def _ordinal(pod: Stored) -> int:
    tail = pod.meta["name"].rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1


def _fill(
    cluster: Cluster, place: Place, stored: Stored, pods: dict[int, Stored], span: range, mark: str, parallel: bool
) -> None:
    free = room(cluster, place, stored, len(span) - sum(1 for number in pods if number in span))
    for number in span:
        pod = pods.get(number)
        if pod is not None and phase_of(pod) in ("Failed", "Succeeded") and not pod.meta.get("deletionTimestamp"):
            end(cluster, PODS, pod)
            return
        if pod is None:
            if not free:
                return
            free -= 1
            _make_pod(cluster, place, stored, number, mark)
        if not parallel and (pod is None or not is_ready(pod) or pod.meta.get("deletionTimestamp")):
            return


def _make_pod(cluster: Cluster, place: Place, stored: Stored, number: int, mark: str) -> None:
    spec = stored.obj["spec"]
    name = f"{place.name}-{number}"
    template: Object = copied(spec["template"])
    template["spec"].setdefault("hostname", name)
    if spec.get("serviceName"):
        template["spec"].setdefault("subdomain", spec["serviceName"])
    volumes = template["spec"].setdefault("volumes", []) if spec.get("volumeClaimTemplates") else []
    for claim in spec.get("volumeClaimTemplates") or ():
        wanted = f"{claim['metadata']['name']}-{name}"
        if cluster.store.get(CLAIMS, place.namespace, wanted) is None:
            labels = {**(claim["metadata"].get("labels") or {}), **((spec["selector"] or {}).get("matchLabels") or {})}
            meta = {"name": wanted, "namespace": place.namespace, "labels": labels}
            make(cluster, CLAIMS, {"metadata": meta, "spec": claim["spec"]})
        volumes.append({"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": wanted}})
    labels = {"statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(number), MARK: mark}
    owners = owned(cluster.stored_as[STATEFUL], stored)
    make(cluster, PODS, pod_of(template, name, place.namespace, owners, labels))


def _shrink(cluster: Cluster, pods: dict[int, Stored], span: range, parallel: bool) -> None:
    for number in sorted(pods, reverse=True):
        if number in span:
            continue
        if not pods[number].meta.get("deletionTimestamp"):
            end(cluster, PODS, pods[number])
        if not parallel:
            return


def _replace(cluster: Cluster, stored: Stored, pods: dict[int, Stored], span: range, mark: str) -> None:
    strategy = stored.obj["spec"]["updateStrategy"]
    if strategy["type"] != "RollingUpdate" or any(number not in pods for number in span):
        return
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    for number in reversed(span):
        pod = pods[number]
        if number < partition or pod.meta.get("deletionTimestamp"):
            return
        if (pod.meta.get("labels") or {}).get(MARK) != mark:
            end(cluster, PODS, pod)
            return
        if not is_ready(pod):
            return


def _tell_stateful(cluster: Cluster, stored: Stored, mark: str) -> None:
    before, spec = stored.obj.get("status") or {}, stored.obj["spec"]
    pods = [pod for pod in cluster.store.owned_by(stored.uid, PODS) if is_active(pod)]
    ready = sum(map(is_ready, pods))
    updated = sum(1 for pod in pods if (pod.meta.get("labels") or {}).get(MARK) == mark)
    current = before.get("currentRevision") or mark
    if updated == spec["replicas"] and ready == spec["replicas"] and len(pods) == spec["replicas"]:
        current = mark
    held = sum(1 for pod in pods if (pod.meta.get("labels") or {}).get(MARK) == current)
    status: Object = {
        "observedGeneration": stored.meta.get("generation", 1),
        "replicas": len(pods),
        "readyReplicas": ready,
        "currentReplicas": held,
        "updatedReplicas": updated,
        "availableReplicas": ready,
        "currentRevision": current,
        "updateRevision": mark,
        "collisionCount": 0,
    }
    keep = ("availableReplicas", "replicas", "collisionCount")
    cluster.write(stored, STATEFUL, status={key: value for key, value in status.items() if value or key in keep})


def daemon_set(cluster: Cluster, place: Place, stored: Stored) -> None:
    """One pod on each node; an outdated one is replaced at a time."""
    if stored.meta.get("deletionTimestamp"):
        return
    spec = stored.obj["spec"]
    mark = digest(spec["template"])
    pods = [pod for pod in cluster.store.owned_by(stored.uid, PODS) if is_active(pod)]
    by_node = {pod.obj["spec"].get("nodeName"): pod for pod in pods}
    nodes = [node.meta["name"] for node in cluster.store.scan("nodes.")]
    labels = {MARK: mark, "pod-template-generation": str(stored.meta.get("generation", 1))}
    for node in nodes:
        if node not in by_node:
            name = f"{place.name}-{cluster.suffix()}"
            pod = pod_of(spec["template"], name, place.namespace, owned(cluster.stored_as[DAEMON], stored), labels)
            pods.append(make(cluster, PODS, {**pod, "spec": {**pod["spec"], "nodeName": node}}))
    outdated = [pod for pod in pods if (pod.meta.get("labels") or {}).get(MARK) != mark]
    if outdated and spec["updateStrategy"]["type"] == "RollingUpdate":
        end(cluster, PODS, outdated[0])
        pods.remove(outdated[0])
    ready = sum(map(is_ready, pods))
    updated = sum(1 for pod in pods if (pod.meta.get("labels") or {}).get(MARK) == mark)
    status: Object = {
        "currentNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "desiredNumberScheduled": len(nodes),
        "numberReady": ready,
        "observedGeneration": stored.meta.get("generation", 1),
        "updatedNumberScheduled": updated,
        "numberAvailable": ready,
        "numberUnavailable": len(nodes) - ready,
    }
    for key in ("updatedNumberScheduled", "numberAvailable", "numberUnavailable"):
        if not status[key]:
            del status[key]
    cluster.write(stored, DAEMON, status=status)
