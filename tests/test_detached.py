"""The door for processes that outlive us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kedge import detached
from kedge.detached import Birth, Output
from kedge.model.errors import Unavailable

SLEEP = ["/bin/sleep", "600"]


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(tmp_path / "out", tmp_path / "err")


@pytest.fixture
def sleeper(output: Output) -> Iterator[Birth]:
    pid = detached.begin(SLEEP, env={}, output=output)
    birth = detached.born(pid)
    assert birth is not None
    yield birth
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


async def reaped(pid: int) -> int:
    async with asyncio.timeout(60):
        while (code := detached.reap(pid)) is None:
            await asyncio.sleep(0.01)
    return code


async def test_a_process_is_known_by_its_birth_until_it_has_ended(sleeper: Birth) -> None:
    assert detached.alive(sleeper)
    assert detached.reap(sleeper.pid) is None
    os.kill(sleeper.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while detached.alive(sleeper):  # a dead one that nobody has waited for is dead
            await asyncio.sleep(0.01)
    assert await reaped(sleeper.pid) == -signal.SIGKILL


def test_another_process_of_the_same_id_is_another(sleeper: Birth) -> None:
    assert not detached.alive(Birth(sleeper.pid, sleeper.started + 1, sleeper.boot))
    assert not detached.interrupt(Birth(sleeper.pid, sleeper.started, "another boot"))
    assert detached.alive(sleeper)


async def test_the_end_of_a_process_that_is_no_child_is_told(sleeper: Birth) -> None:
    if not detached.can_watch():
        pytest.skip("this system does not tell of the end of other processes")
    fd = detached.watched(sleeper)
    assert fd is not None
    told = asyncio.Event()
    asyncio.get_running_loop().add_reader(fd, told.set)
    assert detached.interrupt(sleeper)
    async with asyncio.timeout(60):
        await told.wait()
    asyncio.get_running_loop().remove_reader(fd)
    os.close(fd)
    await reaped(sleeper.pid)
    assert detached.watched(sleeper) is None


async def test_what_a_process_leaves_behind_in_its_group_is_ended_with_it(output: Output) -> None:
    pid = detached.begin(["/bin/sh", "-c", "sleep 600 & echo $!; exit 3"], env={"PATH": "/usr/bin:/bin"}, output=output)
    assert await reaped(pid) == 3
    left = int(output.stdout.read_text())
    async with asyncio.timeout(60):
        while detached.born(left) is not None:
            await asyncio.sleep(0.01)


async def test_a_process_hears_signals_though_we_do_not(output: Output) -> None:
    kept = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pid = detached.begin(SLEEP, env={}, output=output)
    finally:
        signal.signal(signal.SIGINT, kept)
    os.kill(pid, signal.SIGINT)
    assert await reaped(pid) == -signal.SIGINT


async def test_what_a_process_says_is_appended_and_it_gets_no_environment_of_ours(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEDGE_TEST_SECRET", "hunter2")
    for word in ("one", "two"):
        await reaped(detached.begin(["/usr/bin/env"], env={"WORD": word}, output=output))
    assert output.stdout.read_text() == "WORD=one\nWORD=two\n"


async def test_memory_beyond_the_bound_is_refused(output: Output, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = f"import os\nwhile not os.path.exists({str(go)!r}): pass\nb = bytearray(300 << 20)"
    pid = detached.begin([sys.executable, "-I", "-S", "-c", script], env={}, output=output)
    detached.bound_memory(pid, 200 << 20)
    go.touch()
    assert await reaped(pid) == 1
    assert "MemoryError" in output.stderr.read_text()


def test_a_program_that_is_not_there_is_told(output: Output) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        detached.begin(["/nowhere/tofu"], env={}, output=output)


def test_a_detached_process_survives_whoever_started_it(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom kedge import detached\n"
        "print(detached.detach(['/bin/sleep', '600'], env={}, log=Path(sys.argv[1])), flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.killpg(parent.pid, signal.SIGKILL)
    assert detached.born(pid) is not None
    os.kill(pid, signal.SIGKILL)


def test_a_family_is_weighed_together(sleeper: Birth) -> None:
    assert sleeper.pid in detached.family(os.getpid())
    assert detached.resident(os.getpid()) > detached.resident(sleeper.pid) > 0
