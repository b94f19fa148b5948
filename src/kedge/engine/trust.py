"""What a root may declare and a project may use: the rules a unit has to keep, and how it may tighten them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kedge.model.declaration import (
    Application,
    ApplicationSpec,
    ApproveSection,
    Cluster,
    Credential,
    Project,
    Root,
    Stack,
    StackSpec,
    TargetSection,
    When,
)
from kedge.model.errors import Problem, Where
from kedge.model.ref import UnitName

DEFAULT = "default"
"""The project and the cluster that exist without being declared; the project in the admin root only."""

_STRICTNESS = (When.NEVER, When.DESTRUCTIVE, When.ALWAYS)


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known beside a root's own declarations, all of it from the admin root.

    `elsewhere` are the units of other roots, which `after` may name too.
    """

    root: Root
    admin: bool
    projects: tuple[Project, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    credentials: tuple[Credential, ...] = ()
    elsewhere: tuple[UnitName, ...] = ()

    def project(self, name: str) -> Project | None:
        """A declared project; the implicit `default` has no restrictions and is the admin root's alone."""
        declared = next((project for project in self.projects if project.name == name), None)
        if declared is None and name == DEFAULT and self.admin:
            return Project(DEFAULT)
        return declared

    @property
    def project_names(self) -> tuple[str, ...]:
        names = {project.name for project in self.projects}
        if not self.admin:
            return tuple(sorted(names & set(self.root.projects)))
        return tuple(sorted(names | {DEFAULT}))

    @property
    def cluster_names(self) -> tuple[str, ...]:
        return tuple(sorted({cluster.name for cluster in self.clusters} | {DEFAULT}))


def closest(word: str, known: Iterable[str]) -> str:
    """A sentence that names the known name most like `word`, or the known names where none is like it."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean “{near[0]}”?"
    return f"known are {', '.join(names[:20])}" if names else "none is declared"


def refused_by_root(trust: Trust, declared: Application | Stack) -> Problem | None:
    """Why the root may not declare this unit."""
    kind, name = type(declared).__name__, declared.project
    place = _at(declared.where, "metadata.project")
    if not trust.admin and kind not in trust.root.kinds:
        text = f"the root {trust.root.name} may not declare kind {kind}"
        return Problem(text, declared.where, "the admin root's Root document says which kinds it may")
    if not trust.admin and name not in trust.root.projects:
        text = f"the root {trust.root.name} may not declare units of project “{name}”"
        return Problem(text, place, closest(name, trust.root.projects))
    if trust.project(name) is None:
        return Problem(f"there is no project “{name}”", place, closest(name, trust.project_names))
    return None


def source_problem(project: Project, repository: str, where: Where) -> Problem | None:
    """Sources are globs over the repository's URL, in which `*` also crosses slashes."""
    if not project.sources or any(fnmatchcase(repository, glob) for glob in project.sources):
        return None
    text = f"project {project.name} does not allow the repository {repository}"
    return Problem(text, _at(where, "spec.source.repository"), f"it allows {', '.join(project.sources)}")


def target_problem(trust: Trust, project: Project, target: TargetSection, where: Where) -> Problem | None:
    known = trust.cluster_names
    if target.cluster not in known:
        text = f"there is no cluster “{target.cluster}”"
        return Problem(text, _at(where, "spec.target.cluster"), closest(target.cluster, known))
    if not project.targets or any(
        fnmatchcase(target.cluster, allowed.cluster) and fnmatchcase(target.namespace, allowed.namespace)
        for allowed in project.targets
    ):
        return None
    namespace = f"namespace {target.namespace}" if target.namespace else "a unit without a namespace"
    text = f"project {project.name} does not allow {namespace} on cluster {target.cluster}"
    allowed = ", ".join(f"{rule.cluster}/{rule.namespace}" for rule in project.targets)
    return Problem(text, _at(where, "spec.target"), f"it allows (cluster/namespace) {allowed}")


def secrets_problem(project: Project, spec: ApplicationSpec, where: Where) -> Problem | None:
    """Secrets of the store are for whom the project says: a unit's rendering would hand them out to anybody else."""
    asked = {
        "substitute.secrets": tuple(spec.substitute.secrets.values()) if spec.substitute else (),
        "decrypt.keys": spec.decrypt.keys if spec.decrypt else (),
    }
    for section, names in asked.items():
        for name in names:
            if not any(fnmatchcase(name, glob) for glob in project.secrets):
                place = Where(where.file, where.line, where.document, f"spec.{section}")
                hint = f"name it in the project's `secrets`, in the admin root: kind: Project, name: {project.name}"
                return Problem(f"project {project.name} may not use the secret {name}", place, hint)
    return None


def credentials_problem(
    project: Project, spec: StackSpec, credentials: Iterable[Credential], where: Where
) -> Problem | None:
    """A stack runs code with what it is given: only Credentials that its project is allowed."""
    known = {credential.name: credential for credential in credentials}
    for section, name in (("plan", spec.credentials.plan), ("apply", spec.credentials.apply)):
        if not name:
            continue
        place = _at(where, f"spec.credentials.{section}")
        if not any(fnmatchcase(name, glob) for glob in project.credentials):
            hint = f"name it in the project's `credentials`, in the admin root: kind: Project, name: {project.name}"
            return Problem(f"project {project.name} may not use the credential {name}", place, hint)
        if name not in known:
            return Problem(f"there is no credential “{name}”", place, closest(name, known))
        if not known[name].environment:
            return Problem(f"the credential {name} has no environment", place, "that is what a stack's tool is given")
    return None


def environment_problem(project: Project, environment: str, where: Where) -> Problem | None:
    if not environment or not project.environments or environment in project.environments:
        return None
    text = f"project {project.name} has no environment “{environment}”"
    return Problem(text, _at(where, f"spec.environments.{environment}"), closest(environment, project.environments))


def stricter(project: Project, unit: ApproveSection, where: Where) -> tuple[ApproveSection, Problem | None]:
    """The stricter of both in each point. Whoever the unit names has to be among those whom the project names."""
    rule = project.approve
    if rule is None:
        return unit, None
    outside = [name for name in unit.by if rule.by and name not in rule.by]
    combined = both(rule, unit)
    if not outside:
        return combined, None
    text = f"{outside[0]} may not approve units of project {project.name}"
    return combined, Problem(text, _at(where, "spec.approve.by"), closest(outside[0], rule.by))


def both(rule: ApproveSection, other: ApproveSection) -> ApproveSection:
    """The stricter of two rules in each point; where both name people, those of `other` count."""
    when = max(rule.when, other.when, key=_STRICTNESS.index)
    return ApproveSection(when, other.by or rule.by, max(rule.count, other.count))


def _at(where: Where, path: str) -> Where:
    return Where(where.file, where.line, where.document, path)
