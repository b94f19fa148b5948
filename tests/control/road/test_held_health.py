"""Health of a unit that was never let in: nothing is not healthy."""

from __future__ import annotations

import asyncio

from tests.doors.town import Town, file, in_town

from kedge.model.declaration import ApproveSection, When
from kedge.model.health import Status


def test_a_unit_whose_first_plan_waits_is_missing_and_not_healthy() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), approve=ApproveSection(When.ALWAYS))
        await asyncio.sleep(5)
        shown = (await town.web()).shown
        assert (shown.health.status, shown.health.message) == (Status.MISSING, "nothing of it is there yet")

    in_town(story)
