"""`python -m tests.simulation.soak 10000`: many seeds in a row, or as many as go into `--minutes`; `--seed N --story`
tells one. In place of the whole house with applications (`run.py`), `--stacks` lives histories with stacks in them
(`stack_run.py`), `--pure` runs of `advance` alone (`pure.py`)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import count

from tests.simulation import pure, run, stack_run

TOLD_EVERY = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="?", default=1000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--actions", type=int, default=25, help="how much happens in each")
    parser.add_argument("--minutes", type=float, help="as many seeds as go into this time, in place of a number")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--story", action="store_true", help="print what happened")
    parser.add_argument("--pure", action="store_true", help="runs of `advance` alone")
    parser.add_argument("--stacks", action="store_true", help="histories with stacks in them")
    given = parser.parse_args()
    began = told = time.monotonic()
    lived = failed = 0
    for seed in _seeds(given):
        lived += 1
        try:
            lines = _live(seed, given)
        except (run.Failed, pure.Failed) as error:
            failed += 1
            print(error, flush=True)
            continue
        if given.story:
            print("\n".join(lines))
        if time.monotonic() - told > TOLD_EVERY:
            told = time.monotonic()
            print(f"{lived} seeds in {told - began:.0f} s, {failed} failed", flush=True)
    print(f"{lived} seeds in {time.monotonic() - began:.0f} s, {failed} failed")
    return 1 if failed else 0


def _seeds(given: argparse.Namespace) -> Iterator[int]:
    if given.seed is not None:
        yield given.seed
    elif given.minutes is None:
        yield from range(given.start, given.start + given.seeds)
    else:
        end = time.monotonic() + given.minutes * 60.0
        for seed in count(given.start):
            if time.monotonic() >= end:
                return
            yield seed


def _live(seed: int, given: argparse.Namespace) -> list[str] | tuple[str, ...]:
    if given.pure:
        return pure.run_pure(seed).lines
    return run.run(seed, given.actions, stack_run.STACKS if given.stacks else run.APPLICATIONS).lines


if __name__ == "__main__":
    sys.exit(main())
