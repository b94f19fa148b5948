from dataclasses import replace

from tests.builders import dossier, operation, plan_of, unit

from kedge.control.road.doors import Turn
from kedge.control.shift.waiting import Waiting
from kedge.model.dossier import Shown, Sync
from kedge.model.health import Health, Status
from kedge.model.ref import UnitName

DB = UnitName("shop", "db")
WELL = Shown(sync=Sync.SYNCED, health=Health(Status.HEALTHY))


def waits_for_db() -> Turn:
    return Turn(dossier(unit=unit(after=(DB,))))


def db_is_well() -> Turn:
    return Turn(dossier(unit=unit(name=DB), shown=WELL))


def test_whoever_waits_is_rung_when_it_comes_about_and_once():
    waiting = Waiting()
    assert waiting.end("shop/web", waits_for_db(), waiting.begin()) == []
    assert waiting.end("shop/db", db_is_well(), waiting.begin()) == ["shop/web"]
    assert waiting.end("shop/db", db_is_well(), waiting.begin()) == []


def test_what_came_about_while_a_turn_was_under_way_is_not_waited_for_in_vain():
    waiting = Waiting()
    web = waiting.begin()
    assert waiting.end("shop/db", db_is_well(), waiting.begin()) == []
    assert waiting.end("shop/web", waits_for_db(), web) == ["shop/web"]


def test_what_came_about_before_a_turn_began_does_not_ring_it_for_ever():
    waiting = Waiting()
    other = waiting.begin()
    assert waiting.end("shop/db", db_is_well(), waiting.begin()) == []
    assert waiting.end("shop/web", waits_for_db(), waiting.begin()) == []
    assert waiting.end("shop/other", None, other) == []


def test_an_upstream_that_lets_an_object_go_does_not_ring_whoever_waits_for_it_to_be_well():
    waiting = Waiting()
    assert waiting.end("shop/web", waits_for_db(), waiting.begin()) == []
    assert waiting.end("shop/db", Turn(dossier(unit=unit(name=DB)), let_go=True), waiting.begin()) == []


def test_who_waits_for_an_object_of_a_unit_is_known_for_as_long_as_it_waits():
    waiting = Waiting()
    blocked = Turn(dossier(plan=replace(plan_of(), claimants=("shop/old",))))
    waiting.end("shop/new", blocked, waiting.begin())
    assert waiting.for_objects_of("shop/old") == waiting.for_objects_of("shop/old") == ["shop/new"]
    assert waiting.end("shop/old", Turn(None, let_go=True), waiting.begin()) == ["shop/new"]
    assert waiting.for_objects_of("shop/old") == []


def test_whoever_waits_for_a_change_further_up_is_rung_when_that_is_through_though_nothing_between_moves():
    """It went on by a timer, three minutes later."""
    waiting = Waiting()
    cache = Turn(dossier(unit=unit(name=UnitName("shop", "cache")), plan=plan_of()), mover="shop/db")
    assert waiting.end("shop/cache", cache, waiting.begin()) == []
    at_work = Turn(dossier(unit=unit(name=DB), operation=operation(plan_of())))
    assert waiting.end("shop/db", at_work, waiting.begin()) == []
    assert waiting.end("shop/db", db_is_well(), waiting.begin()) == ["shop/cache"]
