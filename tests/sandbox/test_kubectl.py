"""Everyday kubectl against the HTTP front."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from tests.sandbox.conftest import config_map, definition, deployment
from tests.sandbox.serving import certificate, running

from kedge.sandbox import Options
from kedge.sandbox.http import Front, kubeconfig

KUBECTL = shutil.which("kubectl")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on PATH, so nothing can be said about it"),
]


class Kubectl:
    """Runs kubectl with one kubeconfig and a cache of its own."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        (folder / "config").write_text(config)
        self.error = ""
        self.code = 0

    async def __call__(self, *words: str, given: object = None) -> str:
        env = {"KUBECONFIG": str(self.folder / "config"), "HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        assert KUBECTL is not None
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            KUBECTL, "--request-timeout=20s", *words, stdin=pipe, stdout=pipe, stderr=pipe, env=env
        )
        out, error = await child.communicate(b"" if given is None else orjson.dumps(given))
        self.error, self.code = error.decode(), child.returncode or 0
        return out.decode()

    async def well(self, *words: str, given: object = None) -> str:
        out = await self(*words, given=given)
        assert self.code == 0, f"kubectl {' '.join(words)}: {self.error}"
        return out


@pytest.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Kubectl]:
    context, public = certificate(tmp_path)
    async with running(Front(token="t", tls=context), Options(start=0.05, work=0.05)) as server:
        yield Kubectl(tmp_path, kubeconfig(server.url, "t", public))


async def test_get_and_describe_show_what_server_side_apply_made(kubectl: Kubectl) -> None:
    out = await kubectl.well("apply", "--server-side", "-f", "-", given=deployment())
    assert out == "deployment.apps/web serverside-applied\n"
    assert "successfully rolled out" in await kubectl.well("rollout", "status", "deploy/web", "--timeout=10s")
    assert "2/2" in await kubectl.well("get", "deploy")
    wide = await kubectl.well("get", "deploy", "-o", "wide")
    assert "IMAGES" in wide
    assert "nginx:1.27" in wide
    described = await kubectl.well("describe", "deploy", "web")
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in described
    assert "ScalingReplicaSet" in described
    assert "Running" in await kubectl.well("get", "pods", "-A")
    assert "replicaset.apps/web-" in await kubectl.well("get", "all")


async def test_apply_creates_configures_and_then_changes_nothing(kubectl: Kubectl) -> None:
    assert "created" in await kubectl.well("apply", "-f", "-", given=deployment())
    assert "configured" in await kubectl.well("apply", "-f", "-", given=deployment(replicas=3))
    assert "unchanged" in await kubectl.well("apply", "-f", "-", given=deployment(replicas=3))
    assert (await kubectl.well("get", "deploy", "-o", "jsonpath={.items[0].spec.replicas}")) == "3"


async def test_a_conflict_is_told_as_by_a_real_server(kubectl: Kubectl) -> None:
    await kubectl.well("apply", "--server-side", "--field-manager=one", "-f", "-", given=config_map(a="1"))
    await kubectl("apply", "--server-side", "--field-manager=two", "-f", "-", given=config_map(a="2"))
    assert kubectl.code != 0
    assert 'conflict with "one": .data.a' in kubectl.error


async def test_delete_waits_until_all_is_gone(kubectl: Kubectl) -> None:
    await kubectl.well("apply", "--server-side", "-f", "-", given=deployment())
    assert "deleted" in await kubectl.well("delete", "deploy", "web", "--cascade=foreground", "--timeout=10s")
    assert await kubectl.well("get", "pods") == ""


async def test_custom_kinds_are_known_as_soon_as_they_are_established(kubectl: Kubectl) -> None:
    await kubectl.well("apply", "--server-side", "-f", "-", given=definition())
    await kubectl.well("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=10s")
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 3}}
    await kubectl.well("apply", "--server-side", "-f", "-", given=widget)
    assert "one" in await kubectl.well("get", "wd")
    assert "Size:" in await kubectl.well("describe", "widget", "one")
    await kubectl("apply", "-f", "-", given={**widget, "spec": {"size": 3, "odd": 1}})
    assert 'unknown field "spec.odd"' in kubectl.error


async def test_a_job_is_waited_for_and_its_log_read(kubectl: Kubectl) -> None:
    await kubectl.well("create", "job", "once", "--image=busybox:1")
    await kubectl.well("wait", "--for=condition=complete", "job/once", "--timeout=10s")
    assert "once is done" in await kubectl.well("logs", "job/once")


async def test_typed_commands_that_speak_protobuf_are_understood(kubectl: Kubectl) -> None:
    await kubectl.well("create", "namespace", "shop")
    await kubectl.well("-n", "shop", "create", "configmap", "c", "--from-literal=k=v")
    await kubectl.well("-n", "shop", "create", "secret", "generic", "s", "--from-literal=k=v")
    read = orjson.loads(await kubectl.well("-n", "shop", "get", "secret", "s", "-o", "json"))
    assert read["data"] == {"k": "dg=="}
    assert await kubectl.well("auth", "can-i", "delete", "nodes") == "yes\n"
    await kubectl.well("delete", "namespace", "shop", "--timeout=10s")


async def test_a_bad_image_is_seen_and_undone(kubectl: Kubectl) -> None:
    await kubectl.well("apply", "--server-side", "-f", "-", given=deployment())
    await kubectl.well("rollout", "status", "deploy/web", "--timeout=10s")
    await kubectl.well("set", "image", "deploy/web", "main=nginx:broken")
    await kubectl("rollout", "status", "deploy/web", "--timeout=1s")
    assert kubectl.code != 0
    assert "ImagePullBackOff" in await kubectl.well("get", "pods")
    await kubectl.well("rollout", "undo", "deploy/web")
    await kubectl.well("rollout", "status", "deploy/web", "--timeout=10s")
