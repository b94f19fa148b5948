"""What every store does, whatever it is made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builders import manifest, operation, owned, plan_of, ref, revision
from tests.store.opening import event, fresh, named, opened, reading, wrote

from kedge.model.declaration import Cluster, Credential, TargetSection
from kedge.model.dossier import Pin, Rendering, Shown, Sync
from kedge.model.enlistment import Head, RootState
from kedge.model.errors import Conflict, Invalid, Unavailable
from kedge.model.fleet import UnitQuery
from kedge.model.health import Health, Status
from kedge.model.manifest import digest_of
from kedge.model.operation import Result
from kedge.model.record import Record
from kedge.model.ref import UnitName
from kedge.model.source import Read
from kedge.ports import Store

WEB, API = UnitName("shop", "web"), UnitName("shop", "api")


@pytest.fixture(params=["threads", "inline", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    threads = request.param == "threads"
    path = ":memory:" if request.param == "memory" else tmp_path / "kedge.db"
    opened_store = opened(path, threads=threads)
    yield opened_store
    await opened_store.close()


async def test_what_was_never_recorded_is_not_there(store: Store) -> None:
    assert await store.load(WEB) is None
    assert await store.plan("p") is None
    assert await store.operation("shop/web", 1) is None
    assert await store.frozen("shop/web", 1) is None
    assert await store.rendered("d") is None
    assert await store.heads() == []


async def test_a_recorded_dossier_comes_back_as_it_was(store: Store) -> None:
    plan = plan_of(manifest("Deployment", "web"), manifest("ConfigMap", "web"))
    run = operation(plan, waiting="Deployment web/web to become healthy")
    given = fresh(
        head=revision(),
        rendering=Rendering(
            revision(), "spec", (Read("apps/web", "1"), Read("apps/web/kustomization.yaml", "")), "d", "r"
        ),
        inventory=(
            owned(ref("ConfigMap", "web"), digest="1"),
            owned(ref("Deployment", "web"), fingerprint="f", wave=2),
        ),
        operation=run,
        last=replace(run, number=0, result=Result.SUCCEEDED, finished=3.0),
        plan=plan,
        shown=Shown(Sync.OUT_OF_SYNC, Health(Status.PROGRESSING, "1 of 2 ready"), "rolling out"),
        due=7.5,
        runs=1,
    )
    written = await store.record(wrote(given))
    assert written == replace(given, version=1)
    assert await store.load(WEB) == written


async def test_the_inventory_comes_back_in_order_of_ref(store: Store) -> None:
    mixed = (owned(ref("Service", "b")), owned(ref("ConfigMap", "a")), owned(ref("Deployment", "z")))
    written = await store.record(wrote(fresh(inventory=mixed)))
    assert written.inventory == tuple(sorted(mixed, key=lambda each: each.ref))
    loaded = await store.load(WEB)
    assert loaded is not None
    assert loaded.inventory == written.inventory


async def test_of_two_writers_with_the_same_version_exactly_one_wins(store: Store) -> None:
    base = await store.record(wrote(fresh()))
    answers = await asyncio.gather(
        *(store.record(wrote(replace(base, suspended=f"by {n}"), event(message=str(n)))) for n in range(5)),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict"] * 4 + ["Dossier"]
    assert len(await store.events()) == 1


async def test_a_dossier_that_is_gone_cannot_be_written_again(store: Store) -> None:
    with pytest.raises(Conflict, match="not stored any more"):
        await store.record(wrote(fresh(version=3)))


async def test_an_object_has_one_claimant_and_the_refusal_names_both(store: Store) -> None:
    shared = owned(ref("ConfigMap", "shared"))
    await store.record(wrote(fresh("web", inventory=(shared,))))
    with pytest.raises(Invalid, match="ConfigMap web/shared in cluster default is claimed by shop/web and by shop/api"):
        await store.record(wrote(fresh("api", inventory=(shared,)), event()))
    assert await store.load(API) is None
    assert await store.events() == []
    assert await store.claims("default", [shared.ref, ref("ConfigMap", "free")]) == {shared.ref: "shop/web"}


async def test_the_same_object_in_another_cluster_is_another_object(store: Store) -> None:
    shared = owned(ref("ConfigMap", "shared"))
    await store.record(wrote(fresh("web", inventory=(shared,))))
    elsewhere = named("api", target=TargetSection("prod", "web"))
    await store.record(wrote(fresh(unit=elsewhere, inventory=(shared,))))
    assert await store.claims("prod", [shared.ref]) == {shared.ref: "shop/api"}


async def test_an_object_given_up_may_be_claimed_by_another(store: Store) -> None:
    shared = owned(ref("ConfigMap", "shared"))
    web = await store.record(wrote(fresh("web", inventory=(shared,))))
    await store.record(wrote(replace(web, inventory=())))
    await store.record(wrote(fresh("api", inventory=(shared,))))
    assert await store.claims("default", [shared.ref]) == {shared.ref: "shop/api"}


async def test_forgetting_a_unit_frees_its_claims_and_keeps_its_history(store: Store) -> None:
    plan = plan_of(manifest("ConfigMap", "web"))
    done = operation(plan, result=Result.SUCCEEDED)
    web = await store.record(wrote(fresh(inventory=(owned(ref("ConfigMap", "web")),), plan=plan), operation=done))
    await store.record(wrote(web, event("unit.forgotten"), forget=True))
    assert await store.load(WEB) is None
    assert await store.claims("default", [ref("ConfigMap", "web")]) == {}
    assert (await store.units(UnitQuery())).total == 0
    assert await store.operations("shop/web") == [done]
    assert [each.kind for each in await store.events()] == ["unit.forgotten"]


async def test_a_unit_that_comes_back_goes_on_counting_its_runs(store: Store) -> None:
    plan = plan_of(manifest("ConfigMap", "web"))
    web = await store.record(wrote(fresh(runs=1), operation=operation(plan)))
    await store.record(wrote(web, forget=True))
    await store.enlist(reading(named("web")))
    loaded = await store.load(WEB)
    assert loaded is not None
    assert loaded.runs == 1


async def test_runs_are_read_newest_first_and_move_until_they_finish(store: Store) -> None:
    plan = plan_of(manifest("ConfigMap", "web"))
    web = fresh()
    for number in (1, 2, 3):
        run = operation(plan, number=number, id=f"run-{number}")
        web = await store.record(wrote(web, operation=run))
        web = await store.record(wrote(web, operation=replace(run, result=Result.SUCCEEDED)))
    assert [run.number for run in await store.operations("shop/web")] == [3, 2, 1]
    assert [run.number for run in await store.operations("shop/web", before=3, limit=1)] == [2]
    run = await store.operation("shop/web", 2)
    assert run is not None
    assert run.result == Result.SUCCEEDED


async def test_a_run_number_is_given_once(store: Store) -> None:
    plan = plan_of(manifest("ConfigMap", "web"))
    web = await store.record(wrote(fresh(), operation=operation(plan, id="one")))
    with pytest.raises(Invalid, match="run 1 of shop/web is one"):
        await store.record(wrote(web, operation=operation(plan, id="two")))


async def test_a_run_remembers_the_declaration_it_began_under(store: Store) -> None:
    plan = plan_of(manifest("ConfigMap", "web"))
    first, second = named("web", digest="1"), named("web", digest="2")
    web = await store.record(wrote(fresh(unit=first), operation=operation(plan)))
    web = await store.record(wrote(replace(web, unit=second), operation=operation(plan, message="later")))
    pinned = Pin("mona", "bad", 1.0, 2.0, 1, first, None, "r")
    run = operation(plan, number=2, id="rollback")
    await store.record(wrote(replace(web, pin=pinned), operation=run))
    assert await store.frozen("shop/web", 1) == first
    assert await store.frozen("shop/web", 2) == first


async def test_a_rendered_set_is_kept_under_its_digest(store: Store) -> None:
    manifests = (manifest("Deployment", "web"), manifest("ConfigMap", "web"))
    digest = digest_of(manifests)
    web = await store.record(wrote(fresh(), rendered=(digest, manifests)))
    assert await store.rendered(digest) == manifests
    await store.record(wrote(web, rendered=(digest, manifests)))
    assert await store.rendered(digest) == manifests


async def test_a_plan_is_read_by_its_id_even_when_no_dossier_has_it(store: Store) -> None:
    plan = plan_of(manifest("ConfigMap", "web"))
    await store.record(wrote(fresh(), plan=plan))
    assert await store.plan(plan.id) == plan
    loaded = await store.load(WEB)
    assert loaded is not None
    assert loaded.plan is None


async def test_events_are_numbered_without_gaps_and_read_in_order(store: Store) -> None:
    web = await store.record(wrote(fresh(), event("a"), event("b")))
    with pytest.raises(Conflict):
        await store.record(wrote(replace(web, version=9), event("lost")))
    await store.note((event("c", on="shop/api"),))
    await store.set_head(Head("file:///repo", "main", revision(), 1.0), (event("d", on=""),))
    events = await store.events()
    assert [(each.id, each.kind) for each in events] == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
    assert [each.kind for each in await store.events(after=1, limit=2)] == ["b", "c"]
    assert [each.kind for each in await store.events(unit="shop/web")] == ["a", "b"]
    assert [each.kind for each in await store.latest()] == ["d", "c", "b", "a"]
    assert [each.kind for each in await store.latest(unit="shop/web", before=2)] == ["a"]
    assert (await store.verify_chain()).sound == 4
    assert (await store.witness()).chain == events[-1].chain


async def test_listeners_hear_of_the_newest_sealed_event(store: Store) -> None:
    heads = store.sealed()
    await store.note((event(), event()))
    await store.note((event(),))
    assert await anext(heads) == 3
    waiting = asyncio.gather(anext(heads))
    await store.note((event(),))
    assert await waiting == [4]


async def test_closing_ends_the_listeners_and_later_calls(store: Store) -> None:
    heads = store.sealed()
    await store.close()
    with pytest.raises(StopAsyncIteration):
        await anext(heads)
    with pytest.raises(Unavailable, match="closed"):
        await store.load(WEB)
    with pytest.raises(Unavailable, match="closed"):
        await store.record(wrote(fresh()))


async def test_a_root_adds_changes_and_removes_its_units(store: Store) -> None:
    web, api = named("web", digest="1"), named("api", digest="1")
    assert (await store.enlist(reading(web, api))).added == ("shop/web", "shop/api")
    again = await store.enlist(reading(replace(web, digest="2"), at=9.0))
    assert (again.added, again.changed, again.removed) == ((), ("shop/web",), ("shop/api",))
    loaded, gone = await store.load(WEB), await store.load(API)
    assert loaded is not None
    assert gone is not None
    assert (loaded.unit.digest, loaded.version, loaded.removed) == ("2", 2, None)
    assert (gone.unit, gone.removed, gone.version) == (api, 9.0, 2)


async def test_an_unchanged_declaration_writes_nothing(store: Store) -> None:
    await store.enlist(reading(named("web")))
    again = await store.enlist(reading(named("web")))
    assert (again.added, again.changed, again.removed, again.refused) == ((), (), (), ())
    loaded = await store.load(WEB)
    assert loaded is not None
    assert loaded.version == 1


async def test_a_unit_whose_declaration_comes_back_is_no_longer_removed(store: Store) -> None:
    await store.enlist(reading(named("web")))
    await store.enlist(reading())
    assert (await store.enlist(reading(named("web")))).changed == ("shop/web",)
    loaded = await store.load(WEB)
    assert loaded is not None
    assert loaded.removed is None


async def test_units_that_leave_together_know_who_comes_after_them_until_they_are_back(store: Store) -> None:
    api, other = named("api", after=(UnitName("shop", "web"),)), named("other", after=(UnitName("shop", "api"),))
    await store.enlist(reading(named("web"), api, other))
    await store.enlist(reading(other))
    web, middle = await store.load(WEB), await store.load(api.name)
    assert web is not None
    assert middle is not None
    assert (web.followers, middle.followers) == ((api.name,), ())
    await store.enlist(reading(named("web"), api, other))
    back = await store.load(WEB)
    assert back is not None
    assert (back.removed, back.followers) == (None, ())


async def test_an_incomplete_read_removes_nothing(store: Store) -> None:
    await store.enlist(reading(named("web"), clusters=(Cluster("prod"),)))
    given = await store.enlist(reading(named("api"), complete=False))
    assert (given.added, given.removed) == (("shop/api",), ())
    loaded = await store.load(WEB)
    assert loaded is not None
    assert loaded.removed is None
    assert [each.name for each in await store.clusters()] == ["prod"]


async def test_the_first_root_to_declare_a_name_keeps_it(store: Store) -> None:
    await store.enlist(reading(named("web")))
    theirs = named("web", root="team", digest="other")
    assert (await store.enlist(reading(theirs, root="team"))).refused == ("shop/web",)
    assert (await store.enlist(reading(root="team"))).removed == ()
    await store.enlist(reading())
    assert (await store.enlist(reading(theirs, root="team"))).changed == ("shop/web",)
    loaded = await store.load(WEB)
    assert loaded is not None
    assert loaded.unit.root == "team"


async def test_a_new_declaration_leaves_everything_else_of_the_dossier(store: Store) -> None:
    plan = plan_of(manifest("ConfigMap", "web"))
    given = fresh(
        inventory=(owned(ref("ConfigMap", "web")),), plan=plan, suspended="holiday", unit=named("web", digest="1")
    )
    before = await store.record(wrote(given))
    await store.enlist(reading(named("web", digest="2")))
    assert await store.load(WEB) == replace(before, unit=named("web", digest="2"), version=2)


async def test_a_record_made_before_an_enlistment_meets_a_conflict_after_it(store: Store) -> None:
    await store.enlist(reading(named("web", digest="1")))
    old = await store.load(WEB)
    assert old is not None
    enlisting = store.enlist(reading(named("web", digest="2")))
    answers = await asyncio.gather(enlisting, store.record(wrote(replace(old, suspended="x"))), return_exceptions=True)
    assert isinstance(answers[1], Conflict)
    loaded = await store.load(WEB)
    assert loaded is not None
    assert loaded.unit.digest == "2"


async def test_clusters_credentials_roots_and_heads_are_remembered(store: Store) -> None:
    await store.enlist(
        reading(clusters=(Cluster("prod"), Cluster("dev")), credentials=(Credential("git", "https://git.example/"),))
    )
    await store.enlist(reading(clusters=(Cluster("prod", "https://prod.example"),)))
    assert await store.clusters() == [Cluster("prod", "https://prod.example")]
    assert await store.credentials() == []
    assert await store.roots() == [RootState("admin", None, True, (), 5.0)]
    await store.set_head(Head("file:///repo", "main", None, 1.0, "unreachable"))
    await store.set_head(Head("file:///repo", "main", revision(), 2.0))
    assert await store.heads() == [Head("file:///repo", "main", revision(), 2.0)]


async def test_a_head_that_nobody_reads_any_more_is_forgotten(store: Store) -> None:
    await store.set_head(Head("file:///repo", "main", revision(), 1.0))
    await store.set_head(Head("file:///repo", "old", revision(), 1.0))
    await store.forget_head("file:///repo", "old")
    await store.forget_head("file:///elsewhere", "main")
    assert await store.heads() == [Head("file:///repo", "main", revision(), 1.0)]


async def test_readers_are_the_paths_of_the_last_render(store: Store) -> None:
    asked = (Read("apps/web/b", "1"), Read("apps/web/a", ""), Read("apps/web/b", "1"))
    await store.record(wrote(fresh("web", rendering=Rendering(revision(), "s", asked, "d", "r"))))
    await store.record(wrote(fresh("api")))
    assert await store.readers("file:///repo", "main") == [
        ("shop/api", ("",)),
        ("shop/web", ("apps/web/a", "apps/web/b")),
    ]
    assert await store.readers("file:///repo", "other") == []


async def test_every_unit_is_listed_for_a_start_with_its_time(store: Store) -> None:
    await store.record(wrote(fresh("web", due=12.5)))
    await store.record(wrote(fresh("api")))
    assert await store.wakeups() == [("shop/api", None), ("shop/web", 12.5)]


def _shown(name: str, status: Status, sync: Sync = Sync.SYNCED, **more: object) -> Record:
    return wrote(fresh(name, shown=Shown(sync, Health(status), more.pop("why", "")), **more))  # type: ignore[arg-type]


async def test_the_fleet_is_paged_worst_first_without_a_gap_or_a_repeat(store: Store) -> None:
    statuses = list(Status)
    for n in range(20):
        sync = Sync.OUT_OF_SYNC if n % 3 else Sync.SYNCED
        await store.record(_shown(f"u{n:02}", statuses[n % len(statuses)], sync))
    names, after = [], ""
    while True:
        page = await store.units(UnitQuery(after=after, limit=3))
        assert page.total == 20
        names += [(-row.health.rank, row.sync != Sync.OUT_OF_SYNC, row.name) for row in page.items]
        if not (after := page.next):
            break
    assert len(names) == 20
    assert names == sorted(names)


async def test_the_fleet_is_filtered_by_each_field(store: Store) -> None:
    await store.record(_shown("web", Status.HEALTHY, unit=named("web", labels=(("tier", "front"), ("team", "a")))))
    await store.record(_shown("api", Status.DEGRADED, Sync.OUT_OF_SYNC, applied=revision("b" * 40)))

    async def names(query: UnitQuery) -> list[str]:
        return [row.name for row in (await store.units(query)).items]

    assert await names(UnitQuery(health="degraded")) == ["shop/api"]
    assert await names(UnitQuery(sync="Synced")) == ["shop/web"]
    assert await names(UnitQuery(project="other")) == []
    assert await names(UnitQuery(cluster="default")) == ["shop/api", "shop/web"]
    assert await names(UnitQuery(labels=(("tier", "front"), ("team", "a")))) == ["shop/web"]
    assert await names(UnitQuery(labels=(("tier", "front"), ("team", "b")))) == []
    assert await names(UnitQuery(text="RAISE")) == ["shop/api"]


@pytest.mark.parametrize("text", ["%", "_", "/", "\\", "'", "100%"])
async def test_the_text_filter_takes_every_character_as_itself(store: Store, text: str) -> None:
    await store.record(_shown("web", Status.HEALTHY, why="plain"))
    await store.record(_shown("api", Status.HEALTHY, why=f"odd {text}!"))
    found = await store.units(UnitQuery(text=f"odd {text}!"))
    assert [row.name for row in found.items] == ["shop/api"]


@pytest.mark.parametrize("cursor", ["nonsense", "!!", "WzEsMl0", "e30", "\ud800", "A" * 5000])
async def test_a_cursor_that_is_not_ours_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(Invalid, match="cursor"):
        await store.units(UnitQuery(after=cursor))


async def test_an_unknown_status_is_refused_with_the_known_ones(store: Store) -> None:
    with pytest.raises(Invalid, match="one of Healthy"):
        await store.units(UnitQuery(health="fine"))


async def test_text_that_cannot_be_stored_is_refused_by_name(store: Store) -> None:
    with pytest.raises(Invalid, match="shop/web cannot be stored"):
        await store.record(wrote(fresh(suspended="\ud800")))
    await store.record(wrote(fresh(suspended="fine")))


async def test_what_nothing_needs_is_collected_and_what_something_needs_stays(store: Store) -> None:
    kept, dropped = (manifest("ConfigMap", "kept"),), (manifest("ConfigMap", "dropped"),)
    plan = plan_of(manifest("ConfigMap", "x"))
    web = await store.record(wrote(fresh(), rendered=(digest_of(dropped), dropped), plan=plan))
    rendering, waiting = Rendering(revision(), "s", (), digest_of(kept), digest_of(kept)), plan_of(*kept)
    held = replace(web, rendering=rendering, plan=waiting)
    held = await store.record(wrote(held, rendered=(digest_of(kept), kept)))
    assert await store.collect(1001.0) == 0
    assert await store.collect(100_000.0) == 2
    assert await store.rendered(digest_of(kept)) == kept
    assert await store.plan(waiting.id) == waiting
    assert await store.rendered(digest_of(dropped)) is None
    assert await store.plan(plan.id) is None
    await store.record(wrote(held, forget=True))
    assert await store.collect(100_000.0) == 2
    assert (await store.rendered(digest_of(kept)), await store.plan(waiting.id)) == (None, None)


async def test_the_sets_of_the_newest_fifty_runs_stay(store: Store) -> None:
    web = fresh()
    sets = [(manifest("ConfigMap", f"c{n}"),) for n in range(52)]
    for n, manifests in enumerate(sets):
        run = operation(plan_of(*manifests), number=n + 1, id=f"r{n}", rendered=digest_of(manifests))
        web = await store.record(wrote(web, operation=run, rendered=(digest_of(manifests), manifests)))
    assert await store.collect(100_000.0) == 2
    there = [await store.rendered(digest_of(manifests)) is not None for manifests in sets]
    assert there == [False] * 2 + [True] * 50


async def test_many_writers_at_once_all_arrive(store: Store) -> None:
    units = [fresh(f"u{n}") for n in range(300)]
    await asyncio.gather(*(store.record(wrote(each, event(on=str(each.name)))) for each in units))
    assert len(await store.wakeups()) == 300
    assert (await store.verify_chain()).sound == 300


async def test_a_moved_head_is_seen_by_every_unit_that_uses_it_without_a_write_to_any(store: Store) -> None:
    """The dossier kept the head it was recorded with, so a new commit was never seen."""
    await store.record(wrote(fresh(head=revision("a" * 40))))
    await store.set_head(Head("file:///repo", "main", revision("b" * 40), 1.0))
    loaded = await store.load(WEB)
    assert loaded is not None
    assert loaded.head == revision("b" * 40)
    assert await store.sources() == [("file:///repo", "main")]
    assert await store.declared_elsewhere("admin") == []
    assert await store.declared_elsewhere("other") == ["shop/web"]


async def test_a_unit_that_left_its_root_is_declared_nowhere(store: Store) -> None:
    await store.enlist(reading(named("web")))
    assert await store.declared_elsewhere("team") == ["shop/web"]
    await store.enlist(reading())
    assert await store.declared_elsewhere("team") == []


async def test_a_secret_is_kept_replaced_and_taken_away_with_its_event(store: Store) -> None:
    await store.keep("forge", "pässword", event(kind="secret.kept"))
    await store.keep("forge", "another", event(kind="secret.kept"))
    await store.keep("registry", "third", event(kind="secret.kept"))
    assert await store.kept("forge") == "another"
    assert await store.kept_names() == ["forge", "registry"]
    await store.keep("forge", None, event(kind="secret.deleted"))
    assert await store.kept("forge") is None
    assert await store.kept_names() == ["registry"]
    assert [each.kind for each in await store.events()] == ["secret.kept"] * 3 + ["secret.deleted"]
