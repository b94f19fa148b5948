"""`real_cluster`: a control plane for each worker of a run, so that they tell their stories side by side."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from scripts.build_parts import OPENTOFU
from tests.parts.api import Api, access_of
from tests.parts.cleaning import Baseline, Cleaner, taken
from tests.parts.cluster import holding
from tests.parts.etcd import Etcd
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
    def etcd(self) -> Etcd:
        return Etcd((self.folder / "database").read_text())

    @property
    def access(self) -> Access:
        return access_of(self.kubeconfig)


def connected(place: Path, stack: ExitStack) -> Api:
    return stack.enter_context(closing(Api(access_of(place / "admin.kubeconfig"))))


def begin(stack: ExitStack) -> RealCluster:
    """Start one, which ends when nobody holds its folder any more."""
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
    return RealCluster(place, taken(api), api)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[RealCluster]:
    """The worker's, with whatever other tests have in it."""
    lacking = missing()
    if lacking:
        pytest.skip(lacking)
    with ExitStack() as stack:
        yield begin(stack)


@pytest.fixture
def real_cluster(control_plane: RealCluster) -> RealCluster:
    """The cluster as it was when it came up."""
    Cleaner(control_plane.api, control_plane.baseline).restore()
    return control_plane


@pytest.fixture(scope="session")
def tofu() -> Path:
    """OpenTofu, built from its own sources."""
    lacking = missing([OPENTOFU])
    if lacking:
        pytest.skip(lacking)
    return OPENTOFU.program
