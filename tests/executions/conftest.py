from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from scripts.build_parts import OPENTOFU
from tests.executions.jobscene import runs  # noqa: F401
from tests.executions.scene import Scene
from tests.executions.states import Backend, serving
from tests.parts.fixtures import control_plane, real_cluster, tofu  # noqa: F401  (fixtures are found by name)

from kedge.executions.local import Supply
from kedge.model.execution import Tool


def _program(tool: Tool) -> Path:
    if tool is Tool.OPENTOFU:
        if not OPENTOFU.program.exists():
            pytest.skip("opentofu not built for this checkout: run `make parts`")
        return OPENTOFU.program
    found = shutil.which("terraform")
    if found is None:
        pytest.skip("there is no terraform on this machine")
    return Path(found)


@pytest.fixture(params=list(Tool), ids=str)
def tool(request: pytest.FixtureRequest) -> Tool:
    """Either tool; `indirect` chooses one."""
    return Tool(request.param)


@pytest.fixture
async def scene(tmp_path: Path, tool: Tool) -> AsyncIterator[Scene]:
    one = Scene(tmp_path / "executions", _program(tool), tool, Supply(patience=30))
    await one.open()
    yield one
    await one.leave()


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with serving() as one:
        yield one
