"""Providers: from a mirror, through a shared cache, by the lock file.

Most of them only pretend to be one: `init` takes them, and a plan fails because they end at once. The last two stories
have a real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from scripts.build_parts import THINGS
from tests.executions.scene import Scene
from tests.executions.states import Backend
from tests.parts.mirrors import lock_of, machine
from tests.parts.programs import missing
from tests.parts.things import REQUIRED, Things
from tests.parts.things import mirrored as things_mirrored

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
    home = root / SOURCE / version / machine()
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
    reports = await asyncio.gather(*(initialized(mirror, one) for one in many))
    assert [report.ending for report in reports] == [Ending.FAILED] * 4, "each came as far as its provider"


async def test_the_operators_own_configuration_takes_the_place_of_ours(
    scene: Scene, backend: Backend, tmp_path: Path
) -> None:
    place = mirrored(tmp_path / "mirror", "1.0.0")
    config = tmp_path / "own.tfrc"
    config.write_text(f'provider_installation {{\n filesystem_mirror {{\n path = "{place}"\n }}\n}}\n')
    one = Scene(tmp_path / "own", scene.program, scene.tool, Supply(cli_config=str(config)))
    await one.open()
    report = await initialized(one, one.execution({"main.tf": CODE}, backend.access))
    assert "acme/fake" in str(report.problems)
    await one.leave()


THING = REQUIRED + 'resource "things_thing" "a" {\n  name = "a"\n  content = "x"\n}\n'


@pytest.fixture
async def real(scene: Scene, tmp_path: Path) -> AsyncIterator[tuple[Scene, Things, bytes]]:
    """Executions with a mirror of a real provider and a cache in front of it, its world, and the author's lock file."""
    lacking = missing([THINGS])
    if lacking:
        pytest.skip(lacking)
    place, things = things_mirrored(tmp_path / "mirror"), Things(tmp_path / "things")
    things.folder.mkdir()
    lock = lock_of(scene.program, place, tmp_path / "author", REQUIRED).encode()
    given = (("THINGS_FOLDER", str(things.folder)), ("THINGS_KEY", "yes"))
    supply = replace(scene.supply, mirror=str(place), cache=str(tmp_path / "cache"), room=6, environment=given)
    one = Scene(tmp_path / "real", scene.program, scene.tool, supply)
    await one.open()
    yield one, things, lock
    await one.leave()


async def test_a_cache_is_filled_and_used_by_many_while_a_provider_of_it_is_at_work(
    real: tuple[Scene, Things, bytes], backend: Backend
) -> None:
    scene, things, lock = real
    files = {"main.tf": THING, ".terraform.lock.hcl": lock}
    many = [scene.execution(files, backend.access) for _ in range(4)]
    first, *_ = await asyncio.gather(*(scene.run(one) for one in many))
    assert first[0].ending is Ending.SUCCEEDED, first[0].problems

    things.breaks("a", "wait")
    apply = scene.applying(many[0], first[1].plan)
    await scene.exec.start(apply)
    await scene.until_told(apply.id, "Creating")
    more = [scene.execution(files, backend.access) for _ in range(4)]
    reports = [report for report, _ in await asyncio.gather(*(scene.run(one) for one in more))]
    assert [report.problems for report in reports] == [()] * 4
    assert scene.exec.report(apply.id).ending is None
    things.works("a")
    assert (await scene.until_ended(apply.id)).ending is Ending.SUCCEEDED
    assert things.read() == {"a": "x"}
    for one in (*many, *more):
        kept = scene.root / one.id / "work/infra/db/.terraform.lock.hcl"
        assert kept.read_bytes() == lock, "a lock file with hashes is never rewritten"


async def test_a_provider_whose_bytes_are_not_those_of_the_lock_file_is_never_started(
    real: tuple[Scene, Things, bytes], backend: Backend
) -> None:
    scene, _, lock = real
    wrong = lock.replace(b"h1:", b"h1:AAAA")
    report, made = await scene.run(scene.execution({"main.tf": THING, ".terraform.lock.hcl": wrong}, backend.access))
    assert (report.ending, made.plan) == (Ending.FAILED, b"")
    assert "checksum" in " ".join(report.problems)
