"""Inventory from the cluster alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.doors.kube_world import CONFIG_MAPS, WEB, World, config_map, definition, deployment, job, ref, staged, step

from kedge.model.errors import Unavailable


@staged
async def test_every_unit_gets_its_objects_back(world: World) -> None:
    await world.deploy(deployment(), config_map("settings"))
    await world.deploy(config_map("other"), scope=replace(WEB, unit="shop/api"))
    assert (await world.target.recover("default", "inst-1")).units == {
        "shop/api": (ref("ConfigMap", "other"),),
        "shop/web@prod": (ref("ConfigMap", "settings"), ref("Deployment", "web", group="apps")),
    }


@staged
async def test_custom_and_cluster_scoped_objects_are_found(world: World) -> None:
    await world.deploy(definition())
    found = (await world.target.recover("default", "inst-1")).units
    assert found["shop/web@prod"] == (
        ref("CustomResourceDefinition", "widgets.example.org", "", "apiextensions.k8s.io"),
    )


@staged
async def test_other_installations_and_hooks_are_left_out(world: World) -> None:
    await world.deploy(config_map("theirs"), scope=replace(WEB, installation="inst-2"))
    placed = (await world.place(job())).manifests[0]
    await world.target.act(WEB, step(placed), placed)
    assert (await world.target.recover("default", "inst-1")).units == {}


@staged
async def test_copies_are_left_out(world: World) -> None:
    (made,) = await world.deploy(config_map("settings"))
    source = world.get(f"{CONFIG_MAPS}/settings")["metadata"]
    metadata = {"name": "copy"} | {key: source[key] for key in ("labels", "annotations")}
    world.call("POST", f"{CONFIG_MAPS}?fieldManager=some-controller", {**config_map("copy"), "metadata": metadata})
    assert (await world.target.recover("default", "inst-1")).units == {"shop/web@prod": (ref("ConfigMap", "settings"),)}
    assert made.uid


@staged
async def test_a_group_that_can_not_be_listed_stops_the_recovery(world: World) -> None:
    await world.deploy(config_map("settings"))
    world.transport.down = True
    with pytest.raises(Unavailable):
        await world.target.recover("default", "inst-1")


@staged
async def test_what_its_objects_say_of_a_pin_comes_with_a_unit_s_inventory(world: World) -> None:
    await world.deploy(config_map("settings"), scope=replace(WEB, pin="to run 3"))
    await world.deploy(config_map("other"), scope=replace(WEB, unit="shop/api"))
    assert (await world.target.recover("default", "inst-1")).pins == {"shop/web@prod": "to run 3"}
    await world.deploy(config_map("settings"))
    assert (await world.target.recover("default", "inst-1")).pins == {}
