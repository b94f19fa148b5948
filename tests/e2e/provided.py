"""Stories of stacks whose provider comes from a mirror and changes a world of its own: Kedge's things, or AWS."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from scripts.build_parts import MOTO, THINGS
from tests.doors.iac import TOOLS, found
from tests.e2e.stacked import stack
from tests.e2e.world import World, standing
from tests.parts.aws import Aws, stand_in
from tests.parts.mirrors import SETTING, lacking, lock_of, source_of
from tests.parts.programs import missing
from tests.parts.things import SOURCE, Things, mirrored, required

AWS = "hashicorp/aws"
CREDENTIALS = "credentials: {plan: cloud-read, apply: cloud-write}"


class Cloud(Protocol):
    """The world of a provider: how code speaks of it, and who changes it behind a tool's back. See `Things`, `Aws`."""

    secret: str
    plans: str
    applies: str
    every: str

    @property
    def head(self) -> str: ...
    @property
    def environ(self) -> dict[str, str]: ...
    def thing(self, kind: str, name: str, content: str) -> str: ...
    def address(self, kind: str, name: str) -> str: ...
    def id(self, kind: str, name: str) -> str: ...
    def known_as(self, kind: str, name: str) -> str: ...
    def read(self) -> dict[str, str]: ...
    def write(self, name: str, content: str) -> None: ...
    def remove(self, name: str) -> None: ...


@dataclass
class Story:
    """A house with a mirror of the provider; `tool` is what every stack of the story declares."""

    world: World
    cloud: Cloud
    tool: str
    lock: str

    @property
    def things(self) -> Things:
        """The world of a story that only our own provider can tell."""
        assert isinstance(self.cloud, Things)
        return self.cloud

    @property
    def project(self) -> str:
        return f"""
apiVersion: kedge.dev/v1alpha1
kind: Project
metadata: {{name: shop}}
spec: {{credentials: ["cloud-*"]}}
---
apiVersion: kedge.dev/v1alpha1
kind: Credential
metadata: {{name: cloud-read}}
spec: {{environment: {self.cloud.plans}}}
---
apiVersion: kedge.dev/v1alpha1
kind: Credential
metadata: {{name: cloud-write}}
spec: {{environment: {self.cloud.applies}}}
"""

    def stack(self, name: str, *lines: str, credentials: str = CREDENTIALS) -> str:
        return stack(name, f"tool: {{name: {self.tool}}}", credentials, *lines)

    def code(self, name: str, text: str) -> dict[str, str | None]:
        """The files of a stack, with the lock file that its author has committed."""
        home = f"infra/{name}"
        return {f"{home}/main.tf": self.cloud.head + text, f"{home}/.terraform.lock.hcl": self.lock}

    def push(self, text: str, *lines: str, credentials: str = CREDENTIALS) -> str:
        """One stack `net` in a project."""
        declared = self.stack("net", *lines, credentials=credentials)
        files = {".kedge/shop.yaml": self.project, ".kedge/net.yaml": declared, **self.code("net", text)}
        self.world.repository.write(files)
        return self.world.pushed("net")

    async def failed(self) -> str:
        """What is told of a run that failed."""
        dossier = await self.world.until("shop/net", lambda d: d.last is not None and d.last.result == "Failed")
        assert dossier.last is not None
        return dossier.last.message

    async def kept(self) -> tuple[str, ...]:
        """The resources that the newest state holds."""
        states = self.world.house.states
        head = await states.head("shop/net") if states is not None else None
        return head.resources if head is not None else ()


@asynccontextmanager
async def telling(folder: Path, tool: str, mirror: Path, cloud: Things | Aws) -> AsyncIterator[Story]:
    """A house as an operator with this mirror has it."""
    program = found(tool)
    assert program is not None
    environ = {
        "KEDGE_TOOLS": str(program.parent),
        SETTING: str(mirror),
        "KEDGE_PROVIDER_CACHE": str(folder / "plugins"),
        "KEDGE_RUNS_AT_ONCE": "4",
        **cloud.environ,
    }
    lock = lock_of(program, mirror, folder / "author", cloud.head)
    assert "h1:" in lock
    async with standing(folder, environ=environ) as world:
        yield Story(world, cloud, "opentofu" if tool == "tofu" else tool, lock)


@asynccontextmanager
async def telling_of_things(
    folder: Path, tool: str, mirror: Path | None = None, source: str = SOURCE
) -> AsyncIterator[Story]:
    """Of our own provider, from a mirror that has it as `source`. Skips where the machine lacks tool or provider."""
    absent = missing([THINGS])
    if absent or found(tool) is None:
        pytest.skip(absent or f"there is no {tool} on this machine")
    things = Things(folder / "things", required(source))
    things.folder.mkdir()
    async with telling(folder, tool, mirror or mirrored(folder / "mirror"), things) as story:
        yield story


@asynccontextmanager
async def telling_of_aws(folder: Path) -> AsyncIterator[Story]:
    """Of S3, SQS and IAM, with one tool. Skips where there is no mirror with the provider, no stand-in or no tool."""
    absent = lacking(os.environ, AWS) or missing([MOTO])
    tool = next((tool for tool in TOOLS if found(tool)), "")
    if absent or not tool:
        pytest.skip(absent or "there is neither OpenTofu nor Terraform on this machine")
    mirror = Path(os.environ[SETTING])
    (folder / "moto").mkdir()
    with stand_in(folder / "moto") as url:
        async with telling(folder, tool, mirror, Aws(url, source_of(mirror, AWS))) as story:
            yield story
