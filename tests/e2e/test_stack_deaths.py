"""kill -9 of a real `kedge up` while a stack is applied: the tool works on, and the next server finds it again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.e2e.life import Life
from tests.e2e.stacked import PROJECT, UNATTENDED, stack
from tests.e2e.world import PATIENCE, Said, clustered, forged
from tests.parts.ports import held_port

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
async def life(tmp_path: Path, tofu: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    monkeypatch.setenv("KEDGE_TOOLS", str(tofu.parent))
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "kedge-data").write_text("made by a test\n")
    async with AsyncExitStack() as closing:
        forge, port = closing.enter_context(forged(tmp_path)), closing.enter_context(held_port())
        _, access = await closing.enter_async_context(clustered(tmp_path / "cluster"))
        (tmp_path / "kubeconfig").write_text(kubeconfig(access.server, access.token, access.ca.encode()))
        files: dict[str, str | None] = {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/net.yaml": stack("net", UNATTENDED),
            "infra/net/main.tf": CODE.replace("HERE", str(tmp_path)),
        }
        found = Life(tmp_path, forge.repository("system", files), port=port)
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


SENT = 21.0
"""Seconds after its first step was done from which on a tool sends its state with each that is; 20 is its own floor."""


def steps(life: Life, count: int) -> str:
    """One step after the other, each of which tells that it has begun and waits for a gate."""
    return "".join(
        f"""
resource "terraform_data" "s{number}" {{
  input = {f"terraform_data.s{number - 1}.id" if number else '"first"'}
  provisioner "local-exec" {{
    command = "echo s{number} >> {life.folder}/told; while ! test -e {life.folder}/go-{number}; do sleep 0.1; done"
  }}
}}
"""
        for number in range(count)
    )


async def at_step(life: Life, number: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while f"s{number}" not in ((life.folder / "told").read_text() if (life.folder / "told").exists() else ""):
            await asyncio.sleep(0.05)


async def struck(life: Life, number: signal.Signals) -> None:
    assert life.process is not None
    life.process.send_signal(number)
    async with asyncio.timeout(PATIENCE):
        while life.process.poll() is None:
            await asyncio.sleep(0.02)


def state_sent(said: Said) -> bool:
    return said.code == 0


@pytest.mark.slow
@pytest.mark.parametrize("first", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
async def test_whenever_a_controller_ends_the_apply_goes_on_and_its_state_is_whole(
    life: Life, first: signal.Signals
) -> None:
    """At the beginning, at the first step, just before and just after the tool's first word to the state backend; each
    with either signal. What the tool sends while nobody is there, it sends again."""
    second = signal.SIGTERM if first is signal.SIGKILL else signal.SIGKILL
    life.repository.write({"infra/net/main.tf": steps(life, 3)})
    life.repository.push("three steps")
    await life.begin()
    await life.until("a run", lambda said: said.code == 0 and said.json["unit"]["run"], "get", "shop/net", "-o", "json")
    await struck(life, first)
    await life.begin()
    await at_step(life, 0)
    await struck(life, second)
    await life.begin()
    (life.folder / "go-0").touch()
    await at_step(life, 1)
    began = time.monotonic()
    assert (await life.kedge("state", "show", "shop/net")).code, "the tool has not sent its state yet"
    await struck(life, first)
    await asyncio.sleep(max(0.0, began + SENT - time.monotonic()))
    (life.folder / "go-1").touch()  # it does not go on before what it sends is taken
    await life.begin()
    await at_step(life, 2)
    await life.until("a state", state_sent, "state", "show", "shop/net")
    await struck(life, second)
    await life.begin()
    (life.folder / "go-2").touch()
    await life.at("shop/net", life.repository.git("rev-parse", "HEAD"))
    unit = await life.unit("shop/net")
    assert (unit["runs"], unit["lastRun"]["result"]) == (1, "Succeeded")
    assert (life.folder / "told").read_text() == "s0\ns1\ns2\n", "each step was done once"
    listed = (await life.kedge("state", "show", "shop/net")).out
    assert all(f"terraform_data.s{number}" in listed for number in range(3))
    await life.remember()
    await life.end()
    await life.sound()
