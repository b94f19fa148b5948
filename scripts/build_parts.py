"""Build the parts that the end-to-end tests and the benchmarks run against: a real Kubernetes, KWOK as its nodes, a
registry, OpenTofu, a provider for it, and a stand-in for AWS.

Each is a Go module in `parts/<name>/` whose go.mod and go.sum say all of it, or Python packages that
`requirements/<name>.txt` locks. They are optional: where they are missing, those tests skip. Built into `parts/<hash of
what declares it>` below the cache folder, so that a change makes another and the tests find the one that fits their
checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from build_native import ROOT, BuildError, cache_folder, find_go, say

EVERY = 15.0
"""Seconds between two lines of progress."""
VERSION = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class Part:
    """A module in `parts/<name>` and the program it makes, of the same name where `makes` gives none; `folders`:
    (module, folder) to keep beside it."""

    name: str
    package: str
    about: str
    ldflags: str = "-s -w"
    folders: tuple[tuple[str, str], ...] = ()
    makes: str = ""

    @property
    def module(self) -> Path:
        return ROOT / "parts" / self.name

    @property
    def key(self) -> str:
        """The hash of all that decides what is built. Of Go, go.mod names the version."""
        digest = hashlib.sha256(f"{sys.platform} {self.package} {self.ldflags} {self.folders}".encode())
        for file in sorted([*self.module.glob("*.go"), self.module / "go.mod", self.module / "go.sum"]):
            content = file.read_bytes()
            digest.update(f"\0{file.name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:32]

    @property
    def folder(self) -> Path:
        """Where it is, or would be, kept."""
        return cache_folder() / "parts" / self.key

    @property
    def program(self) -> Path:
        return self.folder / (self.makes or self.name)


@dataclass(frozen=True, slots=True)
class Packages:
    """Python packages in an environment of their own, whose interpreter is the program. `requirements/<name>.txt` has
    the hash of each."""

    name: str
    about: str

    @property
    def requirements(self) -> Path:
        return ROOT / "requirements" / f"{self.name}.txt"

    @property
    def folder(self) -> Path:
        digest = hashlib.sha256(f"{sys.version} {sys.base_prefix}\0".encode() + self.requirements.read_bytes())
        return cache_folder() / "parts" / digest.hexdigest()[:32]

    @property
    def program(self) -> Path:
        return self.folder / "bin" / "python"


def version_flags(major: int, minor: int, patch: int) -> str:
    """What `/version` answers: without them the server takes itself for v0.0.0."""
    words = {"gitVersion": f"v{major}.{minor}.{patch}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(["-s -w", *(f"-X {VERSION}.{name}={value}" for name, value in words.items())])


KUBERNETES = Part("kubernetes", ".", "about 6 minutes on two cores", version_flags(1, 35, 4))
KWOK = Part(
    "kwok",
    "sigs.k8s.io/kwok/cmd/kwok",
    "about 2 minutes",
    folders=(("sigs.k8s.io/kwok", "kustomize/stage"),),
)
REGISTRY = Part("registry", ".", "half a minute")
OPENTOFU = Part(
    "opentofu",
    "github.com/opentofu/opentofu/cmd/tofu",
    "about 6 minutes",
    "-s -w -X github.com/opentofu/opentofu/version.dev=no",
    makes="tofu",
)
THINGS = Part("things", ".", "about a minute", makes="terraform-provider-things")
PARTS = (KUBERNETES, KWOK, REGISTRY, OPENTOFU, THINGS)
MOTO = Packages("moto", "about 20 s, 140 MB")


def environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}


def told(lines: Iterable[str], whole: str, started: float) -> None:
    """Show how far a build is. Packages come one a line, what went wrong in sentences."""
    packages, fetched, due = 0, 0, started + EVERY
    for line in lines:
        if line.startswith("go: downloading"):
            fetched += 1
        elif " " in line.strip():
            say(line.rstrip())
        else:
            packages += 1
        if time.monotonic() >= due:
            due = time.monotonic() + EVERY
            say(f"  … {time.monotonic() - started:.0f} s: {packages} {whole}" if packages else f"  … {fetched} modules")


def run(command: list[str], part: Part, whole: str) -> str:
    """What a command of Go prints. Raises BuildError when it fails."""
    started = time.monotonic()
    with subprocess.Popen(
        command, cwd=part.module, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told(process.stderr, whole, started)
        printed = process.stdout.read()
    if process.returncode != 0:
        raise BuildError(f"{part.name} did not build; the lines above say why")
    return printed


def compile_part(go: str, part: Part, folder: Path) -> None:
    started = time.monotonic()
    say(f"building {part.name} ({part.about} when nothing of it is cached) …")
    packages = len(run([go, "list", "-deps", "-f", ".", part.package], part, "").split())
    command = [
        go,
        "build",
        "-v",
        "-trimpath",
        "-ldflags",
        part.ldflags,
        "-o",
        str(folder / part.program.name),
        part.package,
    ]
    run(command, part, f"packages compiled, of {packages} less those that Go has kept")
    size = (folder / part.program.name).stat().st_size / 1e6
    say(f"built {part.name} in {time.monotonic() - started:.0f} s, {size:.0f} MB")


def keep_folders(go: str, part: Part, folder: Path) -> None:
    for module, inner in part.folders:
        command = [go, "list", "-m", "-f", "{{.Dir}}", module]
        found = subprocess.run(
            command, cwd=part.module, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )
        source = Path(found.stdout.strip()) / inner
        if found.returncode != 0 or not source.is_dir():
            raise BuildError(f"{part.name} needs {inner} of {module}, which is not there: {found.stderr.strip()}")
        # The module cache is read-only; what is copied from it has to be removable.
        shutil.copytree(source, folder / inner, copy_function=shutil.copyfile)
        for made in [folder / inner, *(folder / inner).rglob("*")]:
            made.chmod(0o755 if made.is_dir() else 0o644)


def install(packages: Packages, folder: Path) -> None:
    """An environment in which nothing is but what its hashes name."""
    say(f"installing {packages.name} ({packages.about}) …")
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes", "-r"]
    python, requirements = str(folder / "bin" / "python"), str(packages.requirements)
    for command in ([sys.executable, "-m", "venv", str(folder)], [python, *words, requirements]):
        if subprocess.run(command, check=False).returncode != 0:
            raise BuildError(f"{packages.name} could not be installed; the lines above say why")


def compile_whole(go: str, part: Part, folder: Path) -> None:
    compile_part(go, part, folder)
    keep_folders(go, part, folder)


def build(part: Part | Packages, fill: Callable[[Path], None]) -> None:
    """Make one part unless it is there. It appears whole or not at all."""
    if part.program.exists():
        say(f"{part.name} is there: {part.program}")
        return
    unfinished = part.folder.with_suffix(f".{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        fill(unfinished)
        if not part.program.exists():
            unfinished.rename(part.folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def main() -> int:
    try:
        go, version = find_go()
        say(f"with {version} ({go})")
        for part in PARTS:
            build(part, partial(compile_whole, go, part))
        build(MOTO, partial(install, MOTO))
    except BuildError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
