from dataclasses import replace

import pytest
from tests import builders
from tests.server.driver import Fakes, running, synced

from kedge.model.change import Act, Change, FieldAct, FieldChange
from kedge.model.declaration import HelmSection
from kedge.model.dossier import Shown, Sync
from kedge.model.enlistment import Head, RootState
from kedge.model.errors import Problem, Where
from kedge.model.health import Health, Status
from kedge.model.operation import Result, Sight
from kedge.model.ref import UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import RenderSpec
from kedge.server.concerns import concerning

UNIT = "/api/v1/units/shop/web"


def named(name: str, **more):
    unit = UnitName.parse(name)
    return replace(builders.dossier(**more), name=unit, unit=builders.unit(name=unit))


def sick(why: str = "Deployment web/web: crash loop"):
    return Shown(Sync.SYNCED, Health(Status.DEGRADED, why), why)


async def test_the_fleet_is_listed_worst_first_page_by_page():
    fakes = Fakes()
    for name in ("shop/a", "shop/b", "shop/c"):
        fakes.put(named(name, **synced()))
    fakes.put(named("shop/sick", shown=sick()))
    async with running(fakes) as client:
        first = (await client.get("/api/v1/units?limit=2")).json
        assert [row["name"] for row in first["items"]] == ["shop/sick", "shop/a"]
        assert (first["total"], first["schemaVersion"]) == (4, "kedge.dev/v1")
        assert (first["counts"]["Degraded"], first["counts"]["Healthy"], first["counts"]["Synced"]) == (1, 3, 4)
        rest = (await client.get(f"/api/v1/units?limit=2&after={first['next']}")).json
        assert [row["name"] for row in rest["items"]] == ["shop/b", "shop/c"]
        assert (rest["next"], rest["counts"]) == ("", {})


async def test_a_filter_takes_a_state_in_any_case_and_refuses_an_unknown_one():
    fakes = Fakes()
    fakes.put(named("shop/a", **synced()))
    fakes.put(named("shop/sick", shown=sick()))
    async with running(fakes) as client:
        found = (await client.get("/api/v1/units?health=degraded")).json["items"]
        assert [row["name"] for row in found] == ["shop/sick"]
        wrong = await client.get("/api/v1/units?health=ill")
        assert wrong.status == 422
        assert "Degraded" in wrong.error["hint"]
        assert (await client.get("/api/v1/units?label=x")).status == 422
        assert (await client.get("/api/v1/units?limit=100000")).status == 422


async def test_what_no_unit_can_tell_is_told_with_the_fleet_and_to_whom_it_concerns():
    fakes = Fakes()
    at = {name: Where(f".kedge/{name}.yaml", 3) for name in ("web", "other")}
    fakes.put(builders.dossier(unit=builders.unit(where=at["web"], root="admin")))
    source = builders.unit().source
    wrong = tuple(Problem(f"{name} is wrong", where, "look") for name, where in at.items())
    fakes.store.known_roots = [RootState("admin", None, False, wrong), RootState("team", None, False, wrong)]
    fakes.store.known_heads = [
        Head("https://me:secret@git.example.com/x", "main", None, 1.0, "it is gone\n  bring it back"),
        Head(source.repository, source.ref, None, 1.0, "no answer"),
    ]
    async with running(fakes) as client:
        fleet = await client.get("/api/v1/units")
        one = (await client.get(UNIT)).json["problems"]
    assert len(fleet.json["problems"]) == 6
    gone = {"text": "it is gone", "where": "source https://git.example.com/x main", "hint": "bring it back"}
    assert gone in fleet.json["problems"]
    assert [problem["text"] for problem in one] == ["web is wrong", "no answer"]
    assert one[0]["where"] == "root admin, .kedge/web.yaml, line 3"


async def test_that_nothing_is_written_down_is_told_with_every_answer():
    fakes = Fakes()
    fakes.put(builders.dossier(**synced()))
    fakes.store.problem = "the disk is full\n  free space"
    async with running(fakes) as client:
        for path in ("/api/v1/units", UNIT):
            told = (await client.get(path)).json["problems"]
            assert told == [{"text": "the disk is full", "where": "store", "hint": "free space"}]


@pytest.mark.parametrize(
    ("file", "concerned"),
    [("", True), ("kedge.yaml", True), ("teams/kedge.yaml", True), (".kedge", True), (".kedge/other.yaml", False)],
)
def test_what_a_whole_root_hangs_on_concerns_each_of_its_units(file, concerned):
    unit = builders.unit(where=Where(".kedge/web.yaml", 3), root="admin")
    state = RootState("admin", None, False, (Problem("wrong", Where(file)),))
    assert bool(concerning(unit, [state], [])) == concerned


async def test_last_verified_follows_the_watch_while_synced_and_stops_with_it():
    fakes = Fakes(fresh={"default": 999_990.0})
    fakes.put(named("shop/web", **synced(verified=900_000.0)))
    fakes.put(named("shop/drifted", shown=Shown(Sync.OUT_OF_SYNC, Health(Status.HEALTHY)), verified=900_000.0))
    fakes.put(named("shop/never"))
    async with running(fakes) as client:
        rows = {row["name"]: row for row in (await client.get("/api/v1/units")).json["items"]}
        assert (rows["shop/web"]["lastVerified"], rows["shop/web"]["verifiedAge"]) == (999_990.0, 10.0)
        assert rows["shop/drifted"]["lastVerified"] == 900_000.0
        assert rows["shop/never"]["lastVerified"] is None
        fakes.fresh.clear()
        unit = (await client.get(UNIT)).json["unit"]
        assert (unit["lastVerified"], unit["verifiedAge"]) == (900_000.0, 100_000.0)


async def test_a_verification_that_is_too_old_says_so_and_one_that_was_not_written_down_counts():
    fakes = Fakes(proved={"shop/web": 950_000.0}, late={"shop/web": "not verified since noon: no answer"})
    fakes.put(named("shop/web", **synced(verified=900_000.0)))
    fakes.put(named("shop/other", **synced(verified=900_000.0)))
    async with running(fakes) as client:
        rows = {row["name"]: row for row in (await client.get("/api/v1/units")).json["items"]}
        unit = (await client.get(UNIT)).json["unit"]
    for found in (rows["shop/web"], unit):
        assert (found["lastVerified"], found["late"]) == (950_000.0, "not verified since noon: no answer")
    assert (rows["shop/other"]["lastVerified"], rows["shop/other"]["late"]) == (900_000.0, "")


async def test_a_unit_is_found_by_its_environment_in_the_name_or_in_the_query():
    fakes = Fakes()
    fakes.put(named("shop/web@prod"))
    async with running(fakes) as client:
        for path in (f"{UNIT}@prod", f"{UNIT}?environment=prod"):
            assert (await client.get(path)).json["unit"]["name"] == "shop/web@prod"
        missing = await client.get(UNIT)
        assert (missing.status, missing.error["class"]) == (404, "Invalid")
        assert (await client.get("/api/v1/units/shop/W%0aB")).status == 422


async def test_neither_chart_values_nor_a_password_in_an_address_are_shown():
    render = RenderSpec(helm=HelmSection(values={"password": "canary-1"}))
    source = SourceSpec("https://bob:canary-2@git.example.com/x.git", "main", "apps/web")
    head = replace(builders.revision(), repository=source.repository)
    fakes = Fakes()
    fakes.put(builders.dossier(unit=builders.unit(render=render, source=source), head=head, applied=head))
    async with running(fakes) as client:
        for path in (UNIT, "/api/v1/units", f"{UNIT}/operations", f"{UNIT}/plan", f"{UNIT}/objects"):
            answer = await client.get(path)
            assert (path, answer.status) == (path, 200)
            assert b"canary" not in answer.body


async def test_the_pending_plan_is_shown_with_its_fields():
    what = builders.ref("Deployment", "web")
    change = Change(what, Act.UPDATE, (FieldChange("spec.replicas", FieldAct.CHANGE, "2", "4"),), effect="e1")
    plan = builders.plan_of(builders.manifest("Deployment", "web"), changes=(change,))
    fakes = Fakes()
    fakes.put(builders.dossier(plan=plan))
    async with running(fakes) as client:
        found = (await client.get(f"{UNIT}/plan")).json
    assert found["plan"]["changes"][0]["fields"][0]["after"] == "4"
    assert (found["unit"], found["fresh"]) == ("shop/web", False)


async def test_objects_stand_in_the_order_of_waves_and_an_unwatched_one_says_so():
    early, late, pod = builders.ref("ConfigMap", "z"), builders.ref("Deployment", "a"), builders.ref("Pod", "a-1")
    fakes = Fakes(
        sights={late: builders.sight(late, "Progressing", message="1 of 2"), pod: Sight(pod, True, "Healthy")}
    )
    fakes.put(builders.dossier(inventory=(builders.owned(late, wave=1), builders.owned(early, wave=-1))))
    async with running(fakes) as client:
        items = (await client.get(f"{UNIT}/objects")).json["items"]
    assert [(item["name"], item["status"], item["managed"]) for item in items] == [
        ("z", "Unknown", True),
        ("a-1", "Healthy", False),
        ("a", "Progressing", True),
    ]


async def test_runs_are_listed_newest_first_and_each_tells_its_steps():
    plan = builders.plan_of(builders.manifest("Deployment", "web"))
    fakes = Fakes()
    fakes.put(builders.dossier())
    for number in (1, 2, 3):
        fakes.store.runs.append(builders.operation(plan, number=number, result=Result.SUCCEEDED, finished=5.0))
    async with running(fakes) as client:
        found = (await client.get(f"{UNIT}/operations?limit=2")).json
        assert ([run["number"] for run in found["items"]], found["next"]) == ([3, 2], 2)
        assert (await client.get(f"{UNIT}/operations/2")).json["run"]["result"] == "Succeeded"
        for number in ("9", "0", "-1", "99999999999999999999"):
            assert (await client.get(f"{UNIT}/operations/{number}")).status == 404


async def test_a_slip_in_a_name_is_no_unit_without_a_past_and_a_unit_that_is_gone_keeps_its_runs():
    fakes = Fakes()
    async with running(fakes) as client:
        assert (await client.get(f"{UNIT}/operations")).status == 404
        assert (await client.get(f"{UNIT}/events")).status == 404
        plan = builders.plan_of(builders.manifest("Deployment", "web"))
        fakes.store.runs.append(builders.operation(plan, number=1, result=Result.SUCCEEDED, finished=5.0))
        assert len((await client.get(f"{UNIT}/operations")).json["items"]) == 1


@pytest.mark.parametrize("path", ["/api/v1/units", UNIT, f"{UNIT}/plan", f"{UNIT}/objects", f"{UNIT}/operations"])
async def test_every_read_carries_the_schema_version(path):
    fakes = Fakes()
    fakes.put(builders.dossier())
    async with running(fakes) as client:
        assert (await client.get(path)).json["schemaVersion"] == "kedge.dev/v1"
