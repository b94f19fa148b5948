"""Logs through a real API server, from a kubelet that a test plays: streamed as they come, ended when nobody reads."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from tests.e2e.test_operating import pods_of, shop
from tests.e2e.world import PATIENCE, World, standing
from tests.parts.fixtures import RealCluster

from kedge.certificate import server_context
from kedge.clock import SystemClock

pytestmark = pytest.mark.e2e

NODE = "/api/v1/nodes/node-1"
MERGE = "application/merge-patch+json"


@dataclass
class Kubelet:
    """What its containers have written; `asked` are the queries, `following` how many streams are open."""

    lines: list[bytes] = field(default_factory=lambda: [b"one\n", b"\x1b[2Jtwo\n"])
    asked: list[dict[str, str]] = field(default_factory=list)
    following: int = 0
    bell: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def write(self, line: bytes) -> None:
        async with self.bell:
            self.lines.append(line)
            self.bell.notify_all()

    async def log(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        answer = web.StreamResponse()
        await answer.prepare(request)
        told = 0
        self.following += 1
        try:
            while True:
                for line in self.lines[told:]:
                    await answer.write(line)
                told = len(self.lines)
                if request.query.get("follow") != "true":
                    return answer
                async with self.bell:
                    await self.bell.wait_for(lambda seen=told: len(self.lines) > seen)
        finally:
            self.following -= 1


@asynccontextmanager
async def kubelet(folder: Path, world: World) -> AsyncIterator[Kubelet]:
    """Node-1's, until the end of the block."""
    folder.mkdir()
    played = Kubelet()
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", played.log)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    context, _ = server_context(folder, SystemClock().now())
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    before = (await world.call("GET", NODE))["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]

    async def at(port: int) -> None:
        status = {"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}}
        await world.call("PATCH", f"{NODE}/status", status, MERGE)

    await at(runner.addresses[0][1])
    try:
        yield played
    finally:
        await at(before)
        await runner.cleanup()


async def following(world: World, what: str) -> asyncio.subprocess.Process:
    """A person at a terminal of its own."""
    program = "from kedge.cli.main import main; main()"
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-c", program, "logs", "web", what, "-f", "--data", str(world.data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_lines_come_as_they_are_written_and_ctrl_c_ends_it_everywhere(
    tmp_path: Path, real_cluster: RealCluster
) -> None:
    async with (
        standing(tmp_path, access=real_cluster.access) as world,
        kubelet(tmp_path / "kubelet", world) as played,
        asyncio.timeout(PATIENCE),
    ):
        world.repository.write(shop())
        await world.synced("shop/web", world.pushed("begin"))
        pod, _ = await pods_of(world, "web")
        once = await world.kedge("logs", "web", f"pod/{pod}", "--tail", "7", "--since", "5m", "-c", "main")
        assert (once.code, once.out, once.err) == (0, "one\n\\x1b[2Jtwo\n", "")
        assert played.asked[0]["tailLines"] == "7"
        assert played.asked[0]["sinceSeconds"] == "300"
        reader = await following(world, "deploy/web")
        assert reader.stdout is not None
        heard = [await reader.stdout.readline() for _ in range(4)]
        assert {line.split()[0] for line in heard} == {f"{name}/main".encode() for name in await pods_of(world, "web")}
        assert played.following == 2
        await played.write(b"three\n")
        later = [await reader.stdout.readline() for _ in range(2)]
        assert {line.split()[1] for line in later} == {b"three"}
        reader.send_signal(signal.SIGINT)
        await reader.wait()
        assert reader.returncode == 130
        while played.following:
            await asyncio.sleep(0.05)


async def test_a_reader_that_just_goes_away_is_noticed_without_another_line(
    tmp_path: Path, real_cluster: RealCluster
) -> None:
    async with (
        standing(tmp_path, access=real_cluster.access) as world,
        kubelet(tmp_path / "kubelet", world) as played,
        asyncio.timeout(PATIENCE),
    ):
        world.repository.write(shop())
        await world.synced("shop/web", world.pushed("begin"))
        reader = await following(world, "statefulset/db")
        while not played.following:
            await asyncio.sleep(0.05)
        reader.kill()
        assert await reader.wait() < 0
        while played.following:
            await asyncio.sleep(0.05)
