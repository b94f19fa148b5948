"""`python -m tests.conformance.report 1 200 [-v]`: the figures over a range of seeds, and what differs, most first."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.accepted import remaining
from tests.conformance.compare import Difference, differences, place
from tests.conformance.generate import program_of
from tests.conformance.servers import Boxed, Real, access_to, quiet, run

from kedge.compose import built_worker
from kedge.renderers.fieldmanager import Ask, FieldManager
from kedge.sandbox.fields import ManagedBy


def firsts(found: Sequence[Difference]) -> list[Difference]:
    """Of each object those of the first step that differs: what follows may follow from it."""
    since: dict[str, int] = {}
    for one in found:
        since.setdefault(place(one.step.path), one.number)
    return [one for one in found if since[place(one.step.path)] == one.number]


def main(words: Sequence[str]) -> int:
    first, last = int(words[0]), int(words[1])
    manager = FieldManager(str(built_worker()))
    steps = agreed = exact = 0
    seen: dict[str, list[tuple[int, Difference]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        plane = quiet(Path(folder))
        real = Real(access_to(plane))
        began = time.monotonic()
        try:
            for seed in range(first, last):
                program = program_of(seed)
                theirs = run(program, real)
                ours = run(program, Boxed(ManagedBy(manager, Ask), program.custom))
                found = list(differences(program, theirs, ours))
                left = remaining(found)
                exact += len(program.steps) - len({one.number for one in found})
                steps += len(program.steps)
                agreed += len(program.steps) - len({one.number for one in left})
                for one in firsts(left):
                    seen[f"{one.path} {one.real!r:.60} {one.sandbox!r:.60}"].append((seed, one))
        finally:
            real.close()
            plane.end()
            manager.close()
    share = 100 * agreed / steps
    print(f"{steps} requests, {agreed} agree ({share:.1f} %), {exact} to the letter, {time.monotonic() - began:.1f} s")
    counts = Counter({key: len(found) for key, found in seen.items()})
    for key, count in counts.most_common(int(words[2]) if len(words) > 2 else 400):
        seed, one = seen[key][0]
        print(f"\n{count} × seed {seed} {one.line()}\n    {one.step.told()[:170]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
