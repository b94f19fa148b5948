"""What the worker can not do, however it is asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from kedge.process import Pipes
from kedge.renderers.frames import Decoder, Frame, FrameKind, encode
from kedge.renderers.worker import confined

WORKER = Path(__file__).resolve().parents[2] / "src" / "kedge" / "bin" / "kedge-worker"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's filter of system calls is Linux's")
def test_every_thread_of_the_worker_is_under_the_filter_of_system_calls(talk: Any) -> None:
    tasks = list(Path(f"/proc/{talk.pipes.pid}/task").iterdir())
    assert tasks
    for task in tasks:
        status = (task / "status").read_text()
        assert "Seccomp:\t2" in status
        assert "NoNewPrivs:\t1" in status


def test_the_worker_says_that_it_is_confined() -> None:
    if not WORKER.exists():
        pytest.skip("the native worker is not built: run scripts/build_native.py")
    pipes = Pipes([str(WORKER)], env=confined(2 << 30), memory=2 << 30)
    (hello,) = Decoder().feed(pipes.read(20))
    pipes.close()
    assert hello.kind is FrameKind.HELLO
    assert hello.header["confined"] is (sys.platform == "linux")


def test_a_worker_whose_parent_is_gone_ends_even_in_the_middle_of_a_loop(talk: Any) -> None:
    pipes = Pipes([str(WORKER)], env=confined(2 << 30), memory=2 << 30)
    assert list(Decoder().feed(pipes.read(20)))
    loop = "{{ range until 9999 }}{{ range until 9999 }}{{ range until 9999 }}{{ end }}{{ end }}{{ end }}"
    files = {"Chart.yaml": b"apiVersion: v2\nname: c\nversion: 1.0.0", "templates/t.yaml": loop.encode()}
    folders = {
        "": {
            "id": "r",
            "entries": {"Chart.yaml": {"kind": "file", "id": "1"}, "templates": {"kind": "folder", "id": "t"}},
        },
        "templates": {"id": "t", "entries": {"t.yaml": {"kind": "file", "id": "2"}}},
    }
    header = {
        "op": "helm",
        "options": {"chart": "", "release": "r"},
        "limits": {"object": 1000, "total": 1000, "objects": 10, "file": 1000, "read": 10_000},
        "folders": folders,
        "blobs": [{"id": str(n), "size": len(content)} for n, content in enumerate(files.values(), 1)],
    }
    pipes.write(encode(Frame(1, FrameKind.REQUEST, header, b"".join(files.values()))))
    pipes.hang_up()
    assert pipes.wait(10) == 0


def test_an_unknown_operation_is_an_error_and_not_the_end(talk: Any) -> None:
    (last,) = talk.send("nonsense", {})
    assert last.kind is FrameKind.ERROR
    assert talk.value("v: 1") == 1
