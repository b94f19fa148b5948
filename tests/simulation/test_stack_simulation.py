"""Whole histories of the house with stacks in it, in virtual time, with faults; each seed is one history."""

from __future__ import annotations

import pytest
from tests.simulation.stack_run import run_stacks

CHUNK = 10
QUICK = range(2)
ALL = [*QUICK, *(pytest.param(chunk, marks=pytest.mark.slow) for chunk in range(2, 5))]
"""50 seeds in all, the first twenty of them on every `make check`."""


@pytest.mark.parametrize("chunk", ALL)
def test_whatever_happens_to_stacks_the_house_keeps_its_promises_and_comes_to_rest(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        assert run_stacks(seed).trace, seed


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(2))
def test_longer_histories_of_stacks(chunk: int) -> None:
    for seed in range(1000 + chunk * 3, 1003 + chunk * 3):
        assert run_stacks(seed, actions=60).trace, seed


def test_the_same_seed_of_stacks_tells_the_same_story_twice() -> None:
    assert run_stacks(7).trace == run_stacks(7).trace
    assert run_stacks(7).trace != run_stacks(8).trace


@pytest.mark.slow
def test_the_histories_meet_what_they_are_for() -> None:
    told = "\n".join(line for seed in range(20) for line in run_stacks(seed).lines)
    for what in (
        "CRASH at",
        "killed ",
        "lost reply",
        "Saved plan is stale",
        "no answer for long",
        "breaks the lock",
        "approves an old plan",
        " drift: ",
        " rollback: ",
        " removal: ",
        "another hand",
    ):
        assert what in told, what
