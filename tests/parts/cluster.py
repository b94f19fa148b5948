"""A real Kubernetes on loopback: etcd, API server, controllers, scheduler, and one node by KWOK.

`make cluster` runs it in the foreground. Everything it makes is in one folder, in memory where there is room, that
is removed with it; what a killed run left behind is removed by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

from scripts.build_parts import KUBERNETES, KWOK
from tests.parts.api import Api, access_of
from tests.parts.authority import Authority
from tests.parts.patience import until
from tests.parts.ports import held_ports
from tests.parts.programs import Broken, Programs, missing

PREFIX = "kedge-cluster-"
PATIENCE = 180.0
"""Seconds for all of it to come up; it takes 3 to 6 where nobody else works."""
SHARED_MEMORY = Path("/dev/shm")
ROOM = 1 << 30
FORGOTTEN = 60.0
"""Seconds after which a folder that nobody holds was left behind by somebody."""
UNTOUCHED = """    - key: '.metadata.labels["kedge.dev/execution"]'
      operator: 'DoesNotExist'
"""
STAGES = ("pod/fast", "node/fast", "node/heartbeat")
NODE = "node-1"
Plane = TypeVar("Plane", bound="ControlPlane")


@dataclass
class ControlPlane:
    """Five programs in `folder`, which exists and is empty."""

    folder: Path
    ports: list[int] = field(init=False)
    """The API server's, those of etcd, and the issuer's: nobody else's until the end, served or not."""

    def __post_init__(self) -> None:
        self.holding = ExitStack()
        self.ports = self.holding.enter_context(held_ports(4))
        self.programs = Programs(self.folder)
        self.authority = Authority(self.folder)

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.ports[0]}"

    @property
    def issuer(self) -> str:
        """Where the API server looks for an OpenID Connect provider; its certificate is the API server's."""
        return f"https://127.0.0.1:{self.ports[3]}"

    @property
    def database(self) -> str:
        """Where etcd answers."""
        return f"http://127.0.0.1:{self.ports[1]}"

    @property
    def kubeconfig(self) -> Path:
        return self.authority.kubeconfig()

    def start(self) -> None:
        """Answers when a Deployment would roll out. Raises Broken with the end of a log."""
        self.authority.write(self.server)
        (self.folder / "issuer").write_text(self.issuer)
        (self.folder / "database").write_text(self.database)
        with closing(Api(access_of(self.kubeconfig))) as api:
            self.bring_up(api)

    def bring_up(self, api: Api) -> None:
        self.programs.start("etcd", self.etcd())
        self.programs.start("kube-apiserver", self.api_server())
        self.wait("the API server", lambda: api.there("/readyz"))
        self.programs.start("kube-controller-manager", self.controllers())
        self.programs.start("kube-scheduler", self.scheduler())
        self.programs.start("kwok", self.nodes())
        api.call("POST", "/api/v1/nodes", node(NODE))
        self.wait(
            "the default service account", lambda: api.there("/api/v1/namespaces/default/serviceaccounts/default")
        )
        self.wait("the namespace's CA", lambda: api.there("/api/v1/namespaces/default/configmaps/kube-root-ca.crt"))
        self.wait("a ready node", lambda: ready(api))

    def end(self) -> None:
        self.programs.end()
        self.holding.close()

    def wait(self, what: str, there: Callable[[], bool]) -> None:
        def alive() -> bool:
            self.programs.check()
            return there()

        if not until(alive, bool, PATIENCE):
            log = self.programs.said("kube-apiserver")
            raise Broken(f"{what} is not there after {PATIENCE:.0f} s; the API server's log ends:\n{log}")

    def etcd(self) -> list[str | Path]:
        client, peer = self.database, f"http://127.0.0.1:{self.ports[2]}"
        return [
            *(KUBERNETES.program, "etcd", "--name=only", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=only={peer}"),
            "--log-level=warn",
        ]

    def api_server(self) -> list[str | Path]:
        keys = self.folder
        return [
            *(KUBERNETES.program, "kube-apiserver", f"--etcd-servers={self.database}"),
            *("--bind-address=127.0.0.1", f"--secure-port={self.ports[0]}"),
            # Nobody reaches the server by its Service here, and an endpoint on loopback would be refused.
            *("--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"),
            *(f"--tls-cert-file={self.authority.certificate}", f"--tls-private-key-file={keys / 'tls.key'}"),
            *("--authorization-mode=RBAC", f"--token-auth-file={keys / 'tokens.csv'}", "--anonymous-auth=false"),
            *("--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16"),
            f"--service-account-key-file={keys / 'accounts.pub'}",
            f"--service-account-signing-key-file={keys / 'accounts.key'}",
            "--profiling=false",
            # Looked for every 10 s for as long as nobody is there: tests of providers serve it (`issuer`).
            *(f"--oidc-issuer-url={self.issuer}", f"--oidc-ca-file={self.authority.certificate}"),
            *("--oidc-client-id=kubernetes", "--oidc-username-prefix=oidc:", "--oidc-groups-claim=groups"),
        ]

    def controllers(self) -> list[str | Path]:
        return [
            *(
                KUBERNETES.program,
                "kube-controller-manager",
                f"--kubeconfig={self.authority.kubeconfig('controllers')}",
            ),
            *("--leader-elect=false", "--secure-port=0", "--controllers=*,-node-ipam-controller"),
            *("--kube-api-qps=400", "--kube-api-burst=800", "--profiling=false"),
            # An autoscaler is looked at every 15 s otherwise: too long for a test to wait.
            "--horizontal-pod-autoscaler-sync-period=1s",
            f"--service-account-private-key-file={self.folder / 'accounts.key'}",
            f"--root-ca-file={self.authority.certificate}",
        ]

    def scheduler(self) -> list[str | Path]:
        return [
            *(KUBERNETES.program, "kube-scheduler", f"--kubeconfig={self.authority.kubeconfig('scheduler')}"),
            *("--leader-elect=false", "--secure-port=0", "--kube-api-qps=400", "--kube-api-burst=800"),
            "--profiling=false",
        ]

    def nodes(self) -> list[str | Path]:
        kept = KWOK.folder / "kustomize" / "stage"
        stages = sorted(file for stage in STAGES for file in (kept / stage).glob("*.yaml"))
        files = [self.staged(file) for file in stages if file.name != "kustomization.yaml"]
        return [
            *(KWOK.program, f"--kubeconfig={self.authority.kubeconfig('kwok')}", "--manage-all-nodes=true"),
            *("--node-ip=127.0.0.1", "--cidr=10.244.0.0/16"),
            *(f"--config={file}" for file in files),
        ]

    def staged(self, file: Path) -> Path:
        """A stage of pods that leaves those alone that a test runs itself (`kubelet.py`)."""
        text = file.read_text()
        if not file.name.startswith("pod-"):
            return file
        first = "    matchExpressions:\n"
        assert first in text
        place = self.folder / file.name
        place.write_text(text.replace(first, f"{first}{UNTOUCHED}", 1))
        return place


def node(name: str) -> dict[str, object]:
    room = {"cpu": "1000", "memory": "1Ti", "pods": "10000", "ephemeral-storage": "1Ti"}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": room, "capacity": room},
    }


def ready(api: Api) -> bool:
    found = api.call("GET", f"/api/v1/nodes/{NODE}")
    conditions = found.get("status", {}).get("conditions", [])
    fine = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return fine and not found["spec"].get("taints")


def holding(folder: Path) -> IO[str]:
    """Take part in a cluster: it stays while anybody's handle is open, and the kernel closes those of the dead."""
    handle = (folder / "users").open("a")
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def abandoned(folder: Path, *, wait: bool) -> IO[str] | None:
    """The folder's lock, held alone: nobody takes part any more. None when somebody does and `wait` is false."""
    handle = (folder / "users").open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        handle.close()
        return None
    return handle


def sweep(above: Path) -> None:
    """Remove what runs left behind that were killed before they could."""
    for folder in above.glob(f"{PREFIX}*"):
        # One that goes meanwhile, or is somebody else's, is not ours to remove.
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < FORGOTTEN:
                continue
            held = abandoned(folder, wait=False)
            if held is not None:
                shutil.rmtree(folder, ignore_errors=True)
                held.close()


@contextmanager
def standing_plane(make: Callable[[Path], Plane]) -> Iterator[Plane]:
    """A control plane in a folder of its own, both gone at the end. Raises Broken when it does not come up."""
    above = Path(tempfile.gettempdir())
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ROOM:
        above = SHARED_MEMORY
    sweep(above)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=above))
    plane = make(folder)
    try:
        with holding(folder):  # whoever else comes up at this moment sweeps what nobody holds
            plane.start()
        yield plane
    finally:
        plane.end()
        shutil.rmtree(folder, ignore_errors=True)


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def main(words: Sequence[str]) -> int:
    """`--while-used`: print the folder, and end when nobody takes part any more. Else until Ctrl-C."""
    lacking = missing()
    if lacking:
        print(lacking, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, interrupted)
    started = time.monotonic()
    try:
        with standing_plane(ControlPlane) as plane, holding(plane.folder) as mine:
            if "--while-used" in words:
                print(plane.folder, flush=True)
                sys.stdin.readline()  # whoever asked for it takes part by now, or is dead
                mine.close()
                held = abandoned(plane.folder, wait=True)
                assert held is not None
                return 0
            print(
                f"a Kubernetes at {plane.server} after {time.monotonic() - started:.1f} s; Ctrl-C ends it", flush=True
            )
            print(f"export KUBECONFIG={plane.kubeconfig}", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("gone", file=sys.stderr)
    except Broken as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
