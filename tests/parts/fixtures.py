"""`real_cluster`: one control plane for a whole run, however many workers the run has."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.parts.api import Api, access_of
from tests.parts.cleaning import Baseline, Cleaner, taken
from tests.parts.cluster import holding
from tests.parts.programs import missing

from kedge.kube.kubeconfig import Access

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class RealCluster:
    """`folder` holds the logs and pid files of the programs, and the kubeconfigs."""

    folder: Path
    baseline: Baseline
    api: Api

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "admin.kubeconfig"

    @property
    def access(self) -> Access:
        return access_of(self.kubeconfig)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def connected(place: Path, stack: ExitStack) -> Api:
    return stack.enter_context(closing(Api(access_of(place / "admin.kubeconfig"))))


def begin(folder: Path, stack: ExitStack) -> RealCluster:
    """Start one, whose folder and first state are noted in `folder` for the other workers."""
    command = [sys.executable, "-m", "tests.parts.cluster", "--while-used"]
    process = stack.enter_context(  # left last, when nobody takes part any more
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
    )
    assert process.stdin is not None
    assert process.stdout is not None
    place = Path(process.stdout.readline().strip())
    assert place.name, "the cluster did not come up; what it said is with the captured errors"
    stack.enter_context(holding(place))
    process.stdin.write("\n")
    process.stdin.flush()
    api = connected(place, stack)
    baseline = taken(api)
    (folder / "cluster.json").write_text(json.dumps({"folder": str(place), "baseline": sorted(baseline)}))
    return RealCluster(place, baseline, api)


def join(folder: Path, stack: ExitStack) -> RealCluster | None:
    """The one that another worker of this run has started; None when there is none, or it has gone."""
    noted = folder / "cluster.json"
    if not noted.exists():
        return None
    found = json.loads(noted.read_text())
    place = Path(found["folder"])
    try:
        stack.enter_context(holding(place))
    except FileNotFoundError:
        return None
    # Whoever waited for the lock may have got it with the folder's end.
    if not (place / "admin.kubeconfig").exists():
        return None
    return RealCluster(place, frozenset(found["baseline"]), connected(place, stack))


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[RealCluster]:
    """Shared by the workers of a run, with whatever other tests have in it: `real_cluster` is for one at a time."""
    lacking = missing()
    if lacking:
        pytest.skip(lacking)
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        folder = folder.parent
    with ExitStack() as stack:
        with locked(folder / "cluster.lock"):
            cluster = join(folder, stack) or begin(folder, stack)
        yield cluster


@pytest.fixture
def real_cluster(control_plane: RealCluster) -> Iterator[RealCluster]:
    """The cluster as it was when it came up, for this test alone: those of other workers wait."""
    with locked(control_plane.folder / "turn"):
        Cleaner(control_plane.api, control_plane.baseline).restore()
        yield control_plane
