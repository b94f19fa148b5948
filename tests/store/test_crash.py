"""kill -9 at any write loses nothing that was acknowledged, and leaves nothing half-written."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.builders import manifest
from tests.store.opening import opened

from kedge.model.manifest import digest_of
from kedge.model.ref import UnitName
from kedge.store.writer import POINTS

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[2]


def _child(path: Path, seed: int, point: str = "-", number: int = 0) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT / 'src'}{os.pathsep}{CHECKOUT}"}
    arguments = [sys.executable, "-m", "tests.store.crash_child", str(path), str(seed), point, str(number)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=CHECKOUT, env=environment)


def _acknowledged(output: bytes) -> dict[str, int]:
    """The newest version of each unit that the child said was kept; a last line that was cut off counts for nothing."""
    versions: dict[str, int] = {}
    for line in output.split(b"\n")[:-1]:
        unit, version = line.decode().split()
        versions[unit] = int(version)
    return versions


async def _check(path: Path, acknowledged: dict[str, int]) -> None:
    store = opened(path, threads=False)
    assert (await store.verify_chain()).broken == 0
    for unit, version in acknowledged.items():
        dossier = await store.load(UnitName.parse(unit))
        assert dossier is not None
        # One more may have been kept whose acknowledgement the kill cut off.
        assert version <= dossier.version <= version + 1
    for unit, _ in await store.wakeups():
        await _check_whole(store, UnitName.parse(unit))
    await store.close()


async def _check_whole(store, name: UnitName) -> None:  # type: ignore[no-untyped-def]
    """Whatever version stands: everything that was written with it is there, and nothing of a later one."""
    dossier = await store.load(name)
    runs, events = await store.operations(str(name)), await store.events(unit=str(name), limit=1000)
    last = dossier.version - 1
    assert [run.number for run in runs[:1]] == ([last] if last else [])
    assert [int(each.message) for each in events] == [n for n in range(1, last + 1) for _ in "ab"]
    if last:
        assert dossier.operation == runs[0]
        manifests = (manifest("ConfigMap", f"{name.name}-{last}"),)
        assert await store.rendered(digest_of(manifests)) == manifests
        claims = await store.claims("default", [each.ref for each in dossier.inventory])
        assert set(claims.values()) == {str(name)}
        assert len(claims) == 2


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_any_point_of_a_write_loses_nothing_acknowledged(tmp_path: Path, point: str) -> None:
    path = tmp_path / "kedge.db"
    chosen = random.Random(point)
    acknowledged: dict[str, int] = {}
    for life in range(2):  # the second life starts from what the first left behind
        child = _child(path, life + 1, point, chosen.randint(2, 25))
        output, _ = child.communicate(timeout=60)
        assert child.returncode == -9
        acknowledged |= _acknowledged(output)
        await _check(path, acknowledged)


@pytest.mark.parametrize("seed", range(3))
async def test_a_kill_out_of_nowhere_loses_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "kedge.db"
    child = _child(path, seed)
    assert child.stdout is not None
    heard = b"".join(child.stdout.readline() for _ in range(random.Random(seed).randint(1, 100)))
    child.kill()
    heard += child.stdout.read()
    child.stdout.close()
    child.wait()
    await _check(path, _acknowledged(heard))
