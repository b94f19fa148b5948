"""kubectl and Helm, the real ones, print of the sandbox what they print of a real API server.

`KEDGE_STORIES=long` tells the stories with all their commands: minutes instead of seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex

import pytest
from scripts.build_native import cache_folder
from scripts.build_parts import KUBERNETES
from tests.conformance.commands import Place, story_of, told_to_both
from tests.parts.fixtures import RealCluster
from tests.sandbox.serving import certificate, serving

from kedge.sandbox import Fields, Options, Sandbox
from kedge.sandbox.http import Front, kubeconfig

HELM = cache_folder() / "parts" / "bin" / "helm"
KUBECTL = [str(KUBERNETES.program), "kubectl"]
QUICK = Options(start=0.05, work=0.05, version="v1.35.4")


@asynccontextmanager
async def both(folder: Path, cluster: RealCluster, fields: Fields, space: str) -> AsyncIterator[tuple[Place, Place]]:
    """The two servers with a namespace of this name."""
    context, public = certificate(folder)
    programs = {"kubectl": KUBECTL, "helm": [str(HELM)]}
    boxed = Sandbox(fields, time.time, token_hex, QUICK)
    async with serving(boxed, Front(token="t", tls=context)) as server:
        config = folder / "sandbox.kubeconfig"
        config.write_text(kubeconfig(server.url, "t", public))
        yield (
            Place(folder / "real", cluster.kubeconfig, programs, space),
            Place(folder / "sandbox", config, programs, space),
        )


@pytest.mark.slow
@pytest.mark.parametrize("story", ["kubectl", "helm"])
async def test_commands_print_the_same_of_both_servers(
    story: str, tmp_path: Path, real_cluster: RealCluster, fields: Fields
) -> None:
    commands = list(story_of(story, long=os.environ.get("KEDGE_STORIES") == "long"))
    if any(command.line.startswith("helm ") for command in commands) and not HELM.exists():
        pytest.skip("helm is not built: run `make oracles`")
    async with both(tmp_path, real_cluster, fields, "story") as (real, sandbox):
        parted = await told_to_both(commands, real, sandbox)
    assert not parted, f"{len(parted)} of {len(commands)} commands differ:\n" + "\n".join(one.told() for one in parted)
