"""Controllers of one object each: addresses, claims, budgets, autoscalers."""

from __future__ import annotations

import zlib

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.controllers.making import FAIL, asked, condition, delay_of, is_active, is_ready, make
from kedge.sandbox.controllers.rollouts import portion
from kedge.sandbox.selectors import all_hold, of_label_selector
from kedge.sandbox.store import Place, Stored
from kedge.sandbox.tables import at
from kedge.sandbox.wire import Object

CLAIMS, VOLUMES = "persistentvolumeclaims.", "persistentvolumes."


def held_back(cluster: Cluster, place: Place, stored: Stored) -> bool:
    """Whether the object asks to fail for ever, or to wait a while longer."""
    if asked(cluster, stored, FAIL):
        return True
    since = cluster.instants.setdefault(stored.uid, cluster.now())
    left = since + delay_of(cluster, stored, 0.0) - cluster.now()
    if left > 0:
        cluster.wake(place, left)
    return left > 0


def _ip(stored: Stored) -> str:
    drawn = zlib.crc32(stored.uid.encode())
    return f"172.18.{255 - drawn // 254 % 8}.{drawn % 254 + 1}"


def service(cluster: Cluster, place: Place, stored: Stored) -> None:
    """A load balancer gets an address; what is none any more loses it."""
    balanced = stored.obj["spec"].get("type") == "LoadBalancer"
    if balanced and at(stored.obj, "status.loadBalancer.ingress"):
        return
    if not balanced:
        if at(stored.obj, "status.loadBalancer"):
            cluster.write(stored, place.key, status={"loadBalancer": {}})
        return
    if not held_back(cluster, place, stored):
        ingress = [{"ip": _ip(stored), "ipMode": "VIP"}]
        cluster.write(
            stored, place.key, status={**(stored.obj.get("status") or {}), "loadBalancer": {"ingress": ingress}}
        )


def ingress(cluster: Cluster, place: Place, stored: Stored) -> None:
    if at(stored.obj, "status.loadBalancer.ingress") or held_back(cluster, place, stored):
        return
    cluster.write(stored, place.key, status={"loadBalancer": {"ingress": [{"ip": _ip(stored)}]}})


def claim(cluster: Cluster, place: Place, stored: Stored) -> None:
    """Binds a claim to a volume made for it; lets a claim go that no pod uses."""
    if stored.meta.get("deletionTimestamp"):
        _release_claim(cluster, place, stored)
        return
    spec = stored.obj["spec"]
    if at(stored.obj, "status.phase") == "Bound" or held_back(cluster, place, stored):
        return
    name = spec.get("volumeName") or f"pvc-{stored.uid}"
    size = {"storage": at(spec, "resources.requests.storage", "1Gi")}
    if cluster.store.get(VOLUMES, "", name) is None:
        reference = {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "namespace": place.namespace,
            "name": place.name,
        }
        volume: Object = {
            "capacity": size,
            "accessModes": spec["accessModes"],
            "claimRef": {**reference, "uid": stored.uid},
            "hostPath": {"path": f"/sandbox/{name}"},
            "persistentVolumeReclaimPolicy": "Delete",
        }
        if spec.get("storageClassName"):
            volume["storageClassName"] = spec["storageClassName"]
        make(cluster, VOLUMES, {"metadata": {"name": name}, "spec": volume, "status": {"phase": "Bound"}})
    status = {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": size}
    cluster.write(stored, place.key, spec={**spec, "volumeName": name}, status=status)


def _release_claim(cluster: Cluster, place: Place, stored: Stored) -> None:
    protection = "kubernetes.io/pvc-protection"
    if protection not in (stored.meta.get("finalizers") or ()):
        return
    for pod in cluster.store.scan("pods.", place.namespace):
        for volume in pod.obj["spec"].get("volumes") or ():
            if at(volume, "persistentVolumeClaim.claimName") == place.name and is_active(pod):
                cluster.wake(place, 1.0)
                return
    volume_name = stored.obj["spec"].get("volumeName", "")
    kept = [item for item in stored.meta["finalizers"] if item != protection]
    meta = {
        key: value
        for key, value in {**stored.meta, "finalizers": kept}.items()
        if value or key == "deletionGracePeriodSeconds"
    }
    cluster.write(stored, place.key, metadata=meta)
    if not kept:
        cluster.store.remove(place)
    volume_stored = cluster.store.get(VOLUMES, "", volume_name)
    if volume_stored is not None and at(volume_stored.obj, "spec.persistentVolumeReclaimPolicy") == "Delete":
        cluster.store.remove(Place(VOLUMES, "", volume_name))


def autoscaler(cluster: Cluster, place: Place, stored: Stored) -> None:
    """Scales nothing, and says that all is well with what it finds."""
    target = stored.obj["spec"]["scaleTargetRef"]
    group = str(target.get("apiVersion", "")).rpartition("/")[0]
    kind = next((item for item in cluster.kinds() if item.group == group and item.kind == target.get("kind")), None)
    found = cluster.store.get(kind.key, place.namespace, target.get("name", "")) if kind else None
    before = (stored.obj.get("status") or {}).get("conditions")
    if found is None:
        told = f"the HPA controller was unable to get the target's current scale: {target.get('name')} not found"
        conditions = [condition(cluster, before, "AbleToScale", "False", "FailedGetScale", told)]
        cluster.write(
            stored, place.key, status={"desiredReplicas": 0, "currentMetrics": None, "conditions": conditions}
        )
        cluster.wake(place, 1.0)
        return
    count = at(found.obj, "spec.replicas", 0)
    conditions = [
        condition(cluster, before, "AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"),
        condition(
            cluster,
            before,
            "ScalingActive",
            "True",
            "ValidMetricFound",
            "the HPA was able to compute the replica count",
        ),
        condition(
            cluster, before, "ScalingLimited", "False", "DesiredWithinRange", "the desired count is within the range"
        ),
    ]
    status = {"currentReplicas": count, "desiredReplicas": count, "currentMetrics": None, "conditions": conditions}
    cluster.write(stored, place.key, status=status)


def budget(cluster: Cluster, place: Place, stored: Stored) -> None:
    """How many of the pods it selects may be missed; looked at again while that may change."""
    spec = stored.obj.get("spec") or {}
    terms = of_label_selector(spec.get("selector"))
    pods = [
        pod for pod in cluster.store.scan("pods.", place.namespace)
        if is_active(pod) and terms and all_hold(terms, pod.meta.get("labels") or {})
    ]  # fmt: skip
    healthy, expected = sum(map(is_ready, pods)), len(pods)
    if "maxUnavailable" in spec:
        wanted = max(0, expected - portion(spec["maxUnavailable"], expected, up=True))
    else:
        wanted = portion(spec.get("minAvailable", 1), expected, up=True)
    allowed = max(0, healthy - wanted)
    before = (stored.obj.get("status") or {}).get("conditions")
    word, reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    found = {
        **condition(cluster, before, "DisruptionAllowed", word, reason, " "),
        "observedGeneration": stored.meta.get("generation", 1),
        "message": "",
    }
    status = {
        "observedGeneration": stored.meta.get("generation", 1),
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": wanted,
        "expectedPods": expected,
        "conditions": [found],
    }
    cluster.write(stored, place.key, status=status)
    if healthy < expected or not expected:
        cluster.wake(place, 1.0)


def api_service(cluster: Cluster, place: Place, stored: Stored) -> None:
    before = (stored.obj.get("status") or {}).get("conditions")
    if stored.obj["spec"].get("service") is None:
        found = condition(cluster, before, "Available", "True", "Local", "Local APIServices are always available")
    else:
        found = condition(
            cluster, before, "Available", "False", "ServiceNotFound", "the sandbox serves no other API servers"
        )
    cluster.write(stored, place.key, status={"conditions": [found]})
