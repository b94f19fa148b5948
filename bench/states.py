"""The state backend beside a plain file: requests a second, and the tool itself over either.

Three ways to keep a state: Kedge's own server over its store; the least HTTP server that keeps the same bytes in a
plain file (the same uvicorn, no tokens, parsing or versions, one fsync and one rename a write); and that file alone,
without HTTP. Servers are processes of their own; each stack writes and reads its own state, one request at a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from tests.doors.iac import BACKEND, TOOLS, Stack, found
from tests.server.driver import Fakes

from bench._machine import child_cpu, sized
from kedge.clock import SystemClock, SystemEntropy
from kedge.control.states.backend import StateBackend
from kedge.model.execution import StateAccess
from kedge.server.app import build
from kedge.store.sql import Opening, open_store

SIZES = (10_000, 1_000_000, 20_000_000)
STACKS, RESOURCES = 8, 100
MOST = sized("BENCH_REQUESTS", 2_000, 200)
BYTES = 200_000_000
"""At most so much is sent for one figure."""

LOCK = json.dumps({"ID": "bench", "Operation": "apply", "Who": "bench"}).encode()


def state(serial: int, size: int) -> bytes:
    """Of resources of half a kilobyte each, as a provider's are."""
    resources = [
        {
            "mode": "managed",
            "type": "aws_s3_bucket",
            "name": f"r{number}",
            "provider": 'provider["registry.opentofu.org/hashicorp/aws"]',
            "instances": [{"attributes": {"arn": md5(str(number).encode()).hexdigest() * 12, "id": f"r{number}"}}],
        }
        for number in range(max(1, size // 620))
    ]
    whole = {"version": 4, "serial": serial, "lineage": "bench", "outputs": {}, "resources": resources}
    return json.dumps(whole, indent=1).encode()


def renumbered(content: bytes, serial: int) -> bytes:
    return content.replace(b'"serial": 0', f'"serial": {serial}'.encode(), 1)


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """The least that keeps a state in a file."""
    if scope["type"] != "http":
        return
    place = Path(scope["path"].replace("/", "_"))
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    answer, status = b"", 200
    if scope["method"] == "POST":
        written(place, body)
    elif scope["method"] == "GET":
        status, answer = (200, place.read_bytes()) if place.exists() else (404, b"")
    length = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": status, "headers": length})
    await send({"type": "http.response.body", "body": answer})


def written(place: Path, content: bytes) -> None:
    draft = place.with_name(f"{place.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(place)


async def serve_kedge(port: int, units: int) -> None:
    clock, entropy, url = SystemClock(), SystemEntropy(), f"http://127.0.0.1:{port}"
    store = open_store(Opening("kedge.db", b"k" * 32, clock, entropy))
    fakes = Fakes()
    fakes.states = StateBackend(store.states, await store.installation(), clock, lambda: url)
    grants = [await fakes.states.grant(f"bench/s{n}", f"run-{n}", write=True) for n in range(units)]
    Path("grants.json").write_text(json.dumps([[each.address, each.user, each.token] for each in grants]))
    config = uvicorn.Config(
        build(fakes.desk()), port=port, log_config=None, access_log=False, timeout_keep_alive=600, lifespan="on"
    )
    await uvicorn.Server(config).serve()


def serve(which: str, port: int) -> None:
    """What a server's process runs."""
    if which == "kedge":
        asyncio.run(serve_kedge(port, 3 * STACKS))
        return
    config = uvicorn.Config(plain, port=port, log_config=None, access_log=False, timeout_keep_alive=600, lifespan="off")
    asyncio.run(uvicorn.Server(config).serve())


@dataclass
class Server:
    which: str
    folder: Path
    process: subprocess.Popen[bytes]
    port: int

    def access(self, number: int) -> StateAccess:
        if self.which == "kedge":
            return StateAccess(*json.loads((self.folder / "grants.json").read_text())[number])
        return StateAccess(f"http://127.0.0.1:{self.port}/state/bench/s{number}", "user", "token")


@contextmanager
def served(which: str, folder: Path) -> Iterator[Server]:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
    folder.mkdir()
    code = f"from bench.states import serve; serve({which!r}, {port})"
    paths = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=folder, env={**os.environ, "PYTHONPATH": paths})
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Server(which, folder, process, port)
    finally:
        process.kill()
        process.wait()


class Client:
    def __init__(self, session: aiohttp.ClientSession, access: StateAccess, size: int) -> None:
        self.session, self.access = session, access
        self.content, self.serial = state(0, size), 0
        given = b64encode(f"{access.user}:{access.token}".encode()).decode()
        self.headers = {"Authorization": f"Basic {given}", "Content-Type": "application/json"}

    async def ask(self, method: str, body: bytes | None = None, more: Mapping[str, str] | None = None) -> None:
        url = self.access.address + ("?ID=bench" if method == "POST" else "")
        async with self.session.request(method, url, data=body, headers={**self.headers, **(more or {})}) as answer:
            await answer.read()
            if answer.status != 200:
                raise SystemExit(f"{method} {url}: {answer.status}")

    async def post(self) -> None:
        self.serial += 1
        body = renumbered(self.content, self.serial)
        checksum = b64encode(md5(body, usedforsecurity=False).digest()).decode()
        await self.ask("POST", body, {"Content-MD5": checksum})

    async def get(self) -> None:
        await self.ask("GET")

    async def locks(self) -> None:
        """Two requests."""
        await self.ask("UNLOCK", LOCK)
        await self.ask("LOCK", LOCK)


async def rates(server: Server, size: int, first: int, stacks: int) -> dict[str, float]:
    """Requests a second by kind, and milliseconds of the server's processor time each."""
    count = max(3, min(MOST, BYTES // size) // stacks)
    async with aiohttp.ClientSession() as session:
        clients = [Client(session, server.access(first + n), size) for n in range(stacks)]
        await asyncio.gather(*(client.ask("LOCK", LOCK) for client in clients))
        await asyncio.gather(*(client.post() for client in clients))
        found: dict[str, float] = {}
        for name, requests in (("post", 1), ("get", 1), ("locks", 2)):
            busy, started = child_cpu(server.process.pid), time.perf_counter()
            await asyncio.gather(*(_loop(getattr(client, name), count) for client in clients))
            total = count * stacks * requests
            found[name] = total / (time.perf_counter() - started)
            found[f"{name} cpu"] = (child_cpu(server.process.pid) - busy) / total * 1e3
    return found


async def _loop(act: Any, count: int) -> None:
    for _ in range(count):
        await act()


def bare(folder: Path, size: int) -> dict[str, float]:
    content, place = state(0, size), folder / "bare.tfstate"
    count = max(3, min(MOST, BYTES // size))
    started = time.perf_counter()
    for serial in range(count):
        written(place, renumbered(content, serial))
    wrote, started = count / (time.perf_counter() - started), time.perf_counter()
    for _ in range(count):
        place.read_bytes()
    return {"post": wrote, "get": count / (time.perf_counter() - started)}


def figures(folder: Path) -> None:
    with served("plain", folder / "plain") as rival, served("kedge", folder / "kedge") as ours:
        for at, size in enumerate(SIZES):
            file = bare(folder, size)
            print(
                f"   state of {size // 1000} kB; the file alone: {file['post']:,.0f} writes, {file['get']:,.0f} reads/s"
            )
            for stacks in (1, STACKS - 1):
                first = at * STACKS + (stacks > 1)
                theirs = asyncio.run(rates(rival, size, first, stacks))
                mine = asyncio.run(rates(ours, size, first, stacks))
                for name in ("post", "get", "locks"):
                    print(f"     {stacks} stacks, {name:5}: {_line(mine, name)}; plain {_line(theirs, name)}", end="")
                    print(f"; {mine[name] / theirs[name]:.2f} ×", flush=True)


def _line(found: dict[str, float], name: str) -> str:
    return f"{found[name]:7,.1f}/s, {found[f'{name} cpu']:7.2f} ms CPU"


async def tool(folder: Path) -> None:
    """The same apply by the tool itself, three ways."""
    program = next((place for name in TOOLS if (place := found(name)) is not None), None)
    if program is None:
        print("   neither OpenTofu nor Terraform is here: the tool itself is left out")
        return
    code = f'resource "terraform_data" "many" {{\n  count = {RESOURCES}\n  input = var.text\n}}\nvariable "text" {{}}\n'
    with served("plain", folder / "plain2") as rival, served("kedge", folder / "kedge2") as ours:
        ways = {"local file": None, "plain file over HTTP": rival.access(0), "Kedge": ours.access(0)}
        took: dict[str, list[float]] = {name: [] for name in ways}
        stacks = {}
        for name, access in ways.items():
            stack = Stack(program, folder / name.replace(" ", "-"), access)
            stack.declare((BACKEND if access is not None else "") + code)
            await stack.init()
            stacks[name] = stack
        for turn in range(5):
            for name, stack in stacks.items():
                started = time.perf_counter()
                said = await stack.apply(f"-var=text={turn}")
                took[name].append(time.perf_counter() - started)
                if said.code:
                    raise SystemExit(said.text)
    base = sorted(took["local file"])[2]
    for name, times in took.items():
        middle = sorted(times)[2]
        print(f"   {program.name} apply, {RESOURCES} resources, {name}: {middle:.2f} s ({middle / base:.2f} ×)")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kedge-bench-") as folder:
        figures(Path(folder))
        asyncio.run(tool(Path(folder)))
