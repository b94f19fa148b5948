"""Everyday kubectl against the HTTP front."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from scripts.build_parts import KUBERNETES
from tests.sandbox.conftest import config_map, definition, deployment
from tests.sandbox.serving import certificate, running

from kedge.sandbox import Options
from kedge.sandbox.http import Front, kubeconfig

BUILT, FOUND = KUBERNETES.program, shutil.which("kubectl")
KUBECTL = [str(BUILT), "kubectl"] if BUILT.exists() else [FOUND] if FOUND else []
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not KUBECTL, reason="kubectl is neither built nor on PATH: run `make parts`"),
]


class Kubectl:
    """Runs kubectl with one kubeconfig and a cache of its own."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        (folder / "config").write_text(config)
        self.error = ""
        self.code = 0

    def _env(self) -> dict[str, str]:
        return {"KUBECONFIG": str(self.folder / "config"), "HOME": str(self.folder), "PATH": "/usr/bin:/bin"}

    async def __call__(self, *words: str, given: object = None) -> str:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            *KUBECTL, "--request-timeout=20s", *words, stdin=pipe, stdout=pipe, stderr=pipe, env=self._env()
        )
        out, error = await child.communicate(b"" if given is None else orjson.dumps(given))
        self.error, self.code = error.decode(), child.returncode or 0
        return out.decode()

    @asynccontextmanager
    async def reading(self, *words: str) -> AsyncIterator[asyncio.StreamReader]:
        """A command that goes on, by its output."""
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*KUBECTL, *words, stdout=pipe, env=self._env())
        assert child.stdout is not None
        try:
            yield child.stdout
        finally:
            child.kill()
            await child.wait()

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
    assert "successfully rolled out" in await kubectl.well("rollout", "status", "deploy/web", "--timeout=60s")
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


async def test_who_forces_a_conflict_owns_the_field_and_a_dry_run_owns_nothing(kubectl: Kubectl) -> None:
    theirs = ("apply", "--server-side", "--field-manager=two", "-f", "-")
    await kubectl.well("apply", "--server-side", "--field-manager=one", "-f", "-", given=config_map(a="1"))
    assert "dry run" in await kubectl.well(*theirs, "--dry-run=server", "--force-conflicts", given=config_map(a="2"))
    assert await kubectl.well("get", "cm", "settings", "-o", "jsonpath={.data.a}") == "1"
    await kubectl.well(*theirs, "--force-conflicts", given=config_map(a="2"))
    read = orjson.loads(await kubectl.well("get", "cm", "settings", "-o", "json", "--show-managed-fields"))
    owners = {entry["manager"]: entry["fieldsV1"].get("f:data") for entry in read["metadata"]["managedFields"]}
    assert (read["data"], owners) == ({"a": "2"}, {"two": {"f:a": {}}})


async def test_diff_tells_by_its_code_whether_something_would_change(kubectl: Kubectl) -> None:
    await kubectl.well("apply", "-f", "-", given=deployment())
    await kubectl.well("diff", "-f", "-", given=deployment())
    out = await kubectl("diff", "-f", "-", given=deployment(replicas=5))
    assert kubectl.code == 1, kubectl.error
    assert "-  replicas: 2\n+  replicas: 5\n" in out
    await kubectl("diff", "--server-side", "--force-conflicts", "-f", "-", given=deployment(image="nginx:2"))
    assert kubectl.code == 1, kubectl.error


async def test_get_has_its_usual_forms(kubectl: Kubectl) -> None:
    await kubectl.well("apply", "--server-side", "-f", "-", given=deployment())
    await kubectl.well("rollout", "status", "deploy/web", "--timeout=60s")
    assert "kind: Deployment\n" in await kubectl.well("get", "deploy", "web", "-o", "yaml")
    assert orjson.loads(await kubectl.well("get", "pods", "-l", "app=web", "-o", "json"))["kind"] == "List"
    assert len((await kubectl.well("get", "pods", "-l", "app=web", "-o", "name")).split()) == 2
    assert await kubectl.well("get", "pods", "-l", "app!=web", "-o", "name") == ""
    everywhere = await kubectl.well("get", "pods", "-A", "-o", "wide", "--chunk-size=1")
    assert everywhere.split()[:3] == ["NAMESPACE", "NAME", "READY"]
    assert everywhere.count("10.244.") == 2
    columns = await kubectl.well("get", "deploy", "-o", "custom-columns=N:.metadata.name,R:.spec.replicas")
    assert columns.split() == ["N", "R", "web", "2"]
    await kubectl("get", "deploy", "none")
    assert kubectl.error == 'Error from server (NotFound): deployments.apps "none" not found\n'


async def test_a_watch_shows_changes_as_they_come(kubectl: Kubectl) -> None:
    await kubectl.well("create", "configmap", "one")
    async with kubectl.reading("get", "configmaps", "-w", "-o", "name") as lines:
        assert "configmap/two" not in await _until(lines, "configmap/one")
        await kubectl.well("create", "configmap", "two")
        assert (await _until(lines, "configmap/two"))[-1] == "configmap/two"


async def _until(lines: asyncio.StreamReader, wanted: str) -> list[str]:
    came: list[str] = []
    async with asyncio.timeout(60):
        while wanted not in came:
            line = await lines.readline()
            assert line, f"the watch ended before {wanted} came"
            came.append(line.decode().strip())
    return came


async def test_describe_knows_the_usual_kinds(kubectl: Kubectl) -> None:
    await kubectl.well("apply", "--server-side", "-f", "-", given=deployment())
    await kubectl.well("rollout", "status", "deploy/web", "--timeout=60s")
    await kubectl.well("expose", "deploy", "web", "--port=80", "--type=LoadBalancer")
    for words, told in (
        (("pods", "-l", "app=web"), "Successfully assigned default/web-"),
        (("service", "web"), "LoadBalancer"),
        (("node", "sandbox"), "kubelet is posting ready status"),
        (("namespace", "default"), "Active"),
    ):
        assert told in await kubectl.well("describe", *words)


async def test_objects_are_changed_a_word_at_a_time(kubectl: Kubectl) -> None:
    await kubectl.well("apply", "--server-side", "-f", "-", given=deployment())
    await kubectl.well("scale", "deploy", "web", "--replicas=3")
    await kubectl.well("label", "deploy", "web", "tier=front")
    await kubectl.well("annotate", "deploy", "web", "note=x")
    await kubectl.well("patch", "deploy", "web", "-p", '{"spec":{"minReadySeconds":1}}')
    await kubectl.well("patch", "deploy", "web", "--type=merge", "-p", '{"metadata":{"labels":{"tier":null}}}')
    await kubectl.well(
        "patch", "deploy", "web", "--type=json", "-p", '[{"op":"add","path":"/spec/paused","value":true}]'
    )
    read = orjson.loads(await kubectl.well("get", "deploy", "web", "-o", "json"))
    assert (read["spec"]["replicas"], read["spec"]["minReadySeconds"], read["spec"]["paused"]) == (3, 1, True)
    assert (read["metadata"].get("labels"), read["metadata"]["annotations"]["note"]) == (None, "x")


async def test_what_is_served_and_what_its_fields_are_can_be_asked(kubectl: Kubectl) -> None:
    listed = await kubectl.well("api-resources", "--no-headers")
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in [line.split() for line in listed.splitlines()]
    assert "FIELD: replicas <integer>" in await kubectl.well("explain", "deploy.spec.replicas")
    await kubectl.well("apply", "--server-side", "-f", "-", given=definition())
    await kubectl.well("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=60s")
    assert "size\t<integer> -required-" in await kubectl.well("explain", "widgets.spec")


async def test_what_is_wrong_with_an_object_is_told(kubectl: Kubectl) -> None:
    for change, told in (
        ({"replicas": "many"}, "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas"),
        ({"replicas": 10**12}, "cannot unmarshal number 1000000000000 into Go struct field DeploymentSpec.spec.repli"),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"replicaz": 1}, 'unknown field "spec.replicaz"'),
        ({"selector": {"matchExpressions": [{"key": "a"}]}}, "matchExpressions[0].operator: Required value"),
    ):
        made = deployment()
        await kubectl("create", "-f", "-", given={**made, "spec": {**made["spec"], **change}})
        assert kubectl.code != 0
        assert told in kubectl.error


async def test_what_needs_running_containers_is_refused_clearly(kubectl: Kubectl) -> None:
    await kubectl.well("run", "one", "--image=busybox:1")
    await kubectl.well("wait", "--for=condition=Ready", "pod/one", "--timeout=60s")
    for words, name in (
        ("exec one -- ls", "exec"),
        ("port-forward one 8080:80", "portforward"),
        ("attach one", "attach"),
    ):
        await kubectl(*words.split())
        assert kubectl.code != 0
        assert f"the sandbox runs no containers and reaches none: {name} is not supported" in kubectl.error
    await kubectl("logs", "one", "--previous")
    assert 'previous terminated container "one" in pod "one" not found' in kubectl.error


async def test_delete_waits_until_all_is_gone(kubectl: Kubectl) -> None:
    await kubectl.well("apply", "--server-side", "-f", "-", given=deployment())
    assert "deleted" in await kubectl.well("delete", "deploy", "web", "--cascade=foreground", "--timeout=60s")
    assert await kubectl.well("get", "pods") == ""


async def test_custom_kinds_are_known_as_soon_as_they_are_established(kubectl: Kubectl) -> None:
    await kubectl.well("apply", "--server-side", "-f", "-", given=definition())
    await kubectl.well("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=60s")
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 3}}
    await kubectl.well("apply", "--server-side", "-f", "-", given=widget)
    assert "one" in await kubectl.well("get", "wd")
    assert "Size:" in await kubectl.well("describe", "widget", "one")
    await kubectl("apply", "-f", "-", given={**widget, "spec": {"size": 3, "odd": 1}})
    assert 'unknown field "spec.odd"' in kubectl.error


async def test_a_job_is_waited_for_and_its_log_read(kubectl: Kubectl) -> None:
    await kubectl.well("create", "job", "once", "--image=busybox:1")
    await kubectl.well("wait", "--for=condition=complete", "job/once", "--timeout=60s")
    assert "once is done" in await kubectl.well("logs", "job/once")


async def test_typed_commands_that_speak_protobuf_are_understood(kubectl: Kubectl) -> None:
    await kubectl.well("create", "namespace", "shop")
    await kubectl.well("-n", "shop", "create", "configmap", "c", "--from-literal=k=v")
    await kubectl.well("-n", "shop", "create", "secret", "generic", "s", "--from-literal=k=v")
    read = orjson.loads(await kubectl.well("-n", "shop", "get", "secret", "s", "-o", "json"))
    assert read["data"] == {"k": "dg=="}
    assert await kubectl.well("auth", "can-i", "delete", "nodes") == "yes\n"
    await kubectl.well("delete", "namespace", "shop", "--timeout=60s")


async def test_a_bad_image_is_seen_and_undone(kubectl: Kubectl) -> None:
    await kubectl.well("apply", "--server-side", "-f", "-", given=deployment())
    await kubectl.well("rollout", "status", "deploy/web", "--timeout=60s")
    await kubectl.well("set", "image", "deploy/web", "main=nginx:broken")
    await kubectl("rollout", "status", "deploy/web", "--timeout=1s")
    assert kubectl.code != 0
    async with asyncio.timeout(60):
        while "ImagePullBackOff" not in await kubectl.well("get", "pods"):
            await asyncio.sleep(0.1)
    await kubectl.well("rollout", "undo", "deploy/web")
    await kubectl.well("rollout", "status", "deploy/web", "--timeout=60s")
