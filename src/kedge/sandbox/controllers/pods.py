"""Pods: scheduled onto the one node, started, ready, done, or failing in the way that was asked for."""

from __future__ import annotations

import zlib

from kedge.sandbox.cluster import Cluster, epoch_of
from kedge.sandbox.controllers.making import FAIL, asked, condition, delay_of, event
from kedge.sandbox.store import Place, Stored
from kedge.sandbox.wire import Object

NODE = "sandbox"
NODE_IP = "172.18.0.2"
PULL_FAILS = "ImagePullBackOff"
CRASHES = "CrashLoopBackOff"
NOT_READY = ("Never", "ProgressDeadlineExceeded")


def step(cluster: Cluster, place: Place, pod: Stored) -> None:
    """One step of one pod."""
    if pod.meta.get("deletionTimestamp"):
        _end(cluster, place, pod)
        return
    status = pod.obj.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return
    if not pod.obj["spec"].get("nodeName") or not status.get("startTime"):
        _schedule(cluster, place, pod)
        return
    began = cluster.instants.setdefault(pod.uid, epoch_of(status["startTime"]))
    ready_at = began + delay_of(cluster, pod, cluster.options.start)
    now = cluster.now()
    if now < ready_at:
        cluster.wake(place, ready_at - now)
        return
    mode = failure(cluster, pod)
    if mode in (PULL_FAILS, CRASHES):
        _stuck(cluster, pod, mode)
    elif pod.obj["spec"].get("restartPolicy") == "Always" or mode in NOT_READY:
        _run(cluster, pod, ready=mode not in NOT_READY)
    else:
        _work(cluster, place, pod, ready_at + cluster.options.work, failed=mode == "JobFailed")


def failure(cluster: Cluster, pod: Stored) -> str:
    """How this pod shall fail; "" when it shall not."""
    mode = asked(cluster, pod, FAIL)
    if mode:
        return mode
    images = [item.get("image", "") for item in pod.obj["spec"]["containers"]]
    return PULL_FAILS if any(image.endswith(":broken") for image in images) else ""


def _end(cluster: Cluster, place: Place, pod: Stored) -> None:
    grace = pod.meta.get("deletionGracePeriodSeconds", 0)
    began = epoch_of(pod.meta["deletionTimestamp"]) - grace
    since = cluster.instants.setdefault(pod.uid + "/end", max(began, cluster.now() if grace else began))
    left = since + min(cluster.options.grace, grace) - cluster.now()
    if left > 0:
        cluster.wake(place, left)
        return
    cluster.instants.pop(pod.uid + "/end", None)
    if pod.meta.get("finalizers"):
        if grace:
            meta = {**pod.meta, "deletionGracePeriodSeconds": 0}
            cluster.write(pod, place.key, metadata=meta)
    else:
        cluster.store.remove(place)


def _schedule(cluster: Cluster, place: Place, pod: Stored) -> None:
    obj = pod.obj
    spec = {**obj["spec"], "nodeName": obj["spec"].get("nodeName") or NODE}
    made = _status(cluster, pod, "Pending", ready=False, reason="ContainersNotReady")
    made["startTime"] = cluster.stamp()
    made["containerStatuses"] = [
        _container(item, {"waiting": {"reason": "ContainerCreating"}}) for item in spec["containers"]
    ]
    cluster.instants[pod.uid] = cluster.now()
    cluster.write(pod, place.key, spec=spec, status=made)
    message = f"Successfully assigned {place.namespace}/{place.name} to {NODE}"
    event(cluster, pod, "Scheduled", message, source="default-scheduler")


def _run(cluster: Cluster, pod: Stored, ready: bool) -> None:
    made = _status(cluster, pod, "Running", ready, "" if ready else "ContainersNotReady")
    state = {"running": {"startedAt": _began(pod, cluster)}}
    made["containerStatuses"] = [_container(item, state, ready, True) for item in pod.obj["spec"]["containers"]]
    cluster.write(pod, "pods.", status=_kept(pod, made))


def _work(cluster: Cluster, place: Place, pod: Stored, until: float, failed: bool) -> None:
    now = cluster.now()
    if now < until:
        _run(cluster, pod, ready=True)
        cluster.wake(place, until - now)
        return
    code = 1 if failed else 0
    reason = "Error" if failed else "Completed"
    ended = {"exitCode": code, "reason": reason, "startedAt": _began(pod, cluster), "finishedAt": cluster.stamp()}
    made = _status(cluster, pod, "Failed" if failed else "Succeeded", False, "PodFailed" if failed else "PodCompleted")
    made["containerStatuses"] = [_container(item, {"terminated": ended}) for item in pod.obj["spec"]["containers"]]
    cluster.write(pod, "pods.", status=_kept(pod, made))


def _stuck(cluster: Cluster, pod: Stored, mode: str) -> None:
    image = pod.obj["spec"]["containers"][0].get("image", "")
    name = pod.obj["spec"]["containers"][0]["name"]
    if mode == PULL_FAILS:
        made = _status(cluster, pod, "Pending", False, "ContainersNotReady")
        told = f'Back-off pulling image "{image}"'
        state = {"waiting": {"reason": mode, "message": told}}
        statuses = [_container(item, state) for item in pod.obj["spec"]["containers"]]
    else:
        made = _status(cluster, pod, "Running", False, "ContainersNotReady")
        told = (
            f"back-off 10s restarting failed container={name} pod={pod.meta['name']}_{pod.meta['namespace']}({pod.uid})"
        )
        state = {"waiting": {"reason": mode, "message": told}}
        ended = {
            "exitCode": 1,
            "reason": "Error",
            "startedAt": _began(pod, cluster),
            "finishedAt": _began(pod, cluster),
        }
        statuses = [
            {**_container(item, state), "restartCount": 2, "lastState": {"terminated": ended}}
            for item in pod.obj["spec"]["containers"]
        ]
    made["containerStatuses"] = statuses
    written = cluster.write(pod, "pods.", status=_kept(pod, made))
    if written is not pod:
        event(cluster, pod, "BackOff" if mode == CRASHES else "Failed", told, warning=True)


def _began(pod: Stored, cluster: Cluster) -> str:
    return str((pod.obj.get("status") or {}).get("startTime") or cluster.stamp())


def _kept(pod: Stored, made: Object) -> Object:
    before = pod.obj.get("status") or {}
    return {**{key: before[key] for key in ("startTime", "podIP", "podIPs") if key in before}, **made}


def _status(cluster: Cluster, pod: Stored, phase: str, ready: bool, reason: str = "") -> Object:
    before = (pod.obj.get("status") or {}).get("conditions")
    told = "" if ready or phase == "Succeeded" else "containers with unready status: [" + _names(pod) + "]"
    word = "True" if ready else "False"
    conditions = [
        condition(cluster, before, "PodReadyToStartContainers", "True" if phase == "Running" else "False"),
        condition(cluster, before, "Initialized", "True", "PodCompleted" if phase == "Succeeded" else ""),
        condition(cluster, before, "Ready", word, reason, told),
        condition(cluster, before, "ContainersReady", word, reason, told),
        condition(cluster, before, "PodScheduled", "True"),
    ]
    made: Object = {"phase": phase, "conditions": conditions, "hostIP": NODE_IP, "hostIPs": [{"ip": NODE_IP}]}
    if phase in ("Running", "Succeeded", "Failed"):
        drawn = zlib.crc32(pod.uid.encode())
        address = f"10.244.{drawn // 254 % 256}.{drawn % 254 + 1}"
        made |= {"podIP": address, "podIPs": [{"ip": address}]}
    made["qosClass"] = (
        "BestEffort" if not any(item.get("resources") for item in pod.obj["spec"]["containers"]) else "Burstable"
    )
    if pod.meta.get("generation"):
        made["observedGeneration"] = pod.meta["generation"]
    return made


def _names(pod: Stored) -> str:
    return " ".join(item["name"] for item in pod.obj["spec"]["containers"])


def _container(item: Object, state: Object, ready: bool = False, started: bool = False) -> Object:
    made = {"name": item["name"], "image": item.get("image", ""), "imageID": "", "ready": ready, "restartCount": 0}
    return {**made, "started": started, "state": state, "lastState": {}}
