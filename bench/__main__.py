"""`make bench`: every benchmark, one after the other. Each prints ratios to a rival or limit measured in the same run.

python -m bench [--quick] [NAME ...]

Each runs in a process of its own, so that the memory it tells of is its own. `--quick` takes smaller fleets: good for
seeing that everything works, not for figures to quote.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
import time
from collections.abc import Sequence

import bench

QUICK = "--quick"
ORDER = (
    "renders",
    "sources",
    "records",
    "states",
    "health",
    "executions",
    "stacks",
    "simulation",
    "objects",
    "fleet",
    "cold",
)


def known() -> list[str]:
    """Every benchmark, in the order they run in."""
    found = {module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_")}
    return [*(name for name in ORDER if name in found), *sorted(found.difference(ORDER))]


def others() -> str:
    """How busy the machine is before a benchmark begins: on one that others use too, rates are lower than they could
    be, and ratios of two things that did not wait for the same are off."""
    return f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before"


def run(name: str) -> int:
    """One benchmark, in this process."""
    module = importlib.import_module(f"bench.{name}")
    print(f"\n== {name}: {(module.__doc__ or '').strip().splitlines()[0]}", flush=True)
    busy, started = others(), time.monotonic()
    module.main()
    print(f"   ({time.monotonic() - started:.0f} s; {busy})", flush=True)
    return 0


def main(words: Sequence[str]) -> int:
    names = [word for word in words if word != QUICK]
    unknown = [name for name in names if name not in known()]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known())}", file=sys.stderr)
        return 2
    if QUICK in words:
        os.environ["BENCH_QUICK"] = "1"
    if len(names) == 1:
        return run(names[0])
    codes = [subprocess.run([sys.executable, "-m", "bench", name], check=False).returncode for name in names or known()]
    return max(codes, key=abs)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
