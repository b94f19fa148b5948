from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kedge.control.shift.queue import DueQueue, Lane


def drain(queue):
    taken = []
    while (found := queue.take()) is not None:
        taken.append(found[0])
        queue.done(found[0])
    return taken


def test_a_unit_is_due_once_however_often_it_rings():
    queue = DueQueue()
    for _ in range(5):
        queue.ring("shop/web")
    assert drain(queue) == ["shop/web"]


def test_a_bell_during_a_turn_gives_one_more_turn_afterwards():
    queue = DueQueue()
    queue.ring("shop/web")
    queue.take()
    queue.ring("shop/web")
    queue.ring("shop/web")
    assert queue.take() is None
    queue.done("shop/web")
    assert drain(queue) == ["shop/web"]


def test_people_go_before_changes_and_changes_before_sweeps():
    queue = DueQueue()
    queue.ring("shop/swept", Lane.SWEEP)
    queue.ring("shop/changed")
    queue.ring("shop/asked", Lane.INTERACTIVE)
    queue.ring("shop/swept", Lane.INTERACTIVE)
    assert drain(queue) == ["shop/asked", "shop/swept", "shop/changed"]


def test_projects_take_turns_so_that_none_starves_another():
    queue = DueQueue()
    for number in range(3):
        queue.ring(f"big/{number}")
    queue.ring("small/0")
    assert drain(queue) == ["big/0", "small/0", "big/1", "big/2"]


def test_a_cluster_whose_turns_do_not_end_leaves_room_for_the_others():
    queue = DueQueue()
    for number in range(200):
        queue.ring(f"shop/sick{number}")
    for cluster, letter in (("stuck", "a"), ("slow", "b"), ("well", "c")):
        for number in range(200):
            queue.place(f"shop/{letter}{number}", cluster)
            queue.ring(f"shop/{letter}{number}")
    taken = []
    while (found := queue.take(85)) is not None:
        taken.append(found[0])
    shares = Counter(unit[5] for unit in taken)
    assert set(shares) == {"s", "a", "b", "c"}
    assert max(shares.values()) - min(shares.values()) <= 1
    assert queue.busy < 85
    ended = next(unit for unit in taken if unit.startswith("shop/c"))
    queue.done(ended)
    assert queue.take(85)[0].startswith("shop/c")


def test_one_cluster_alone_may_have_most_places_and_one_that_comes_later_finds_some():
    queue = DueQueue()
    for number in range(200):
        queue.place(f"shop/{number}", "stuck")
        queue.ring(f"shop/{number}")
    while queue.take(85) is not None:
        pass
    assert queue.busy == 64
    queue.place("shop/late", "well")
    queue.ring("shop/late")
    assert queue.take(85) == ("shop/late", Lane.CHANGE)


def test_people_who_wait_for_a_full_cluster_hold_up_no_change_of_another():
    queue = DueQueue()
    for number in range(9):
        queue.place(f"shop/{number}", "stuck")
        queue.ring(f"shop/{number}", Lane.INTERACTIVE)
    queue.place("shop/web", "well")
    queue.ring("shop/web", Lane.SWEEP)
    taken = [queue.take(8) for _ in range(8)]
    assert [found[0] for found in taken if found][-1] == "shop/web"


def test_a_timer_rings_at_its_time_and_the_earliest_counts():
    queue = DueQueue()
    queue.later("shop/web", 10.0)
    queue.later("shop/web", 5.0)
    queue.later("shop/web", 20.0)
    queue.wake(4.9)
    assert queue.take() is None
    queue.wake(5.0)
    assert drain(queue) == ["shop/web"]
    assert queue.next_time() is None


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["ring", "later", "take", "done"])), max_size=60))
def test_no_bell_is_ever_lost(story):
    queue, busy, wanted = DueQueue(), set(), set()
    for unit, act in story:
        name = f"p/{unit}"
        if act == "ring":
            queue.ring(name)
            wanted.add(name)
        elif act == "later":
            queue.later(name, 0.0)
            wanted.add(name)
        elif act == "take" and (found := queue.take()) is not None:
            assert found[0] not in busy
            busy.add(found[0])
            wanted.discard(found[0])
        elif act == "done" and name in busy:
            busy.discard(name)
            queue.done(name)
    for name in sorted(busy):
        queue.done(name)
    queue.wake(1.0)
    assert wanted <= set(drain(queue))
