"""Declarations of one root → units, with every default, environment and project rule resolved.

A unit with a problem is left out and its neighbours live; the caller takes a read with problems for incomplete, so
that what is left out stays as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any

from kedge.engine.health.trying import problems_of
from kedge.engine.trust import (
    Trust,
    closest,
    credentials_problem,
    environment_problem,
    refused_by_root,
    secrets_problem,
    source_problem,
    stricter,
    target_problem,
)
from kedge.model.declaration import (
    Application,
    ApplicationSpec,
    ApproveSection,
    Cluster,
    Declaration,
    Heal,
    InputSection,
    OnRemove,
    OtherSource,
    Project,
    Root,
    SourceSection,
    Stack,
    StackHeal,
    StackRemoval,
    StackSpec,
    SyncSection,
    TargetSection,
)
from kedge.model.errors import Problem, Where
from kedge.model.origin import MAIN, OTHERS, SAME, Assembly, Part, assembly_of, of_assembly, of_chart, of_range
from kedge.model.ref import UnitName
from kedge.model.rendering import HelmSection
from kedge.model.rule import HealthRule
from kedge.model.source import SourceSpec
from kedge.model.unit import Input, KindRules, OutputField, RenderSpec, StackTool, Unit

MOST_WINDOWS = 20
"""Windows of one stack: they are looked at whenever it is."""

__all__ = ["Resolved", "Trust", "resolve"]

ADMIN = "admin"
Named = tuple[UnitName, Application | Stack, ApplicationSpec | StackSpec]


@dataclass(frozen=True, slots=True)
class Resolved:
    """Units ordered by name, and what keeps others from being units."""

    units: tuple[Unit, ...]
    problems: tuple[Problem, ...] = ()


def resolve(trust: Trust, declarations: Sequence[Declaration]) -> Resolved:
    """What one root declares, under the trust it has. Pure; raises nothing."""
    problems = _standing(trust, declarations)
    wanted: list[Named] = []
    for declared in declarations:
        if not isinstance(declared, Application | Stack):
            continue
        refused = refused_by_root(trust, declared)
        if refused is not None:
            problems.append(refused)
            continue
        wanted.extend(_named(declared))
    twice = _duplicates(wanted)
    problems.extend(twice.values())
    known = {name for name, _, _ in wanted} | set(trust.elsewhere)
    units = []
    for name, declared, spec in wanted:
        if name in twice:
            continue
        unit, wrong = _unit(trust, (name, declared, spec), known)
        problems.extend(wrong)
        if not wrong:
            units.append(unit)
    cycles = _cycles(units)
    problems.extend(cycles.values())
    kept = tuple(sorted((unit for unit in units if unit.name not in cycles), key=lambda unit: unit.name))
    return Resolved(kept, tuple(dict.fromkeys(problems)))


def _standing(trust: Trust, declarations: Sequence[Declaration]) -> list[Problem]:
    """What is wrong with the kinds that only the admin root may declare."""
    problems: list[Problem] = []
    seen: dict[tuple[str, str], Where] = {}
    for declaration in declarations:
        if isinstance(declaration, Application | Stack):
            continue
        kind = type(declaration).__name__
        if not trust.admin:
            text = f"only the admin root declares {kind}s, not the root {trust.root.name}"
            problems.append(Problem(text, declaration.where, "move it there"))
            continue
        first = seen.setdefault((kind, declaration.name), declaration.where)
        if first is not declaration.where:
            text = f"{kind} {declaration.name} is declared twice: here and in {first}"
            problems.append(Problem(text, declaration.where, "remove one of them"))
        problems.extend(_references(trust, declaration))
    return problems


def _references(trust: Trust, declaration: Declaration) -> list[Problem]:
    where = declaration.where
    if isinstance(declaration, Root):
        missing = [name for name in declaration.projects if name not in {p.name for p in trust.projects}]
        names = [project.name for project in trust.projects]
        problems = [Problem(f"there is no project “{name}”", where, closest(name, names)) for name in missing]
        if declaration.name == ADMIN:
            problems.append(Problem(f"“{ADMIN}” is the name of the root that Kedge starts on", where, "rename it"))
        return problems
    if isinstance(declaration, HealthRule):
        return list(problems_of(declaration))
    if isinstance(declaration, Cluster) and declaration.credential:
        names = [credential.name for credential in trust.credentials]
        if declaration.credential not in names:
            text = f"there is no credential “{declaration.credential}”"
            return [Problem(text, where, closest(declaration.credential, names))]
    return []


def _named(declared: Application | Stack) -> list[Named]:
    """One unit per environment, or one without any."""
    project, name = declared.project, declared.name
    if not declared.spec.environments:
        return [(UnitName(project, name), declared, declared.spec)]
    return [(UnitName(project, name, env), declared, spec) for env, spec in declared.spec.environments]


def _duplicates(wanted: Iterable[Named]) -> dict[UnitName, Problem]:
    first: dict[UnitName, Where] = {}
    twice: dict[UnitName, Problem] = {}
    for name, declared, _ in wanted:
        if name in first:
            text = f"{name} is declared twice: here and in {first[name]}"
            twice.setdefault(name, Problem(text, declared.where, "rename or remove one of them"))
        else:
            first[name] = declared.where
    return twice


def _unit(trust: Trust, named: Named, known: set[UnitName]) -> tuple[Unit, list[Problem]]:
    name, declared, spec = named
    project, where = trust.project(name.project) or Project(name.project), declared.where
    source = source_of(trust.root, spec.source)
    rule = ApproveSection(spec.approve.when, spec.approve.by, spec.approve.count)
    approve, loosened = stricter(project, rule, where)
    after, dangling = _after(name, spec.after, known, where)
    inputs, lacking = _inputs(name, spec.inputs, known, where)
    unit = Unit(
        name=name,
        root=trust.root.name,
        source=source,
        target=spec.target if isinstance(spec, ApplicationSpec) else TargetSection(cluster=""),
        approve=approve,
        after=after,
        labels=declared.labels,
        kinds=KindRules(project.kinds, project.deniedKinds),
        where=where,
        inputs=inputs,
    )
    if isinstance(spec, ApplicationSpec):
        unit, wrong = _application(trust, project, unit, spec)
    else:
        unit, wrong = _stack(trust, project, unit, spec)
    found = [environment_problem(project, name.environment, where), *wrong, loosened]
    problems = [problem for problem in found if problem is not None] + _reached(project, source, where)
    return replace(unit, digest=_digest(unit)), [*problems, *dangling, *lacking]


def _application(
    trust: Trust, project: Project, unit: Unit, spec: ApplicationSpec
) -> tuple[Unit, list[Problem | None]]:
    where = unit.where
    helm, unknown = values_of(spec.helm, unit.source)
    wrong = [target_problem(trust, project, spec.target, where), secrets_problem(project, spec, where)]
    if unknown:
        wrong.append(Problem(f"there is no other source “{unknown}”", where, "name it in source.others"))
    render = RenderSpec(spec.directory, spec.kustomize, helm, spec.patches, spec.jsonnet, spec.substitute, spec.decrypt)
    outputs = tuple(OutputField(name, given.object, given.path) for name, given in sorted(spec.outputs.items()))
    made = replace(
        unit,
        render=render,
        sync=spec.sync,
        on_remove=spec.onRemove,
        targets=project.targets,
        account=project.serviceAccount,
        outputs=outputs,
    )
    return made, wrong


def _stack(trust: Trust, project: Project, unit: Unit, spec: StackSpec) -> tuple[Unit, list[Problem | None]]:
    wrong = [credentials_problem(project, spec, trust.credentials, unit.where)]
    if len(spec.sync.driftWindows) > MOST_WINDOWS:
        wrong.append(Problem(f"there are more than {MOST_WINDOWS} windows in sync.driftWindows", unit.where))
    tool = StackTool(
        name=spec.tool.name,
        version=spec.tool.version,
        variables=json.dumps(spec.variables, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
        variable_files=spec.variableFiles,
        workspace=spec.workspace,
        plan_as=spec.credentials.plan,
        apply_as=spec.credentials.apply or spec.credentials.plan,
        every=spec.sync.every,
        windows=spec.sync.driftWindows,
        modules=spec.modules,
        harmless=spec.sync.heal is StackHeal.HARMLESS,
    )
    heal = Heal.NEVER if spec.sync.heal is StackHeal.NEVER else Heal.ALWAYS
    sync = SyncSection(auto=spec.sync.auto, heal=heal, timeout=spec.sync.timeout)
    removal = OnRemove.KEEP if spec.onRemove is StackRemoval.KEEP else OnRemove.ASK
    return replace(unit, tool=tool, sync=sync, on_remove=removal), wrong


def source_of(root: Root, source: SourceSection) -> SourceSpec:
    """Repository and ref default to the root's; the ref of another repository to its default branch. A chart's files
    are in a folder of its name."""
    repository, ref = _place(root, source)
    path = source.chart or "/".join(part for part in source.path.split("/") if part not in ("", "."))
    others = tuple(Part(other.name, *_place(root, other)) for other in source.others)
    assembly = Assembly(ref, path, others, source.allow, source.submodules, source.lfs)
    return SourceSpec(repository, of_assembly(assembly), path or (MAIN if others else ""))


def _place(root: Root, source: SourceSection | OtherSource) -> tuple[str, str]:
    """Repository and ref."""
    repository = source.repository or root.repository
    if isinstance(source, SourceSection) and source.chart:
        return repository, of_chart(source.chart, source.version or source.ref)
    if source.version:
        return repository, of_range(source.version)
    return repository, source.ref or (root.ref if repository == root.repository else "")


def values_of(helm: HelmSection | None, source: SourceSpec) -> tuple[HelmSection | None, str]:
    """The section with `$NAME/…` as the path that the file has beside the chart, and a name that no source has."""
    assembly = assembly_of(source.ref)
    if helm is None or assembly is None or not assembly.others:
        return helm, ""
    names = {part.name for part in assembly.others}
    files, unknown = [], ""
    for file in helm.valuesFiles:
        name, _, rest = file[1:].partition("/")
        if file.startswith("$") and name in names:
            file = "../" * len(source.path.split("/")) + f"{OTHERS}/{name}/{rest}"
        elif file.startswith("$"):
            unknown = unknown or name
        files.append(file)
    return replace(helm, valuesFiles=tuple(files)), unknown


def _reached(project: Project, source: SourceSpec, where: Where) -> list[Problem]:
    """What the project says of every repository that the unit reads."""
    assembly = assembly_of(source.ref)
    parts = [part.repository for part in assembly.others] if assembly is not None else []
    more = [*parts, *(url for url in (assembly.allow if assembly is not None else ()) if url != SAME)]
    found = [source_problem(project, repository, where) for repository in (source.repository, *more)]
    return [problem for problem in found if problem is not None]


def _after(
    name: UnitName, wanted: Sequence[str], known: set[UnitName], where: Where
) -> tuple[tuple[UnitName, ...], list[Problem]]:
    after: list[UnitName] = []
    problems: list[Problem] = []
    for text in wanted:
        other = _neighbour(name, text)
        if other in known:
            after.append(other)
        else:
            place = Where(where.file, where.line, where.document, "spec.after")
            hint = _elsewhere(other, known) or closest(text, _beside(name, known))
            problems.append(Problem(f"{name} comes after {other}, which is not declared", place, hint))
    return tuple(dict.fromkeys(after)), problems


def _inputs(
    name: UnitName, wanted: Mapping[str, InputSection], known: set[UnitName], where: Where
) -> tuple[tuple[Input, ...], list[Problem]]:
    inputs: list[Input] = []
    problems: list[Problem] = []
    for key, given in sorted(wanted.items()):
        reads = input_of(name, key, given)
        other = reads.unit
        if other in known and other != name:
            inputs.append(reads)
        else:
            place = Where(where.file, where.line, where.document, f"spec.inputs.{key}")
            hint = _elsewhere(other, known) or closest(given.from_, _beside(name, known))
            problems.append(Problem(f"{name} reads {other}, which is not declared", place, hint))
    return tuple(inputs), problems


def input_of(name: UnitName, key: str, given: InputSection) -> Input:
    """The input `key` of a unit, as it is declared: whether there is such a unit is not asked."""
    return Input(key, _neighbour(name, given.from_), given.output, given.type)


def _neighbour(name: UnitName, text: str) -> UnitName:
    """What `app/NAME` or `stack/NAME` means in a unit's declaration."""
    return UnitName(name.project, text.partition("/")[2], name.environment)


def _beside(name: UnitName, known: Iterable[UnitName]) -> list[str]:
    within = [unit for unit in known if (unit.project, unit.environment) == (name.project, name.environment)]
    return [f"app/{unit.name}" for unit in within if unit != name]


def _elsewhere(wanted: UnitName, known: Iterable[UnitName]) -> str:
    """That the unit exists, in other environments: order holds within one."""
    namesakes = sorted(str(unit) for unit in known if (unit.project, unit.name) == (wanted.project, wanted.name))
    if not namesakes:
        return ""
    where = f"the environment {wanted.environment}" if wanted.environment else "no environment"
    return f"there is {', '.join(namesakes[:5])}; order holds within one environment, and it has to be in {where} too"


def _cycles(units: Sequence[Unit]) -> dict[UnitName, Problem]:
    """Every unit that waits for itself, with the one problem of its circle."""
    by_name = {unit.name: unit for unit in units}
    waits = {
        unit.name: [other for other in (*unit.after, *(i.unit for i in unit.inputs)) if other in by_name]
        for unit in units
    }
    found: dict[UnitName, Problem] = {}
    while waits := _stripped(waits):
        circle = _circle(waits)
        path = " → ".join(map(str, (*circle, circle[0])))
        first = by_name[circle[0]].where
        place = Where(first.file, first.line, first.document, "spec.after")
        problem = Problem(f"these wait for each other: {path}", place, "take one of them out of the circle")
        found.update(dict.fromkeys(circle, problem))
        waits = {name: [o for o in others if o not in found] for name, others in waits.items() if name not in found}
    return found


def _stripped(waits: Mapping[UnitName, Sequence[UnitName]]) -> dict[UnitName, list[UnitName]]:
    """Without what waits for nothing, again and again: what is left waits, in the end, for a circle."""
    left = {name: list(others) for name, others in waits.items()}
    waiting: dict[UnitName, list[UnitName]] = {}
    for name, others in left.items():
        for other in others:
            waiting.setdefault(other, []).append(name)
    free = [name for name, others in left.items() if not others]
    while free:
        done = free.pop()
        del left[done]
        for name in waiting.get(done, ()):
            left[name].remove(done)
            if not left[name]:
                free.append(name)
    return left


def _circle(waits: Mapping[UnitName, Sequence[UnitName]]) -> list[UnitName]:
    """Follow the first wait of each from the first name until one comes again."""
    name = min(waits)
    walked: dict[UnitName, int] = {}
    while name not in walked:
        walked[name] = len(walked)
        name = min(waits[name])
    circle = list(walked)[walked[name] :]
    start = circle.index(min(circle))
    return circle[start:] + circle[:start]


def _digest(unit: Unit) -> str:
    """Over everything but the place where it is written: moving a declaration changes nothing."""
    parts = _parts(unit)
    del parts["where"], parts["digest"]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_parts)
    return sha256(text.encode()).hexdigest()


def _parts(value: Any) -> dict[str, Any]:
    """A dataclass by field, without the deep copy that `asdict` makes: one commit may bring thousands."""
    return {field.name: getattr(value, field.name) for field in fields(value)}
