"""Seeded faults at the transport: afterwards the cluster is as desired, the index is true, and nothing is asked."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from tests.doors.kube_world import CONFIG_MAPS, WEB, World, config_map, deployment, ref, staged, step

from kedge.model.change import Act
from kedge.model.errors import KedgeError, Unavailable
from kedge.model.operation import Did
from kedge.model.pair import Known
from kedge.model.ref import Ref
from kedge.targets.kubernetes.marks import owner_text

NAMES = ("a", "b", "c", "d")


class Weather:
    """What goes wrong, from a seed."""

    def __init__(self, world: World, random: Random) -> None:
        self.world, self.random = world, random
        self.calm = False
        world.transport._before = self.before
        world.transport._after = self.after

    async def before(self, method: str, path: str) -> None:
        await asyncio.sleep(self.random.random() * 0.05)
        if not self.calm and self.random.random() < 0.05:
            raise Unavailable(f"{method} {path}: refused")

    async def after(self, method: str, path: str) -> None:
        self.world.sandbox.settle()
        await asyncio.sleep(self.random.random() * 0.05)
        if not self.calm and self.random.random() < 0.05:
            raise Unavailable(f"{method} {path}: connection reset after it was done")


def meddle(world: World, random: Random) -> None:
    """Somebody's hand: an edit, a deletion, labels taken off, a stranger's object."""
    url = f"{CONFIG_MAPS}/{random.choice(NAMES)}"
    if world.missing(url):
        return
    choice = random.randrange(4)
    if choice == 0:
        world.merge(url, {"data": {random.choice("xyz"): str(random.random())}})
    elif choice == 1:
        world.call("DELETE", url)
    elif choice == 2:
        world.merge(url, {"metadata": {"labels": {"kedge.dev/shard": None}}})
    else:
        world.transport.drop_watches()


async def reconcile(world: World, objects: list[dict[str, Any]], owned: set[Ref]) -> tuple[Known, ...] | None:
    """One round as the road makes it: compare, then act. Answers what is verified, None when something changed."""
    placed = await world.place(*objects)
    desired = {m.ref: m for m in placed.manifests}
    comparison = await world.target.compare(WEB, placed, (), sorted(owned - desired.keys()))
    owned.update(desired)
    changed = False
    for pair in comparison.pairs:
        manifest = desired.get(pair.ref)
        if manifest is None:
            outcome = await world.target.act(WEB, step(pair.ref, Act.DELETE, uid=pair.uid), None)
            assert outcome.did is Did.DELETED, outcome
            changed = True
        elif pair.live is None or differs(pair.live, pair.predicted):
            act = Act.CREATE if pair.live is None else Act.UPDATE
            await world.target.act(WEB, step(manifest, act), manifest)
            changed = True
    return None if changed else comparison.fingerprints


def differs(live: Any, predicted: Any) -> bool:
    def told(obj: Any) -> Any:
        metadata = {key: obj["metadata"].get(key) for key in ("labels", "annotations")}
        return metadata, obj.get("data") or None, obj.get("spec")

    return bool(told(live) != told(predicted))


async def story(world: World, seed: int) -> None:
    random = Random(seed)
    weather = Weather(world, random)
    world.call("POST", CONFIG_MAPS, config_map("stranger"))
    owned: set[Ref] = set()
    objects: list[dict[str, Any]] = []
    for _ in range(12):
        objects = [config_map(name, size=str(random.randrange(3))) for name in NAMES if random.random() < 0.7]
        objects += [deployment(image=f"web:{random.randrange(3)}")] if random.random() < 0.5 else []
        with suppress(KedgeError):
            await reconcile(world, objects, owned)
        meddle(world, random)
        await asyncio.sleep(random.random() * 20)
    weather.calm = True
    await asyncio.sleep(120)
    known = None
    for _ in range(6):
        known = known or await reconcile(world, objects, owned)
    assert known is not None, "it does not come to rest"
    await check(world, objects, known)


async def check(world: World, objects: list[dict[str, Any]], known: tuple[Known, ...]) -> None:
    await asyncio.sleep(90)
    live = {item["metadata"]["name"]: item for item in world.get(CONFIG_MAPS)["items"]}
    wished = {obj["metadata"]["name"]: obj["data"] for obj in objects if obj["kind"] == "ConfigMap"}
    mine = owner_text(WEB.installation, WEB.unit)
    ours = {
        n: i["data"] for n, i in live.items() if (i["metadata"].get("annotations") or {}).get("kedge.dev/owner") == mine
    }
    assert ours == wished
    assert "stranger" in live
    for name in NAMES:
        (sight,) = await world.look(ref("ConfigMap", name))
        assert sight.exists == (name in wished)
    world.transport.log.clear()
    again = await world.compare(*objects, known=known)
    assert again.pairs == ()
    assert world.transport.calls() == []


@pytest.mark.parametrize("seed", range(30))
def test_after_the_faults_it_is_as_desired_and_at_rest(fields: Any, seed: int) -> None:
    @staged
    async def scene(world: World) -> None:
        await story(world, seed)
        came.append(seed)

    came: list[int] = []
    scene(fields)
    assert came == [seed]
