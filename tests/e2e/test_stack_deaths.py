"""kill -9 of a real `kedge up` while a stack is applied: the tool works on, and the next server finds it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.doors.git_http import GitServer
from tests.e2e.life import Life
from tests.e2e.test_stacks import PROJECT, UNATTENDED, stack
from tests.e2e.world import PATIENCE, Forge, clustered

from kedge.sandbox.http import kubeconfig

pytestmark = pytest.mark.e2e

CODE = """
resource "terraform_data" "first" { input = "made" }
resource "terraform_data" "slow" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "echo began >> HERE/told; while ! test -e HERE/go-on; do sleep 0.1; done; echo done >> HERE/told"
  }
}
output "made" { value = terraform_data.first.output }
"""


@pytest.fixture
async def life(tmp_path: Path, tofu: Path, free_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    monkeypatch.setenv("KEDGE_TOOLS", str(tofu.parent))
    (tmp_path / "git").mkdir()
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "kedge-data").write_text("made by a test\n")
    forge = Forge(tmp_path, GitServer(tmp_path / "git"))
    async with AsyncExitStack() as closing:
        closing.callback(forge.down)
        _, access = await closing.enter_async_context(clustered(tmp_path / "cluster"))
        (tmp_path / "kubeconfig").write_text(kubeconfig(access.server, access.token, access.ca.encode()))
        files: dict[str, str | None] = {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/net.yaml": stack("net", UNATTENDED),
            "infra/net/main.tf": CODE.replace("HERE", str(tmp_path)),
        }
        found = Life(tmp_path, forge.repository("system", files), port=free_tcp_port)
        closing.push_async_callback(found.end)
        closing.callback((tmp_path / "go-on").touch)
        yield found


async def begun(life: Life) -> None:
    """Until the apply is at its long step."""
    async with asyncio.timeout(PATIENCE):
        while not (life.folder / "told").exists():
            await asyncio.sleep(0.05)


async def test_an_apply_outlives_its_controller_and_is_found_again(life: Life) -> None:
    await life.begin()
    await begun(life)
    for _ in range(2):
        life.kill()
        await life.dead()
        await life.begin()
    running = await life.unit("shop/net")
    assert running["run"]["number"] == 1, "it is the same run that goes on"
    assert (life.folder / "told").read_text() == "began\n"
    (life.folder / "go-on").touch()
    await life.at("shop/net", life.repository.git("rev-parse", "HEAD"))
    assert (life.folder / "told").read_text() == "began\ndone\n", "it was done once"
    unit = await life.unit("shop/net")
    assert (unit["runs"], unit["lastRun"]["result"], unit["outputs"]) == (1, "Succeeded", {"made": '"made"'})
    await life.remember()
    await life.end()
    await life.sound()


async def test_an_apply_that_ends_while_nobody_is_there_is_on_record_when_somebody_is(life: Life) -> None:
    await life.begin()
    await begun(life)
    life.kill()
    await life.dead()
    (life.folder / "go-on").touch()
    async with asyncio.timeout(PATIENCE):
        while "done" not in (life.folder / "told").read_text():
            await asyncio.sleep(0.05)
    await life.begin()
    # Its last state could not be sent while the backend was away: it was kept in its folder, and is brought home.
    await life.at("shop/net", life.repository.git("rev-parse", "HEAD"))
    listed = (await life.kedge("state", "show", "shop/net")).out
    assert "terraform_data.first" in listed
    assert "terraform_data.slow" in listed
    assert (life.folder / "told").read_text() == "began\ndone\n"
