"""An approval is of a plan where its effects are had: what is agreed to for one cluster counts for no other."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.doors.town import WEB, Town, file, in_town, unit

from kedge.model.declaration import ApproveSection, When
from kedge.model.dossier import Home
from kedge.model.person import Person

MONA, PIA = Person("mona", ("sre",)), Person("pia", ("sre",))
TWO = ApproveSection(When.ALWAYS, ("group:sre",), 2)


async def waiting(town: Town) -> str:
    """The effects of the plan that waits."""
    plan = (await town.web()).plan
    assert plan is not None
    assert plan.needs is not None
    return plan.effects


def test_an_approval_of_a_first_plan_counts_for_no_other_cluster() -> None:
    """The same objects are made, and so the effects were the same wherever that was."""

    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), approve=TWO)
        homes = town.kedge.target.homes
        town.clusters["other"] = town.cluster  # which of them it is does not matter here, but for its name
        homes["default"], homes["other"] = Home("https://a", "one"), Home("https://b", "two")
        await asyncio.sleep(30)
        first = await waiting(town)
        await town.kedge.commands.approve(MONA, WEB, first, "fine on a")
        there = unit(approve=TWO)
        await town.enlist({"shop/web": replace(there, target=replace(there.target, cluster="other"))})
        await asyncio.sleep(30)
        second = await waiting(town)
        assert second != first
        await town.kedge.commands.approve(PIA, WEB, second, "fine on b")
        await asyncio.sleep(30)
        assert town.standing() == []
        await town.kedge.commands.approve(MONA, WEB, second, "fine on b, too")
        await asyncio.sleep(30)
        assert town.standing() == ["ConfigMap a"]

    in_town(story)


def test_an_approval_of_a_move_counts_for_no_other_aim() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        homes = town.kedge.target.homes
        homes["default"], homes["other"], homes["third"] = (Home(f"https://{n}", n) for n in ("one", "two", "three"))
        await asyncio.sleep(30)
        assert town.standing() == ["ConfigMap a"]
        said = []
        for aim in ("other", "third"):
            there = unit(approve=replace(TWO, when=When.NEVER))
            await town.enlist({"shop/web": replace(there, target=replace(there.target, cluster=aim))})
            await asyncio.sleep(30)
            said.append(await waiting(town))
            assert f"moved from cluster default to {aim}" in (await town.web()).shown.why
            await town.kedge.commands.approve(MONA if aim == "other" else PIA, WEB, said[-1], "move")
            await asyncio.sleep(30)
        assert said[0] != said[1]
        assert town.standing() == ["ConfigMap a"]
        assert "waits for 2 of group:sre" in (await town.web()).shown.why

    in_town(story)


def test_an_approval_holds_when_only_the_address_of_the_cluster_changes() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), approve=TWO)
        homes = town.kedge.target.homes
        homes["default"] = Home("https://a", "one")
        await asyncio.sleep(30)
        first = await waiting(town)
        await town.kedge.commands.approve(MONA, WEB, first, "fine")
        homes["default"] = Home("https://a.example.com", "one")
        await town.kedge.commands.approve(PIA, WEB, first, "fine")
        await asyncio.sleep(30)
        assert town.standing() == ["ConfigMap a"]

    in_town(story)
