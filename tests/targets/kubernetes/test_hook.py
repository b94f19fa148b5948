"""Hooks run once per operation, whatever crashes in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.doors.kube_world import JOBS, WEB, World, job, ref, staged, step

from kedge.engine.hooks import generated_name
from kedge.model.change import Act
from kedge.model.operation import Did, Outcome
from kedge.model.plan import DeletePolicy, Phase

BEFORE = (DeletePolicy.BEFORE_CREATION,)
MIGRATE = ref("Job", "migrate", "web", "batch")


async def run(world: World, obj: dict, operation: str = "op-1", **more) -> Outcome:
    scope = replace(WEB, operation=operation)
    placed = (await world.place(obj, scope=scope)).manifests[0]
    doing = step(placed, **{"policies": BEFORE, "generate_name": placed.generate_name, **more})
    if doing.generate_name:
        name = generated_name(doing.generate_name, operation, doing.key)
        doing = replace(doing, ref=replace(doing.ref, name=name))
    return await world.target.act(scope, doing, placed)


@staged
async def test_a_hook_is_made_with_the_operation_it_belongs_to(world: World) -> None:
    outcome = await run(world, job())
    assert outcome.did is Did.APPLIED
    annotations = world.get(f"{JOBS}/migrate")["metadata"]["annotations"]
    assert annotations["kedge.dev/operation"] == "op-1"
    assert annotations["kedge.dev/phase"] == "PreSync"
    (sight,) = await world.look(MIGRATE)
    assert sight.operation == "op-1"


@staged
async def test_done_again_in_the_same_operation_it_is_left_running(world: World) -> None:
    first, second = await run(world, job()), await run(world, job())
    assert (first.uid, second.did) == (second.uid, Did.APPLIED)


@staged
async def test_an_earlier_run_s_object_is_cleared_first(world: World) -> None:
    first = await run(world, job())
    clearing = await run(world, job(), "op-2")
    assert (clearing.did, clearing.uid) == (Did.CLEARING, first.uid)
    await asyncio.sleep(2.0)
    second = await run(world, job(), "op-2")
    assert second.did is Did.APPLIED
    assert second.uid != first.uid


@staged
async def test_the_same_object_in_another_phase_runs_again(world: World) -> None:
    both = job(**{"argocd.argoproj.io/hook": "PreSync,PostSync"})
    await run(world, both)
    assert (await run(world, both, phase=Phase.POST_SYNC)).did is Did.CLEARING


@staged
async def test_a_job_that_its_policy_leaves_is_not_taken_for_this_run_s(world: World) -> None:
    await run(world, job(), policies=(DeletePolicy.SUCCEEDED,))
    outcome = await run(world, job(), "op-2", policies=(DeletePolicy.SUCCEEDED,))
    assert outcome.did is Did.FAILED
    assert "still there from an earlier run" in outcome.message


@staged
async def test_somebody_else_s_object_is_neither_deleted_nor_taken_for_the_hook(world: World) -> None:
    world.call("POST", JOBS, {**job(), "metadata": {"name": "migrate"}})
    outcome = await run(world, job())
    assert outcome.did is Did.FAILED
    assert not world.missing(f"{JOBS}/migrate")


@staged
async def test_a_hook_with_a_generated_name_runs_once_per_operation(world: World) -> None:
    first = await run(world, job(generate="migrate-"))
    again = await run(world, job(generate="migrate-"))
    other = await run(world, job(generate="migrate-"), "op-2")
    assert first.did is again.did is other.did is Did.APPLIED
    assert again.uid == first.uid
    assert other.uid != first.uid
    names = [item["metadata"]["name"] for item in world.get(JOBS)["items"]]
    assert len(names) == 2
    assert all(name.startswith("migrate-") for name in names)


@staged
async def test_a_hook_s_end_rings_and_is_seen(world: World) -> None:
    await run(world, job())
    world.rings.clear()
    sight = await world.until(MIGRATE, "Healthy")
    assert sight.gated
    assert ("shop/web@prod", str(MIGRATE), "health") in world.rings


@staged
async def test_a_finished_hook_is_deleted_by_a_step(world: World) -> None:
    made = await run(world, job())
    await world.until(MIGRATE, "Healthy")
    outcome = await world.target.act(WEB, step(MIGRATE, Act.DELETE, uid=made.uid), None)
    assert outcome.did is Did.DELETED
    await asyncio.sleep(2.0)
    assert not (await world.look(MIGRATE))[0].exists
