"""What a render holds in memory: a chart and an overlay of many objects, in the worker and by the command lines."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench._machine import peak, sized
from kedge.model.declaration import TargetSection
from kedge.model.ref import UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import Unit
from kedge.process import Child, spawn
from kedge.renderers.render import WorkerRenderer
from kedge.renderers.worker import Pool

OBJECTS = sized("BENCH_OBJECTS", 5_000, 500)
TEXT = "x" * 1_000

TEMPLATE = """{{{{- range $n := until {count} }}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: c{{{{ $n }}}}, labels: {{app: {{{{ $.Release.Name }}}}}}}}
data: {{text: "{text}"}}
{{{{- end }}}}
"""


def chart() -> dict[str, bytes]:
    return {
        "chart/Chart.yaml": b"apiVersion: v2\nname: heavy\nversion: 0.1.0\n",
        "chart/templates/all.yaml": TEMPLATE.format(count=OBJECTS, text=TEXT).encode(),
    }


def overlay() -> dict[str, bytes]:
    one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{0}}}\ndata: {{text: {1}}}\n"
    made = "---\n".join(one.format(number, TEXT) for number in range(OBJECTS // 10))
    return {
        "base/kustomization.yaml": b"resources: [all.yaml]\n",
        "base/all.yaml": made.encode(),
        "overlay/kustomization.yaml": b"resources: [../base]\nnamePrefix: prod-\ncommonLabels: {env: prod}\n",
    }


def rival(argv: Sequence[str], files: Mapping[str, bytes]) -> float:
    """MiB that a command line held at most over these files."""
    with tempfile.TemporaryDirectory(prefix="kedge-bench-") as name:
        for path, data in files.items():
            (Path(name) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(name) / path).write_bytes(data)
        env = {"PATH": "/usr/bin:/bin", "HOME": name}
        quiet = subprocess.DEVNULL
        child = subprocess.Popen(argv, cwd=name, env=env, stdout=quiet, stderr=quiet)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{argv[0]} failed over {len(files)} files")
    return used.ru_maxrss / 1024


async def held(program: Path, files: Mapping[str, bytes], path: str, snapshot: object) -> tuple[int, float]:
    """Objects, and MiB that a fresh worker held at most."""
    children: list[Child] = []

    async def starting(*args: object, **kwargs: object) -> Child:
        children.append(await spawn(*args, **kwargs))  # type: ignore[arg-type]
        return children[-1]

    pool = Pool(str(program), starting, size=1)
    unit = Unit(UnitName("bench", "web"), "bench", SourceSpec("bench", "main", path), TargetSection(namespace="shop"))
    done = await WorkerRenderer(pool, "bench").render(snapshot, unit)  # type: ignore[arg-type]
    most = peak(children[0].pid)
    await pool.close()
    return len(done.manifests), most


def told(what: str, mine: tuple[int, float], theirs: float | None) -> None:
    beside = f"the command line {theirs:.0f} MiB" if theirs is not None else "no command line on this machine"
    print(f"{'memory':<10} {what}: {mine[0]:,} objects in the worker at most {mine[1]:.0f} MiB; {beside}")
