"""The one door that starts processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from kedge import process
from kedge.model.errors import Invalid, Unavailable
from kedge.process import Pipes, plain_text

PYTHON = sys.executable
ENV = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
PATIENCE = 60


def script(text: str) -> list[str]:
    return [PYTHON, "-I", "-c", text]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while is_running(pid):
            await asyncio.sleep(0.01)


async def test_a_tool_is_run_to_its_end() -> None:
    text = "import sys; print(sys.stdin.read().upper()); print('careful', file=sys.stderr); sys.exit(3)"
    done = await process.run(script(text), env=ENV, stdin=b"hello", timeout=PATIENCE)
    assert (done.code, done.stdout, done.stderr) == (3, b"HELLO\n", "careful")


async def test_a_process_inherits_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEDGE_TEST_SECRET", "hunter2")
    done = await process.run(["/usr/bin/env"], env={"ONLY": "this"}, timeout=PATIENCE)
    assert done.stdout == b"ONLY=this\n"


async def test_arguments_reach_no_shell() -> None:
    done = await process.run(["/bin/echo", "$HOME; `id` && x"], env=ENV, timeout=PATIENCE)
    assert done.stdout == b"$HOME; `id` && x\n"


async def test_a_process_that_takes_too_long_is_ended_with_its_children() -> None:
    text = "import os, time\npid = os.fork()\nprint(pid or os.getpid(), flush=True)\ntime.sleep(600)"
    with pytest.raises(Unavailable, match=r"took longer than 0\.5 s"):
        await process.run(script(text), env=ENV, timeout=0.5)


async def test_a_process_that_ignores_being_asked_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE", 0.1)
    text = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    with pytest.raises(Unavailable):
        await process.run(script(text), env=ENV, timeout=0.5)


async def test_what_a_process_said_before_it_was_ended_is_told() -> None:
    quick = ["/bin/sh", "-c", "echo waiting for a lock >&2; exec sleep 600"]
    with pytest.raises(Unavailable, match="waiting for a lock"):
        await process.run(quick, env=ENV, timeout=2)


async def test_output_without_end_is_cut_off() -> None:
    with pytest.raises(Invalid, match="yes printed more than 100000 bytes"):
        await process.run(["/usr/bin/yes"], env=ENV, timeout=PATIENCE, max_output=100_000)


async def test_a_flood_of_errors_costs_no_memory_and_leaves_its_tail() -> None:
    text = "import sys\nfor i in range(20000): print('line', i, file=sys.stderr)"
    done = await process.run(script(text), env=ENV, timeout=PATIENCE)
    assert done.stderr.endswith("line 19999")
    assert len(done.stderr) <= 4096


@pytest.mark.skipif(sys.platform != "linux", reason="the bound is set by prlimit, which is Linux's")
async def test_memory_is_bounded() -> None:
    text = "import sys\nsys.stdin.read()\ntry: bytearray(1 << 30)\nexcept MemoryError: print('no more')"
    done = await process.run(script(text), env=ENV, timeout=PATIENCE, memory=512 << 20)
    assert done.stdout == b"no more\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the bound is set by prlimit, which is Linux's")
async def test_the_size_of_a_file_that_it_writes_is_bounded(tmp_path: Path) -> None:
    text = f"import sys\nsys.stdin.read()\nopen({str(tmp_path / 'large')!r}, 'wb').write(bytes(1 << 20))"
    done = await process.run(script(text), env=ENV, timeout=PATIENCE, file=4096)
    assert done.code != 0
    assert (tmp_path / "large").stat().st_size == 4096


async def test_cancelling_ends_the_process(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    text = f"import os, time\nprint(os.getpid(), file=open({str(note)!r}, 'w'))\ntime.sleep(600)"
    running = asyncio.get_running_loop().create_task(process.run(script(text), env=ENV, timeout=PATIENCE))
    async with asyncio.timeout(PATIENCE):
        while not (note.exists() and note.read_text().endswith("\n")):
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until_gone(int(note.read_text()))


async def test_a_daemon_that_a_tool_leaves_behind_is_ended_and_not_waited_for() -> None:
    text = "import os, time\npid = os.fork()\nif pid == 0: time.sleep(600)\nprint(pid)"
    done = await process.run(script(text), env=ENV, timeout=PATIENCE)
    await until_gone(int(done.stdout))
    assert not is_running(int(done.stdout))


async def test_a_daemon_that_has_left_the_group_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE", 0.1)
    text = "import os, time\npid = os.fork()\nif pid == 0:\n os.setsid()\n time.sleep(600)\nprint(pid, flush=True)"
    done = await process.run(script(text), env=ENV, timeout=PATIENCE)
    assert done.code == 0
    os.kill(int(done.stdout), signal.SIGKILL)


@pytest.mark.parametrize("program", ["/nonexistent/tool", "no-such-tool", "/etc/passwd"])
async def test_a_program_that_is_missing_is_unavailable_and_named(program: str) -> None:
    with pytest.raises(Unavailable, match=f"{program} can not be run"):
        await process.run([program], env=ENV, timeout=5)


def test_a_message_holds_no_control_characters() -> None:
    assert (
        plain_text(b"\x1b[31mred\x1b[0m\x07\x9b2J \xe2\x80\xaetxt\nnext\tcell\xff")
        == "[31mred[0m\ufffd2J txt\nnext\tcell\ufffd"
    )


async def test_a_child_is_spoken_to_over_its_pipes() -> None:
    child = await process.spawn(["/bin/cat"], env=ENV)
    for word in (b"one", b"two" * 1000):
        child.write(word)
        got = b""
        while len(got) < len(word):
            got += await child.read()
        assert got == word
    assert child.alive
    child.kill()
    assert await child.read() == b""
    await child.gone()
    assert not child.alive
    child.write(b"too late")


async def test_a_child_that_ends_says_why() -> None:
    child = await process.spawn(script("import sys; sys.exit('no more')"), env=ENV)
    assert await child.read() == b""
    await child.gone()
    assert child.last_words == "no more"


async def test_a_child_that_writes_faster_than_it_is_read_has_to_wait() -> None:
    size = 64 << 20
    text = f"import sys\nfor _ in range(64): sys.stdout.buffer.write(bytes(1 << 20))\nassert {size}"
    child = await process.spawn(script(text), env=ENV)
    async with asyncio.timeout(PATIENCE):
        while not child._protocol.paused:
            await asyncio.sleep(0.01)
    first = len(await child.read())
    assert first <= (8 << 20) + (1 << 20)
    total = first
    while data := await child.read():
        total += len(data)
    assert total == size
    await child.gone()
    child.kill()


def test_pipes_are_read_with_a_deadline() -> None:
    pipes = Pipes(["/bin/cat"], env=ENV)
    pipes.write(b"hello")
    assert pipes.read(PATIENCE) == b"hello"
    with pytest.raises(Unavailable, match="did not answer"):
        pipes.read(0.05)
    os.kill(pipes.pid, signal.SIGKILL)
    with pytest.raises(Unavailable, match="has ended"):
        pipes.read(PATIENCE)
    pipes.close()
