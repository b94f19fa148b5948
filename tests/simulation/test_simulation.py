"""Whole histories of the house in virtual time, with faults; each seed is one history."""

from __future__ import annotations

import pytest
from tests.simulation.run import run

CHUNK = 10
QUICK = range(5)
ALL = [*QUICK, *(pytest.param(chunk, marks=pytest.mark.slow) for chunk in range(5, 30))]
"""300 seeds in all, the first fifty of them on every `make check`."""


@pytest.mark.parametrize("chunk", ALL)
def test_whatever_happens_the_house_keeps_its_promises_and_comes_to_rest(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        assert run(seed).trace, seed


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(20))
def test_many_more_histories(chunk: int) -> None:
    for seed in range(1000 + chunk * 10, 1010 + chunk * 10):
        assert run(seed, actions=60).trace, seed


def test_the_same_seed_tells_the_same_story_twice() -> None:
    assert run(7).trace == run(7).trace
    assert run(7).trace != run(8).trace
