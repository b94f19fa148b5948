"""What a unit owns, from its cluster, when the store has never seen it at work."""

from __future__ import annotations

import asyncio

import pytest
from tests.doors.memory_target import MemoryTarget
from tests.doors.town import Town, file, in_town, unit

from kedge.model.errors import Unavailable
from kedge.model.recovery import Recovered


def test_a_unit_does_nothing_before_its_cluster_has_told_what_it_owns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(town: Town) -> None:
        away, asked = True, 0

        async def recover(self: MemoryTarget, cluster: str, installation: str, namespaces: object = ()) -> Recovered:
            nonlocal asked
            asked += 1
            if away:
                raise Unavailable("away")
            return Recovered({})

        monkeypatch.setattr(MemoryTarget, "recover", recover)
        await town.live()
        town.source.commit(dict([file("ConfigMap", "a")]), time=town.clock.now())
        await town.enlist({"shop/web": unit()})
        await asyncio.sleep(1)
        assert town.standing() == []
        assert (await town.web()).shown.why == "away"
        away, asked = False, 0
        await asyncio.sleep(300)
        assert town.standing() == ["ConfigMap a"]
        assert asked == 1

    in_town(story)
