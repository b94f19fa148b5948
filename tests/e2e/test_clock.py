"""A clock that jumps between commits: nothing waits for it, and the records stay in their order."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.e2e.stories import PROJECT, application, folder_of, hasten
from tests.e2e.world import standing

from kedge.clock import SystemClock
from kedge.kube.kubeconfig import Access

pytestmark = pytest.mark.e2e

HOUR, DAY = 3600.0, 86400.0


async def test_commits_get_through_and_records_stay_in_order_while_the_clock_jumps(
    tmp_path: Path, access: Access | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch)
    ahead = 0.0
    monkeypatch.setattr(SystemClock, "now", lambda self: time.time() + ahead)
    async with standing(tmp_path, access=access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        for number, jump in enumerate((0.0, -HOUR, DAY, -HOUR)):
            ahead += jump
            world.repository.write(folder_of("web", f"g{number}"))
            found = await world.synced("shop/web", world.pushed(f"commit {number}"))
            assert await world.greeting("web") == f"g{number}"
            assert found.verified is not None
            assert found.verified <= time.time() + ahead
        runs = await world.house.doors.store.operations("shop/web")
        assert [(run.number, str(run.result)) for run in runs] == [(n, "Succeeded") for n in (4, 3, 2, 1)]
        report = await world.house.doors.store.verify_chain()
        assert (report.broken, report.why) == (0, "")
