"""`python -m tests.simulation.soak 10000`: many seeds in a row; `--seed N --story` tells one."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.run import Failed, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="?", default=1000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--actions", type=int, default=25, help="how much happens in each")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--story", action="store_true", help="print what happened")
    given = parser.parse_args()
    seeds = [given.seed] if given.seed is not None else range(given.start, given.start + given.seeds)
    failed = 0
    for seed in seeds:
        try:
            story = run(seed, given.actions)
        except Failed as error:
            failed += 1
            print(error, flush=True)
            continue
        if given.story:
            print("\n".join(story.lines))
    print(f"{len(seeds)} seeds, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
