"""Providers: from a mirror, through a shared cache, by the lock file.

The provider only pretends to be one: `init` takes it, and a plan fails because it ends at once.
"""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.executions.scene import Scene
from tests.executions.states import Backend

from kedge.executions.local import Supply
from kedge.model.execution import Ending, Execution, Report

SOURCE = "providers.example/acme/fake"
CODE = f"""
terraform {{
  required_providers {{
    fake = {{
      source = "{SOURCE}"
    }}
  }}
}}
"""
NO_LOCK = "there is no .terraform.lock.hcl"


def mirrored(root: Path, version: str) -> Path:
    """A mirror with one version of a provider that ends at once."""
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), platform.machine())
    home = root / SOURCE / version / f"{sys.platform}_{machine}"
    home.mkdir(parents=True)
    program = home / f"terraform-provider-fake_v{version}"
    program.write_text(f"#!/bin/sh\necho 'this is version {version}' >&2\nexit 7\n")
    program.chmod(0o755)
    return root


@pytest.fixture
async def mirror(scene: Scene, tmp_path: Path) -> AsyncIterator[Scene]:
    """Executions with a mirror, and a cache in front of it."""
    place = mirrored(tmp_path / "mirror", "1.0.0")
    supply = replace(scene.supply, mirror=str(place), cache=str(tmp_path / "cache"), room=4)
    one = Scene(tmp_path / "mirrored", scene.program, scene.tool, supply)
    await one.open()
    yield one
    await one.leave()


async def initialized(scene: Scene, execution: Execution) -> Report:
    """The report of a plan that came as far as starting its provider."""
    report, made = await scene.run(execution)
    assert (scene.root / execution.id / "initialized").exists(), report.problems
    assert (report.ending, made.plan) == (Ending.FAILED, b"")
    assert "plugin" in report.problems[0]
    return report


async def locked(scene: Scene, backend: Backend) -> bytes:
    """The lock file that a first plan makes."""
    first = scene.execution({"main.tf": CODE}, backend.access)
    await scene.run(first)
    return (scene.root / first.id / "work/infra/db/.terraform.lock.hcl").read_bytes()


async def test_a_lock_file_that_is_missing_is_told(mirror: Scene, backend: Backend) -> None:
    report = await initialized(mirror, mirror.execution({"main.tf": CODE}, backend.access))
    assert NO_LOCK in report.problems[-1]


async def test_a_lock_file_is_honoured_though_something_newer_is_there(
    mirror: Scene, backend: Backend, tmp_path: Path
) -> None:
    lock = await locked(mirror, backend)
    mirrored(tmp_path / "mirror", "1.1.0")
    plan = mirror.execution({"main.tf": CODE, ".terraform.lock.hcl": lock}, backend.access)
    report = await initialized(mirror, plan)
    assert not any(NO_LOCK in problem for problem in report.problems)
    assert (mirror.root / plan.id / "work/infra/db/.terraform.lock.hcl").read_bytes() == lock


async def test_a_provider_that_is_not_what_was_locked_is_refused(mirror: Scene, backend: Backend) -> None:
    lock = await locked(mirror, backend)
    wrong = lock.replace(b"h1:", b"h1:AAAA")
    plan = mirror.execution({"main.tf": CODE, ".terraform.lock.hcl": wrong}, backend.access)
    report, _ = await mirror.run(plan)
    assert report.ending is Ending.FAILED
    assert "checksum" in " ".join(report.problems), report.problems


async def test_a_lock_file_that_lacks_a_provider_is_not_added_to(mirror: Scene, backend: Backend) -> None:
    plan = mirror.execution({"main.tf": CODE, ".terraform.lock.hcl": b""}, backend.access)
    report, _ = await mirror.run(plan)
    assert report.ending is Ending.FAILED
    assert "lock" in " ".join(report.problems).lower()
    assert (mirror.root / plan.id / "work/infra/db/.terraform.lock.hcl").read_bytes() == b""


async def test_with_a_mirror_nothing_comes_from_elsewhere(mirror: Scene, backend: Backend) -> None:
    report, _ = await mirror.run(mirror.execution({"main.tf": CODE.replace("acme/fake", "acme/other")}, backend.access))
    assert report.ending is Ending.FAILED
    assert "acme/other" in report.problems[0]


async def test_many_that_fill_the_cache_at_once_do_not_break_each_other(mirror: Scene, backend: Backend) -> None:
    lock = await locked(mirror, backend)
    files = {"main.tf": CODE, ".terraform.lock.hcl": lock}
    many = [mirror.execution(files, backend.access) for _ in range(4)]
    await asyncio.gather(*(initialized(mirror, one) for one in many))


async def test_the_operators_own_configuration_takes_the_place_of_ours(
    scene: Scene, backend: Backend, tmp_path: Path
) -> None:
    place = mirrored(tmp_path / "mirror", "1.0.0")
    config = tmp_path / "own.tfrc"
    config.write_text(f'provider_installation {{\n filesystem_mirror {{\n path = "{place}"\n }}\n}}\n')
    one = Scene(tmp_path / "own", scene.program, scene.tool, Supply(cli_config=str(config)))
    await one.open()
    await initialized(one, one.execution({"main.tf": CODE}, backend.access))
    await one.leave()
