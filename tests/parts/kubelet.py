"""What a kubelet does, as far as Jobs of executions need it: a pod's command as a process of this machine.

KWOK leaves pods with their label alone (`cluster.py`); the API server, the scheduler, the Job controller and the
garbage collector are the real ones. A pod has its own process ids, so that its first process is number 1 and nothing
outlives it; it has no root file system of its own: folders are mounted by giving their paths in place of the pod's.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.parts.api import Api, Refused

import kedge
from kedge.kube.kubeconfig import Access

LABEL = "kedge.dev/execution"
PULLED_NEVER = "registry.example/no/such:image"
_LOOK = 0.05
_ENDED = ("Succeeded", "Failed")
_MERGE = "application/merge-patch+json"
CONTAINED = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "--"]


@dataclass
class Running:
    """One pod's process; `asked` once it was asked to end."""

    process: subprocess.Popen[bytes]
    folder: Path
    asked: bool = False

    @property
    def first(self) -> int:
        """The id of the pod's first process, as seen from outside; 0 where there is none."""
        place = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            return int((place.read_text().split() or ["0"])[0])
        except OSError:
            return 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Kubelet:
    """Runs the pods of a namespace. `environment` is what the image has in its own."""

    access: Access
    namespace: str
    folder: Path
    environment: Mapping[str, str]
    running: dict[str, Running] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    deaf: bool = False
    """Its node does not answer any more."""

    def __post_init__(self) -> None:
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Kubelet:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for one in self.running.values():
            one.kill()

    def _work(self) -> None:
        with closing(Api(self.access)) as api:
            while not self._over.wait(_LOOK):
                try:
                    with self._lock:
                        if not self.deaf:
                            self._look(api)
                except (Refused, OSError, HTTPException):
                    continue  # a pod that went meanwhile, or a server that is away: the next look tells

    def _look(self, api: Api) -> None:
        pods = {pod["metadata"]["name"]: pod for pod in api.call("GET", f"{self._pods}?labelSelector={LABEL}")["items"]}
        for name in [name for name in self.running if name not in pods]:
            self.running.pop(name).kill()
        for name, pod in pods.items():
            self._see(api, name, pod)

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def _see(self, api: Api, name: str, pod: dict[str, Any]) -> None:
        going, leaving = self.running.get(name), "deletionTimestamp" in pod["metadata"]
        if going is None:
            if leaving:
                self._remove(api, name)
            elif pod["spec"].get("nodeName") and pod["status"]["phase"] == "Pending" and name not in self.started:
                self._begin(api, name, pod)
            return
        code = going.process.poll()
        if code is not None:
            self._tell(api, name, "Failed" if code else "Succeeded", terminated={"exitCode": code % 256})
            del self.running[name]
        elif leaving and not going.asked and (first := going.first):  # asked for once: 0 is everybody of our group
            going.asked = True
            os.kill(first, signal.SIGTERM)

    def _remove(self, api: Api, name: str) -> None:
        api.call("DELETE", f"{self._pods}/{name}", {"gracePeriodSeconds": 0})

    def _begin(self, api: Api, name: str, pod: dict[str, Any]) -> None:
        (container,) = pod["spec"]["containers"]
        if container["image"] == PULLED_NEVER:
            reason = {"reason": "ImagePullBackOff", "message": f"Back-off pulling image {PULLED_NEVER}"}
            self._tell(api, name, "Pending", waiting=reason)
            return
        places = {mount["name"]: self.folder / name / mount["name"] for mount in container["volumeMounts"]}
        for volume in pod["spec"]["volumes"]:
            places[volume["name"]].mkdir(parents=True, exist_ok=True)
            if "secret" in volume:
                path = f"/api/v1/namespaces/{self.namespace}/secrets/{volume['secret']['secretName']}"
                for key, value in api.call("GET", path)["data"].items():
                    (places[volume["name"]] / key).write_bytes(b64decode(value))
        inside = {mount["mountPath"]: str(places[mount["name"]]) for mount in container["volumeMounts"]}
        words = [inside.get(word, word) for word in container["command"]]
        words[0] = sys.executable if words[0] == "python" else words[0]
        given = {one["name"]: one["value"] for one in container.get("env", ())}
        home = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(kedge.__file__).parent.parent)}
        with (self.folder / name / "output").open("ab") as output:
            process = subprocess.Popen(
                [*CONTAINED, *words],
                env={**home, **self.environment, **given},
                cwd="/",
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.started.append(name)
        self.running[name] = Running(process, places["execution"])
        self._tell(api, name, "Running", running={"startedAt": "2026-01-01T00:00:00Z"})

    def _tell(self, api: Api, name: str, phase: str, reason: Mapping[str, str] | None = None, **state: Any) -> None:
        told = [{"name": "runner", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}]
        status = {"phase": phase, "containerStatuses": told if state else [], **(reason or {})}
        api.call("PATCH", f"{self._pods}/{name}/status", {"status": status}, _MERGE)

    def evict(self) -> None:
        """Every pod is killed for the sake of others, and the API server is told."""
        self._strike({"reason": "Evicted", "message": "The node was low on resource: memory."})

    def break_down(self) -> None:
        """The machine goes down with all that is on it, and tells nobody."""
        self._strike(None)
        self.deaf = True

    def _strike(self, told: Mapping[str, str] | None) -> None:
        with self._lock, closing(Api(self.access)) as api:
            for name, one in list(self.running.items()):
                one.kill()
                del self.running[name]
                if told is not None:
                    self._tell(api, name, "Failed", told)


def lacking() -> str:
    """Why pods can not be run here, "" where they can."""
    if shutil.which("unshare") is None:
        return "there is no unshare on this machine"
    done = subprocess.run([*CONTAINED, "true"], capture_output=True, text=True)
    return f"a process can not have process ids of its own here: {done.stderr.strip()}" if done.returncode else ""
