"""What the fleet page and the collector see of a dossier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.builders import manifest, operation, owned, plan_of, ref, revision
from tests.store.opening import StillClock, fresh, named, opened, wrote

from kedge.model.declaration import TargetSection
from kedge.model.dossier import Pin, Rendering, Shown, Sync
from kedge.model.errors import Invalid
from kedge.model.fleet import UnitQuery, UnitRow
from kedge.model.health import Health, Status
from kedge.store import fleet, rows
from kedge.store.session import Statement
from kedge.store.sql import SqlStore


async def _row(store: SqlStore) -> UnitRow:
    return (await store.units(UnitQuery())).items[0]


def test_health_outweighs_sync_and_the_worst_stands_first() -> None:
    worst_first = sorted(((status, sync) for status in Status for sync in Sync), key=lambda pair: rows.standing(*pair))
    assert [status for status, _ in worst_first[::3]] == list(Status)[::-1]
    assert [sync for _, sync in worst_first[:3]] == [Sync.OUT_OF_SYNC, Sync.UNKNOWN, Sync.SYNCED]


def test_everything_that_a_dossier_still_needs_is_held() -> None:
    plan = plan_of(manifest("ConfigMap", "web"))
    dossier = fresh(
        rendering=Rendering(revision(), "s", (), "d", "of-rendering"),
        pin=Pin("mona", "bad", 1.0, 2.0, 1, named("web"), None, "of-pin"),
        plan=replace(plan, id="plan", rendered="of-plan"),
        operation=replace(operation(plan), plan="running", rendered="of-run"),
        last=replace(operation(plan), plan="past", rendered="of-last"),
    )
    blobs = {"blob:of-rendering", "blob:of-pin", "blob:of-plan", "blob:of-run", "blob:of-last"}
    assert rows.holds_of(dossier) == blobs | {"plan:plan", "plan:running", "plan:past"}
    assert rows.holds_of(fresh()) == set()


@pytest.mark.parametrize(
    "query", [UnitQuery(health="Degraded"), UnitQuery(sync="Synced"), UnitQuery(health="Healthy", sync="Synced")]
)
async def test_the_units_of_one_health_or_sync_are_found_in_the_order_of_the_page(
    tmp_path: Path, query: UnitQuery
) -> None:
    store = opened(tmp_path / "kedge.db", threads=False)
    session = store._sessions[0]
    text, pick, held = Statement(fleet._select(query, fleet._filters(query), 50)).compiled(session.dialect)
    cursor = session.raw.cursor()
    cursor.execute(f"EXPLAIN QUERY PLAN {text}", pick(held))
    assert [row[3].partition(" (")[0] for row in cursor.fetchall()] == ["SEARCH units USING INDEX units_standing"]
    await store.close()


async def test_a_row_shows_the_live_commit_and_what_is_waited_for(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db", threads=False)
    run = operation(plan_of(manifest("ConfigMap", "web")), waiting="for an approval")
    await store.record(wrote(fresh(applied=revision(), operation=run, suspended="holiday", verified=9.0)))
    row = await _row(store)
    assert (row.commit, row.author, row.subject) == ("a" * 40, "Mona", "raise replicas")
    assert (row.waiting, row.suspended, row.pinned, row.verified) == ("for an approval", True, False, 9.0)
    await store.close()


async def test_changed_is_when_the_state_moved_and_not_when_it_was_written(tmp_path: Path) -> None:
    clock = StillClock(100.0)
    store = opened(tmp_path / "kedge.db", threads=False, clock=clock)
    web = await store.record(wrote(fresh()))
    clock.at = 200.0
    web = await store.record(wrote(replace(web, verified=150.0)))
    assert (await _row(store)).changed == 100.0
    clock.at = 300.0
    await store.record(wrote(replace(web, shown=Shown(Sync.SYNCED, Health(Status.HEALTHY)))))
    assert (await _row(store)).changed == 300.0
    await store.close()


async def test_claims_follow_a_unit_to_another_cluster(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db", threads=False)
    mine = owned(ref("ConfigMap", "web"))
    web = await store.record(wrote(fresh(inventory=(mine,))))
    moved = replace(web, unit=named("web", target=TargetSection("prod", "web")))
    await store.record(wrote(moved))
    assert await store.claims("default", [mine.ref]) == {}
    assert await store.claims("prod", [mine.ref]) == {mine.ref: "shop/web"}
    await store.close()


async def test_labels_follow_the_declaration(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db", threads=False)
    web = await store.record(wrote(fresh(unit=named("web", labels=(("tier", "front"),)))))
    await store.record(wrote(replace(web, unit=named("web", labels=(("tier", "back"),)))))
    assert (await store.units(UnitQuery(labels=(("tier", "front"),)))).total == 0
    assert (await store.units(UnitQuery(labels=(("tier", "back"),)))).total == 1
    await store.close()


async def test_an_inventory_that_names_an_object_twice_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db", threads=False)
    mine = owned(ref("ConfigMap", "web"))
    with pytest.raises(Invalid, match="names an object twice"):
        await store.record(wrote(fresh(inventory=(mine, replace(mine, digest="2")))))
    await store.close()


def test_a_database_in_memory_is_inline_only() -> None:
    with pytest.raises(Invalid, match="threads=False"):
        opened(":memory:")
