"""Writes records and prints each acknowledgement, until somebody kills it: `PATH SEED POINT NUMBER`.

With a point, it kills itself at that point's `NUMBER`th passing, in the middle of whatever is being written.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from tests.builders import manifest, operation, owned, plan_of, ref
from tests.store.opening import SeededEntropy, event, fresh, opened, wrote

from kedge.model.manifest import digest_of

WRITERS, RECORDS = 4, 40


class Killer:
    def __init__(self, point: str, number: int) -> None:
        self._point, self._left = point, number

    def __call__(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


async def main(path: Path, seed: int, point: str, number: int) -> None:
    store = opened(path, fail=Killer(point, number), entropy=SeededEntropy(seed))

    async def write(name: str) -> None:
        unit = f"shop/{name}"
        dossier = await store.load(fresh(name).name) or await store.record(wrote(fresh(name)))
        for n in range(dossier.version, dossier.version + RECORDS):
            manifests = (manifest("ConfigMap", f"{name}-{n}"),)
            plan = plan_of(*manifests)
            run = operation(plan, unit=dossier.name, number=n, id=f"{name}-{n}", rendered=digest_of(manifests))
            claims = tuple(owned(ref("ConfigMap", f"{name}-{k}")) for k in (n, n + 1))
            moved = replace(dossier, inventory=claims, plan=plan, operation=run, runs=n)
            noted = (event("a", unit, message=str(n)), event("b", unit, message=str(n)))
            given = wrote(moved, *noted, operation=run, rendered=(digest_of(manifests), manifests))
            dossier = await store.record(given)
            os.write(1, f"{unit} {dossier.version}\n".encode())

    await asyncio.gather(*(write(f"w{n}") for n in range(WRITERS)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
