"""The worker itself, spoken to in frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from kedge.process import Pipes
from kedge.renderers.frames import Decoder, Frame, FrameKind, encode
from kedge.renderers.worker import Limits, confined

BUILT = Path(__file__).resolve().parents[2] / "src" / "kedge" / "bin" / "kedge-worker"
WORKER = Path(os.environ.get("KEDGE_WORKER") or BUILT)
"""Another than the tree's may be tried."""
MEMORY = 2 << 30


@dataclass
class Talk:
    """One worker process, one request at a time."""

    pipes: Pipes
    decoder: Decoder = field(default_factory=Decoder)
    frames: list[Frame] = field(default_factory=list)

    def next(self) -> Frame:
        while not self.frames:
            self.frames += self.decoder.feed(self.pipes.read(20))
        return self.frames.pop(0)

    def send(self, op: str, files: dict[str, bytes], **options: Any) -> list[Frame]:
        """Files at the root, then every frame up to the last. Nothing is asked for that is not there."""
        entries = {name: {"kind": "file", "id": f"id of {name} {hash(content)}"} for name, content in files.items()}
        blobs = [{"id": entries[name]["id"], "size": len(content)} for name, content in files.items()]
        header = {
            "op": op,
            "options": {"folder": "", "files": list(files), **options},
            "limits": Limits().for_worker(),
            "folders": {"": {"id": "root", "entries": entries}},
            "blobs": blobs,
        }
        self.pipes.write(encode(Frame(1, FrameKind.REQUEST, header, b"".join(files.values()))))
        got = [self.next()]
        while got[-1].kind not in (FrameKind.DONE, FrameKind.ERROR):
            got.append(self.next())
        return got

    def value(self, text: str) -> Any:
        """What `v` is in the data of a manifest with `text` in it. Raises ValueError with what was said instead."""
        head = "apiVersion: v1\nkind: Thing\nmetadata: {name: a}\n"
        *objects, last = self.send("plain", {"a.yaml": f"{head}{text}\n".encode()})
        if last.kind is FrameKind.ERROR:
            raise ValueError(last.header["error"]["what"])
        body: dict[str, Any] = orjson.loads(objects[0].raw)
        return body.get("v", body)


@pytest.fixture(scope="module")
def talk() -> Iterator[Talk]:
    if not WORKER.exists():
        pytest.skip("the native worker is not built: run scripts/build_native.py")
    pipes = Pipes([str(WORKER)], env=confined(MEMORY), memory=MEMORY)
    talk = Talk(pipes)
    assert talk.next().kind is FrameKind.HELLO
    yield talk
    pipes.close()
