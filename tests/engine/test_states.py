"""What the contract suite does not reach: decisions at their edges. Whole stories are in tests/contracts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kedge.engine import states
from kedge.engine.states import Will
from kedge.model.errors import Conflict, Denied, Invalid
from kedge.model.state import Origin, StateFacts, StateGrant, StateLock, StateText, StateVersion

UNIT = "shop/db"
TEXT = StateText(2, "line", "d2", resources=("aws_s3_bucket.a",), content=b"{}")
NEWEST = StateVersion(UNIT, 1, 1, "line", "d1", 2, 1, 0.0, Origin.WRITTEN, "run-1")
GRANT = StateGrant("run-1", UNIT, "t", True, 0.0, base=1)
LOCK = StateLock(UNIT, "lock-1", "run-1", "who", "apply", 0.0, 1)
FACTS = StateFacts(UNIT, NEWEST, LOCK, GRANT, last=1)
WILL = Will("mona", "why", 5.0)


def test_a_barred_run_may_let_its_lock_go_and_nothing_else() -> None:
    barred = replace(FACTS, grant=replace(GRANT, barred="its lock was broken"))
    with pytest.raises(Conflict, match="its lock was broken"):
        states.write(barred, "lock-1", TEXT, 1.0)
    with pytest.raises(Conflict, match="its lock was broken"):
        states.lock(replace(barred, lock=None), LOCK)
    assert states.unlock(barred, "lock-1", 1.0).lock is None


@pytest.mark.parametrize(
    "grant", [None, replace(GRANT, unit="shop/other"), replace(GRANT, ended=1.0), replace(GRANT, writes=False)]
)
def test_without_a_grant_of_its_own_a_run_may_nothing(grant: StateGrant | None) -> None:
    with pytest.raises(Denied):
        states.write(replace(FACTS, grant=grant), "lock-1", TEXT, 1.0)


def test_a_lock_that_was_taken_anew_by_the_same_run_is_not_written_under_by_its_old_id() -> None:
    with pytest.raises(Conflict):
        states.write(replace(FACTS, lock=replace(LOCK, id="lock-2")), "lock-1", TEXT, 1.0)


def test_what_was_written_under_a_lock_is_told_once_when_it_goes() -> None:
    written = replace(FACTS, newest=replace(NEWEST, number=4, serial=9))
    (event,) = states.unlock(written, "lock-1", 7.0).events
    assert event.message == "run-1 wrote 3 versions: serial 9, 1 resource"
    assert states.unlock(FACTS, "lock-1", 7.0).events == ()
    others = replace(FACTS, newest=replace(NEWEST, number=4, execution="", actor="mona"))
    assert states.unlock(others, "lock-1", 7.0).events == ()


def test_the_lock_that_was_seen_is_the_one_that_is_broken() -> None:
    with pytest.raises(Conflict, match="any more"):
        states.break_lock(FACTS, "lock-0", replace(WILL, force=True), dead=False)
    dead = states.break_lock(FACTS, "lock-1", replace(WILL, reason=""), dead=True)
    assert (dead.lock, dead.grant is not None and dead.grant.barred != "") == (None, True)


def test_a_text_that_was_made_for_another_serial_is_not_rolled_back_to() -> None:
    free = replace(FACTS, lock=None, newest=replace(NEWEST, number=5, serial=7))
    with pytest.raises(Conflict, match="moved on"):
        states.rollback(free, TEXT, 1, WILL)
    assert states.rollback(free, replace(TEXT, serial=8), 1, WILL).version is not None


def test_the_same_state_is_not_pushed_twice() -> None:
    with pytest.raises(Invalid, match="the same already"):
        states.push(replace(FACTS, lock=None), replace(TEXT, serial=1, digest="d1"), WILL)


def test_after_a_deletion_another_lineage_may_be_pushed() -> None:
    gone = replace(FACTS, lock=None, newest=replace(NEWEST, origin=Origin.DELETED))
    made = states.push(gone, replace(TEXT, lineage="other"), WILL).version
    assert made is not None
    assert (made.number, made.actor) == (2, "mona")
