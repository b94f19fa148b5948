"""`kedge check`: what a root's folder declares, whether it holds together, and what its units render to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kedge.dialects.kedge import Reading, read
from kedge.dialects.loader import LIMITS
from kedge.dialects.root import CONFIG, RootConfig, included, read_config
from kedge.engine.resolve import resolve
from kedge.engine.trust import Trust
from kedge.model.change import Finding
from kedge.model.declaration import Cluster, Credential, Declaration, Project, Root, SourceSection
from kedge.model.errors import Awaited, Invalid, KedgeError, Problem, Where
from kedge.model.manifest import Desired
from kedge.model.origin import SAME, Assembly, assembly_of, chart_of
from kedge.model.unit import Unit
from kedge.policy.admit import admit
from kedge.policy.lint import lint

HERE = "file:///here"
"""The repository that a check takes the folder for."""

_MOST_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Checked:
    """`findings` are by unit name. `elsewhere` are units whose files, or the keys to them, are elsewhere: not
    rendered."""

    units: tuple[Unit, ...]
    problems: tuple[Problem, ...]
    findings: tuple[tuple[str, Finding], ...]
    elsewhere: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return not self.problems and not self.findings


def check(directory: Path, *, render: bool = True, admin: Path | None = None, root: str = "") -> Checked:
    """Read and render everything below `directory`: the admin root, or the further `root` of the one in `admin` ("":
    of the only one). Raises Invalid where there is no such directory or root, Unavailable where there is no worker to
    render with."""
    for place in (directory, admin):
        if place is not None and not place.is_dir():
            raise Invalid("there is no such directory", where=Where(str(place)))
    reading = declarations(directory)
    trust = _trust(reading) if admin is None else _below(admin, root)
    resolved = resolve(trust, reading.declarations)
    here = trust.root.repository
    local = [unit for unit in resolved.units if _is_here(unit, here)]
    problems, findings = asyncio.run(_rendered(directory, local)) if render and local else ([], [])
    elsewhere = tuple(str(unit.name) for unit in resolved.units if not _is_here(unit, here))
    wrong = tuple(_hinted(problem) for problem in resolved.problems) if admin is None else resolved.problems
    return Checked(resolved.units, (*reading.problems, *wrong, *problems), tuple(findings), elsewhere)


def _hinted(problem: Problem) -> Problem:
    """A project that is not there is in the admin root, where the folder is another one."""
    if problem.where.path != "metadata.project":
        return problem
    return replace(problem, hint=f"{problem.hint}; where another repository is the admin root: --admin CHECKOUT")


def _below(admin: Path, name: str) -> Trust:
    """As one of the further roots is trusted that the admin root names."""
    over = declarations(admin)
    whole = resolve(_trust(over), over.declarations)
    problems = (*over.problems, *whole.problems)
    if problems:
        first = Problem("the admin root has problems itself", Where(str(admin)), f"kedge check {admin}")
        raise Invalid("", problems=(first, *problems))
    roots = [one for one in over.declarations if isinstance(one, Root)]
    fitting = [one for one in roots if name in ("", one.name)]
    if len(fitting) != 1:
        known = ", ".join(one.name for one in roots) or "none"
        raise Invalid(f"which root is it? {admin} declares {known}", hint="--root NAME")
    units = tuple(unit.name for unit in whole.units)
    return replace(_trust(over), root=fitting[0], admin=False, elsewhere=units)


def _is_here(unit: Unit, here: str) -> bool:
    """Whether all of its files are in the folder: other sources and what files name are fetched by a server only."""
    assembly = assembly_of(unit.source.ref)
    return (
        unit.source.repository == here
        and (assembly is None or assembly == Assembly(assembly.ref, assembly.path, allow=(SAME,)))
        and chart_of(unit.source.ref) is None
        and unit.render.decrypt is None
    )


def declarations(directory: Path) -> Reading:
    """Everything declared in the files that the folder's `kedge.yaml` includes. Never raises for what is in them."""
    try:
        config = read_config(_bytes(directory / CONFIG), CONFIG) if (directory / CONFIG).is_file() else RootConfig()
    except Invalid as error:
        return Reading((), error.problems)
    found: list[Declaration] = []
    problems: list[Problem] = []
    for path in _files(directory, config):
        try:
            reading = read(_bytes(directory / path), path)
        except Invalid as error:
            problems += error.problems
            continue
        found += reading.declarations
        problems += reading.problems
    return Reading(tuple(found), tuple(problems))


def _files(directory: Path, config: RootConfig) -> Iterator[str]:
    """Paths from the folder, in order; symlinks are not followed."""
    seen = 0
    for folder, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if name != ".git")
        for name in sorted(files):
            seen += 1
            if seen > _MOST_FILES:
                raise Invalid(f"there are more than {_MOST_FILES} files", where=Where(str(directory)))
            path = (Path(folder) / name).relative_to(directory).as_posix()
            if included(config, path) and not (Path(folder) / name).is_symlink():
                yield path


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LIMITS.size + 1)
    except OSError as error:
        raise Invalid(f"it cannot be read: {error.strerror}", where=Where(str(path))) from None


def _trust(reading: Reading) -> Trust:
    """As the admin root is trusted: a folder that is checked may declare everything."""
    found = reading.declarations
    return Trust(
        root=Root(
            "admin", repository=HERE, kinds=("Application", "Root", "Project", "Cluster", "Credential", "HealthRule")
        ),
        admin=True,
        projects=tuple(_with_here(one) for one in found if isinstance(one, Project)),
        clusters=tuple(one for one in found if isinstance(one, Cluster)),
        credentials=tuple(one for one in found if isinstance(one, Credential)),
    )


def _with_here(project: Project) -> Project:
    """Where the folder is kept nobody says: its project is taken to allow it."""
    return replace(project, sources=(*project.sources, HERE)) if project.sources else project


async def _rendered(directory: Path, units: Sequence[Unit]) -> tuple[list[Problem], list[tuple[str, Finding]]]:
    from kedge.offline import offline

    problems: list[Problem] = []
    findings: list[tuple[str, Finding]] = []
    async with offline(_unknown) as house:
        for unit in units:
            place, name = directory / unit.source.path, str(unit.name)
            if not place.is_dir():
                text = f"the source path “{unit.source.path}” of {name} is not there"
                problems.append(Problem(text, unit.where, f"in {directory}"))
                continue
            try:
                assembly = assembly_of(unit.source.ref)
                desired = await house.render(
                    place,
                    unit.render,
                    name=unit.name.name,
                    namespace=unit.target.namespace or "default",
                    declared=SourceSection(allow=assembly.allow if assembly is not None else ()),
                    inputs=unit.inputs,
                )
            except Awaited:
                continue  # it hangs on a value that only a server knows
            except KedgeError as error:
                problems += error.problems
                continue
            findings += [(name, finding) for finding in (*admit(unit, desired), *_linted(unit, desired))]
    return problems, findings


async def _unknown(name: str) -> str:
    """In place of a secret of the store: what is checked does not hang on it."""
    return f"the secret {name}"


def _linted(unit: Unit, desired: Desired) -> list[Finding]:
    """The set is as written, not placed: a missing namespace is the target's to give."""
    placed = bool(unit.target.namespace)
    return [found for found in lint(desired) if not (placed and found.rule == "lint/namespace")]
