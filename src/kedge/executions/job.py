"""An execution as a Kubernetes Job: the same runner and the same folder, on a volume that both share. Pure.

A pod sees its own folder, that of the execution whose plan it applies, and what all share (configuration, providers);
no other. It has no account in the cluster, and ends as a runner does: an interrupt for its tool, and minutes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kedge.executions.admission import EACH
from kedge.executions.folder import LAST_PATIENCE, Request
from kedge.model.errors import Invalid

EXECUTION = "kedge.dev/execution"
UNIT = "kedge.dev/unit"
_SPARE = 30
"""Seconds for what a runner does before and after its tool, and for a pod to come and go."""
_KEPT = 3_600
"""Seconds for which an ended Job can be looked at."""
_USER = 65_532


@dataclass(frozen=True, slots=True)
class Place:
    """Where Jobs run. `image` holds Kedge and the tools, best by its digest; `claim` is the volume claim with the
    folders, of which `root` is the path in the controller and in every pod, and `inside` that within the volume;
    `account` the service account, for clouds that know pods by theirs."""

    namespace: str
    image: str
    claim: str
    root: str
    inside: str = "executions"
    account: str = ""


def name_of(id: str) -> str:
    """A Job's name for an execution: its id, where it can be one."""
    plain = re.sub(r"[^a-z0-9-]+", "-", id.lower()).strip("-")[:40]
    return f"kedge-{plain}-{hashlib.sha256(id.encode()).hexdigest()[:8]}"


def job(request: Request, place: Place) -> dict[str, Any]:
    """The Job of an execution. It is tried once: what a second try would do is for the road to decide. Raises Invalid
    where the plan's folder is not on the volume."""
    patience = int(request.patience + min(LAST_PATIENCE, request.patience)) + _SPARE
    labels = {EXECUTION: name_of(request.id), "app.kubernetes.io/managed-by": "kedge"}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": bool(place.account),
        **({"serviceAccountName": place.account} if place.account else {}),
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": patience,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(request, place)],
        "volumes": [{"name": "executions", "persistentVolumeClaim": {"claimName": place.claim}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name_of(request.id),
            "namespace": place.namespace,
            "labels": labels,
            "annotations": {UNIT: request.unit},
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "activeDeadlineSeconds": int(request.timeout) + patience,
            "ttlSecondsAfterFinished": _KEPT,
            "template": {"metadata": {"labels": labels, "annotations": {UNIT: request.unit}}, "spec": pod},
        },
    }


def _container(request: Request, place: Place) -> dict[str, Any]:
    return {
        "name": "runner",
        "image": place.image,
        "command": ["python", "-P", "-m", "kedge.executions.runner", f"{place.root}/{request.id}"],
        "resources": {
            "requests": {"memory": str(min(EACH, request.memory)), "cpu": "250m"},
            "limits": {"memory": str(request.memory)},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(request, place),
    }


def _mounts(request: Request, place: Place) -> list[Mapping[str, Any]]:
    """Each at the path that it has in the controller: what was planned with absolute paths is applied with them."""
    seen = {f"{place.root}/{request.id}": False}
    if request.place:
        seen[request.place] = False
    if request.cache:
        seen[request.cache] = False
    if request.cli_config:
        seen[request.cli_config] = True
    mounts: list[Mapping[str, Any]] = []
    for path, fixed in seen.items():
        inner = f"{place.inside}/{_within(path, place.root)}".lstrip("/")
        mounts.append(
            {"name": "executions", "mountPath": path, "subPath": inner, **({"readOnly": True} if fixed else {})}
        )
    return mounts


def _within(path: str, root: str) -> str:
    try:
        return str(PurePosixPath(path).relative_to(root))
    except ValueError:
        raise Invalid(f"{path} is not on the volume of the executions, {root}: a Job can not have it") from None
