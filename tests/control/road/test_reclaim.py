"""What a unit has pruned and what is there again."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.doors.town import Town, file, in_town

from kedge.control.road.reclaim import reclaimed
from kedge.model.ref import Ref

B = Ref("", "ConfigMap", "web", "b")


def test_only_what_the_record_says_was_pruned_is_taken_up_again() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), file("ConfigMap", "b"))
        await asyncio.sleep(60)
        town.push(file("ConfigMap", "a"))
        await asyncio.sleep(120)
        assert town.standing() == ["ConfigMap a"]
        doors, dossier = town.kedge.doors(town.kedge.store), await town.web()
        (run, *_) = await doors.store.operations("shop/web")
        pruned = next(outcome for outcome in run.outcomes if outcome.step.startswith("Prune:"))

        assert await reclaimed(doors, dossier, {}) is dossier
        assert await reclaimed(doors, dossier, {replace(B, name="never"): "another"}) is dossier
        if pruned.uid:
            assert await reclaimed(doors, dossier, {B: pruned.uid}) is dossier, "it is on its way out"
        back = await reclaimed(doors, dossier, {B: "another"})
        assert [(entry.ref, entry.uid) for entry in back.inventory if entry.uid == "another"] == [(B, "another")]
        (event, *_) = await doors.store.latest("shop/web")
        assert event.kind == "unit.reclaimed"
        assert f"was pruned by run {run.number} and is there again" in event.message

    in_town(story)
