"""Build the command lines of Helm and Kustomize, which the tests compare with and the benchmarks run against.

They are optional: where they are missing, those tests skip. Built into `parts/bin` below the cache folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from build_native import BuildError, cache_folder, find_go, say

ORACLES = {
    "helm": "helm.sh/helm/v4/cmd/helm@v4.2.4",
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5@v5.8.1",
}


def build(go: str, name: str, module: str, folder: Path) -> None:
    kept = folder / name
    if kept.exists():
        say(f"{name} is there: {kept}")
        return
    say(f"building {module} …")
    environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    done = subprocess.run([go, "install", "-trimpath", module], env=environment, check=False)
    if done.returncode != 0:
        raise BuildError(f"{module} did not build; the lines above say why")
    say(f"built {kept}")


def main() -> int:
    folder = cache_folder() / "parts" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        go, _ = find_go()
        for name, module in ORACLES.items():
            build(go, name, module, folder)
    except BuildError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
