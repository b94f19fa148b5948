"""The sandbox answers as a real API server does: programs drawn from seeds are run on both.

`KEDGE_SEEDS=1-200` draws others, `KEDGE_WAYS=every` tries every change in every way; `python -m
tests.conformance.report 1 200` counts and shows what differs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from tests.conformance.accepted import ACCEPTED, Accepted, remaining
from tests.conformance.catalog import SAMPLES
from tests.conformance.compare import Difference, differences
from tests.conformance.generate import program_of
from tests.conformance.matrix import program_of_kind
from tests.conformance.program import Program, Step
from tests.conformance.servers import Answer, Boxed, QuietPlane, Real, access_to, run

from kedge.sandbox import Fields

SEEDS = "1-20"
EVERY_WAY = os.environ.get("KEDGE_WAYS") == "every"
EXACT = 0.7
"""The part of all requests that is answered alike to the letter: below it something general has gone wrong."""


def seeds() -> range:
    first, last = (int(part) for part in os.environ.get("KEDGE_SEEDS", SEEDS).split("-"))
    return range(first, last + 1)


def told(seed: int, story: str, left: list[Difference]) -> str:
    lines = "\n".join(one.line() for one in left)
    return f"seed {seed}:\n{lines}\n\n{story}"


AT_ONCE = 4
"""Programs at work on the real server: it waits three seconds for a version of the future, and two for a new kind."""


def both(
    programs: Sequence[Program], plane: QuietPlane, fields: Fields
) -> Iterator[tuple[Program, list[Answer], list[Answer]]]:
    """Each program with what the real server and what the sandbox answered to it."""

    def really(program: Program) -> list[Answer]:
        with closing(Real(access_to(plane))) as real:
            return run(program, real)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for program, theirs in zip(programs, pool.map(really, programs), strict=True):
            yield program, theirs, run(program, Boxed(fields, program.custom))


@pytest.mark.slow
def test_generated_programs_are_answered_alike(plane: QuietPlane, fields: Fields) -> None:
    asked = agreed = 0
    failed: list[str] = []
    for program, theirs, ours in both([program_of(seed) for seed in seeds()], plane, fields):
        found = list(differences(program, theirs, ours))
        asked += len(program.steps)
        agreed += len(program.steps) - len({one.number for one in found})
        left = remaining(found)
        if left:
            failed.append(told(program.seed, program.story(), left))
    assert not failed, f"{len(failed)} programs are answered differently:\n\n" + "\n\n".join(failed[:9])
    assert agreed >= EXACT * asked, f"{agreed} of {asked} answers are alike"


@pytest.mark.slow
def test_every_change_of_every_kind_is_answered_alike(plane: QuietPlane, fields: Fields) -> None:
    failed: list[str] = []
    programs = [program_of_kind(number, all_ways=EVERY_WAY) for number in range(len(SAMPLES))]
    for program, theirs, ours in both(programs, plane, fields):
        # Each is only tried: nothing follows from what was answered before.
        found = differences(program, theirs, ours)
        left = [one for one in found if not any(line.covers(one) for line in ACCEPTED)]
        failed += [f"{SAMPLES[program.seed].kind}: {one.line()}\n    {one.step.told()}" for one in left]
    assert not failed, f"{len(failed)} changes are answered differently:\n" + "\n".join(failed[:20])


def test_a_seed_always_tells_the_same_story() -> None:
    assert program_of(8).story() == program_of(8).story()
    assert program_of(8).story() != program_of(9).story()


def test_what_is_accepted_has_a_reason_and_covers_no_more_than_it_says() -> None:
    assert all(line.why and re.compile(line.request) and re.compile(line.path) for line in ACCEPTED)
    line = Accepted("GET .*/pods", "code", "a reason", "gone")
    step = Step("GET", "/api/v1/pods")
    assert line.covers(Difference(0, step, "code", 404, 200, "real: gone"))
    assert not line.covers(Difference(0, step, "reason", "a", "b", "real: gone"))
    assert not line.covers(Difference(0, Step("PUT", "/api/v1/pods"), "code", 404, 200, "real: gone"))
    assert not line.covers(Difference(0, step, "code", 404, 200, "real: forbidden"))
