"""A real `kedge up` whose stacks run as Jobs of a real API server: from a commit to healthy, and through its deaths."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.e2e.life import Life
from tests.e2e.stacked import PROJECT, UNATTENDED, stack
from tests.e2e.test_stack_deaths import CODE, begun
from tests.e2e.world import PATIENCE, forged
from tests.executions.jobscene import IMAGE, Runs
from tests.parts.kubelet import Kubelet
from tests.parts.ports import held_port

pytestmark = pytest.mark.e2e


@pytest.fixture
async def life(tmp_path: Path, tofu: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    """The server has no tool: the image of the pods has."""
    monkeypatch.setenv("KEDGE_JOBS_IMAGE", IMAGE)
    monkeypatch.setenv("KEDGE_JOBS_NAMESPACE", runs.namespace)
    (tmp_path / "node").mkdir()
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "kedge-data").write_text("made by a test\n")
    (tmp_path / "kubeconfig").write_text(runs.cluster.kubeconfig.read_text())
    async with AsyncExitStack() as closing:
        forge, port = closing.enter_context(forged(tmp_path)), closing.enter_context(held_port())
        monkeypatch.setenv("KEDGE_JOBS_ADDRESS", f"http://127.0.0.1:{port}")
        tools = {"KEDGE_TOOLS": str(tofu.parent)}
        closing.enter_context(Kubelet(runs.cluster.access, runs.namespace, tmp_path / "node", tools))
        files: dict[str, str | None] = {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/net.yaml": stack("net", UNATTENDED),
            "infra/net/main.tf": CODE.replace("HERE", str(tmp_path)),
        }
        found = Life(tmp_path, forge.repository("system", files), port=port)
        closing.push_async_callback(found.end)
        closing.callback((tmp_path / "go-on").touch)
        yield found


async def test_an_apply_in_a_job_outlives_its_controller_and_is_found_again(life: Life) -> None:
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


async def test_an_apply_that_ends_in_its_pod_while_nobody_is_there_comes_home(life: Life) -> None:
    await life.begin()
    await begun(life)
    life.kill()
    await life.dead()
    (life.folder / "go-on").touch()
    async with asyncio.timeout(PATIENCE):
        while "done" not in (life.folder / "told").read_text():
            await asyncio.sleep(0.05)
    await life.begin()
    await life.at("shop/net", life.repository.git("rev-parse", "HEAD"))
    listed = (await life.kedge("state", "show", "shop/net")).out
    assert "terraform_data.first" in listed
    assert "terraform_data.slow" in listed
    assert (life.folder / "told").read_text() == "began\ndone\n"
