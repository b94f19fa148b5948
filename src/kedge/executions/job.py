"""An execution as a Kubernetes Job: what is asked of the cluster, and what its answers mean. Pure.

A pod is given the address of its execution and a token, in a Secret that goes with the Job; everything else it asks
Kedge for (`kedge.ports.Errands`). It has no account in the cluster, and ends as a runner does: an interrupt for its
tool, and minutes.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kedge.executions.admission import EACH
from kedge.executions.folder import LAST_PATIENCE, PATIENCE
from kedge.executions.stream import Mask
from kedge.kube.answer import mapping
from kedge.model.execution import Ending, Execution

EXECUTION = "kedge.dev/execution"
INSTALLATION = "kedge.dev/installation"
UNIT = "kedge.dev/unit"
START = 600.0
"""Seconds within which a pod has to begin."""
ACCESS = "/run/kedge"
FOLDER = "/execution"
_SPARE = 60
"""Seconds for what a runner does before and after its tool, and for a pod to come and go."""
_HOMEWARD = 24 * 3600
"""Seconds for which an ended execution waits for a Kedge that is away: nothing else may have its state."""
_KEPT = 3_600
"""Seconds for which an ended Job can be looked at."""
_AROUND = 256 << 20
"""Bytes of memory for what is around a tool."""
_DISK = "10Gi"
_USER = 65_532
_LONGEST = 500
_ENDED = ("Succeeded", "Failed")
_plain = Mask(())


@dataclass(frozen=True, slots=True)
class Place:
    """Where Jobs run. `image` holds Kedge and the tools, best by its digest; `address` is the URL of Kedge's own server
    as pods reach it; `room` is how many work at once."""

    cluster: str
    namespace: str
    image: str
    address: str
    room: int = 10


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one whose Job was made: `stop` and `late` are why it was given up, "" where it was not;
    `claimed` says whether a pod has become its runner; `since` is in seconds."""

    job: Mapping[str, Any] | None
    pods: Sequence[Mapping[str, Any]]
    claimed: bool
    since: float
    stop: str = ""
    late: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`ending` is set where its process is proven gone and nothing has come of it; `late` why it is to be given up."""

    told: str = ""
    ending: Ending | None = None
    delete: bool = False
    late: str = ""


def name_of(installation: str, id: str) -> str:
    """The name of an execution's Job, of its Secret and of its label: its id, where it can be one."""
    plain = re.sub(r"[^a-z0-9-]+", "-", id.lower()).strip("-")[:40].strip("-")
    return f"kedge-{plain or 'run'}-{hashlib.sha256(f'{installation} {id}'.encode()).hexdigest()[:10]}"


def job(execution: Execution, name: str, place: Place, installation: str) -> dict[str, Any]:
    """Its Job, which begins nothing yet (`suspend`). It is tried once: what a second try would do is for the road to
    decide."""
    patience = int(PATIENCE + LAST_PATIENCE) + _SPARE
    labels = {EXECUTION: name, INSTALLATION: installation, "app.kubernetes.io/managed-by": "kedge"}
    notes = {UNIT: execution.unit, EXECUTION: execution.id}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": patience,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(execution, place)],
        "volumes": [
            {"name": "access", "secret": {"secretName": name, "defaultMode": 0o440}},
            {"name": "execution", "emptyDir": {"sizeLimit": _DISK}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": place.namespace, "labels": labels, "annotations": notes},
        "spec": {
            "suspend": True,
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": int(START + execution.timeout) + patience + _HOMEWARD,
            "ttlSecondsAfterFinished": _KEPT,
            "template": {"metadata": {"labels": labels, "annotations": notes}, "spec": pod},
        },
    }


def _container(execution: Execution, place: Place) -> dict[str, Any]:
    return {
        "name": "runner",
        "image": place.image,
        "command": ["python", "-P", "-m", "kedge.pod", ACCESS, FOLDER],
        "resources": {
            "requests": {"memory": str(min(EACH, execution.memory)), "cpu": "250m"},
            "limits": {"memory": str(execution.memory + _AROUND)},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "access", "mountPath": ACCESS, "readOnly": True},
            {"name": "execution", "mountPath": FOLDER},
        ],
    }


def secret(made: Mapping[str, Any], address: str, token: str) -> dict[str, Any]:
    """What a pod of the Job `made`, as the cluster answered it, is given. It goes when the Job does."""
    metadata = made["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
    given = {"address": address, "token": token}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": metadata["labels"],
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": False}],
        },
        "immutable": True,
        "data": {name: b64encode(text.encode()).decode() for name, text in given.items()},
    }


def judge(facts: Facts) -> Judgement:
    """What to do about one, from what the cluster says.

    Its process is gone when no pod of it is left that has not ended, and its Job makes none any more. A pod whose node
    does not answer is left in the cluster until the node does, or until somebody says that it is gone (as StatefulSets
    rely on).
    """
    live = [pod for pod in facts.pods if mapping(pod.get("status")).get("phase") not in _ENDED]
    if not live and (facts.job is None or _over(facts.job, claimed=facts.claimed)):
        return _ended(facts)
    told = "" if facts.claimed else (_hindered(live) or "its pod is being made")
    if facts.stop or facts.late:
        return Judgement(told, delete=facts.job is not None)
    if not facts.claimed and facts.since > START:
        reason = f"its pod did not begin within {START:.0f} s: {told}"
        return Judgement(told, delete=facts.job is not None, late=reason)
    return Judgement(told)


def _ended(facts: Facts) -> Judgement:
    if facts.claimed:
        return Judgement(_why(facts), Ending.LOST)
    if facts.stop:
        return Judgement(facts.stop, Ending.STOPPED)
    return Judgement(facts.late or f"its pod never began: {_why(facts)}", Ending.FAILED)


def _over(job: Mapping[str, Any], *, claimed: bool) -> bool:
    """A Job that was suspended by hand may go on, but not one whose only pod had begun: it is handed out once."""
    suspended = mapping(job.get("spec")).get("suspend") is True
    return (suspended and claimed) or bool(_condition(job, "Complete") or _condition(job, "Failed"))


def _condition(of: Mapping[str, Any], kind: str, status: str = "True") -> Mapping[str, Any]:
    found = mapping(of.get("status")).get("conditions")
    conditions = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return next((one for one in conditions if (one.get("type"), one.get("status")) == (kind, status)), {})


def _why(facts: Facts) -> str:
    """Why a pod is gone, in the cluster's words."""
    said = [text for pod in facts.pods for text in _last_words(pod)]
    if facts.job is None:
        said.append("its Job was deleted")
    else:
        said.append(_told(_condition(facts.job, "Failed")))
    known = list(dict.fromkeys(text for text in said if text))
    return "; ".join(known) or "its pod is gone"


def _last_words(pod: Mapping[str, Any]) -> list[str]:
    ended = mapping(_state(pod).get("terminated"))
    code = f"its runner ended with {ended.get('exitCode')}" if ended else ""
    return [_told(mapping(pod.get("status"))), _told(_condition(pod, "DisruptionTarget")), code, _told(ended)]


def _hindered(pods: Sequence[Mapping[str, Any]]) -> str:
    """What keeps a pod from beginning."""
    for pod in pods:
        waits = _told(mapping(_state(pod).get("waiting"))) or _told(_condition(pod, "PodScheduled", "False"))
        if waits:
            return f"its pod waits: {waits}"
    running = any(mapping(pod.get("status")).get("phase") == "Running" for pod in pods)
    return "its pod runs, and has not reached Kedge yet (KEDGE_JOBS_ADDRESS)" if running else ""


def _state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    found = mapping(pod.get("status")).get("containerStatuses")
    first = found[0] if isinstance(found, list) and found else {}
    return mapping(mapping(first).get("state"))


def _told(of: Mapping[str, Any]) -> str:
    """The reason and message of a condition or state, on one line."""
    words = [" ".join(_plain(str(of.get(name) or "")).split())[:_LONGEST] for name in ("reason", "message")]
    return ": ".join(word for word in words if word)
