"""Kedge's own kinds: the documents of one file → declarations, and everything that is wrong with the others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from kedge.dialects import loader, renderers, rules
from kedge.dialects.loader import Document, Limits
from kedge.dialects.shape import MISSING, MOST_PROBLEMS, Path, Shape, named, nearest, suggestion
from kedge.model.declaration import (
    API_VERSION,
    Application,
    ApplicationSpec,
    Cluster,
    Credential,
    Declaration,
    OidcSection,
    Project,
    Root,
    SecretFrom,
    SourceSection,
    Stack,
    StackSpec,
)
from kedge.model.errors import Problem, Where
from kedge.model.rule import HealthRule

KINDS: dict[str, type] = {
    kind.__name__: kind for kind in (Application, Stack, Root, Project, Cluster, Credential, HealthRule)
}
_GROUP = API_VERSION.partition("/")[0]
_TOP = ("apiVersion", "kind", "metadata", "spec")
_METADATA = ("name", "project", "labels")
_SECRETS = ("password", "token", "sshKey", "knownHosts", "certificate", "key", "ca", "proxy", "kubeconfig")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,250}\Z")
_NOT_OURS = ("TF_", "LD_", "PATH", "HOME", "PYTHON")
"""Beginnings of variables that decide what is run, and are not a declaration's to say."""
RENDERERS = ("directory", "kustomize", "helm")
IMPLICIT_PROJECT = "default"
MOST_ENVIRONMENTS = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file declares. A declaration with any problem is left out of `declarations`."""

    declarations: tuple[Declaration, ...] = ()
    problems: tuple[Problem, ...] = ()


def read(raw: bytes, file: str = "", limits: Limits = loader.LIMITS) -> Reading:
    """Read every document of a file. Documents of other groups are left alone. Never raises."""
    stream = loader.read(raw, file, limits)
    declarations: list[Declaration] = []
    problems = list(stream.problems[:MOST_PROBLEMS])
    for document in stream.documents:
        if not _is_ours(document.value):
            continue
        if len(problems) > MOST_PROBLEMS:
            problems.append(
                Problem("so much is wrong before this that the rest of the file is not read", document.where())
            )
            break
        declaration, wrong = _declaration(document)
        problems.extend(wrong)
        if declaration is not None:
            declarations.append(declaration)
    order = sorted(problems, key=lambda problem: (problem.where.line, problem.where.path))
    return Reading(tuple(declarations), tuple(order))


def _is_ours(value: Any) -> bool:
    """By its apiVersion; without any, by a kind that reads like one of ours: a slip of the pen must not pass for a
    document that is gone."""
    if not isinstance(value, dict):
        return False
    version = value.get("apiVersion")
    if version is None:
        kind = value.get("kind")
        return isinstance(kind, str) and bool(nearest(kind, KINDS)) and ("spec" in value or "metadata" in value)
    return isinstance(version, str) and version.partition("/")[0] == _GROUP


def _declaration(document: Document) -> tuple[Declaration | None, list[Problem]]:
    shape = Shape(document.where)
    kind = _kind(document.value, shape)
    if kind is None:
        return None, shape.problems
    for key in document.value:
        if key not in _TOP:
            shape.unknown(key, _TOP, ())
    metadata = _metadata(kind, document.value.get("metadata"), shape)
    reader = _READERS.get(kind, _flat)
    found = reader(kind, document, shape)
    if shape.problems or found is MISSING:
        return None, shape.problems
    where = document.where(())
    place = Where(where.file, where.line, where.document)
    return kind(**metadata, **found, where=place), []


def _kind(value: dict[str, Any], shape: Shape) -> type | None:
    version, kind = value.get("apiVersion"), value.get("kind")
    if version != API_VERSION:
        text = f"there is no version “{version}” of {_GROUP}" if version else "apiVersion is missing"
        shape.wrong(("apiVersion",), text, f"write apiVersion: {API_VERSION}")
        return None
    if not isinstance(kind, str):
        shape.wrong(("kind",), f"a kind is wanted, not {named(kind)}", f"known are {', '.join(KINDS)}")
        return None
    if kind not in KINDS:
        shape.wrong(("kind",), f"there is no kind “{kind[:60]}”", suggestion(kind, list(KINDS)))
        return None
    return KINDS[kind]


def _metadata(kind: type, value: Any, shape: Shape) -> dict[str, Any]:
    known = [key for key in _METADATA if key in {field.name for field in fields(kind)}]
    found: dict[str, Any] = {"name": ""}
    if not isinstance(value, dict):
        shape.wrong(("metadata",), "metadata with a name is wanted")
        return found
    for key in value:
        if key not in known:
            shape.unknown(key, known, ("metadata",))
    found["name"] = _name(value.get("name"), ("metadata", "name"), shape)
    if "project" in known:
        found["project"] = _name(value.get("project", IMPLICIT_PROJECT), ("metadata", "project"), shape)
        found["labels"] = shape.labels(value.get("labels"), ("metadata", "labels"))
    return found


def _name(value: Any, path: Path, shape: Shape) -> str:
    if not isinstance(value, str):
        shape.wrong(path, f"a name is wanted, not {named(value)}")
        return ""
    complaint = rules.name(value)
    if complaint:
        shape.wrong(path, f"“{value[:60]}”: {complaint}")
    return value


def _flat(kind: type, document: Document, shape: Shape) -> Any:
    """A kind whose spec holds its fields."""
    return shape.section(kind, document.value.get("spec"), ("spec",), skip=frozenset(_METADATA))


def _credential(kind: type, document: Document, shape: Shape) -> Any:
    found = _flat(kind, document, shape)
    if found is MISSING:
        return found
    if not found.get("prefix") and not found.get("environment") and not shape.problems:
        text = "a prefix is wanted: the beginning of the URLs that this credential is for"
        shape.wrong(("spec",), text, "or an environment: the variables that a stack's tool is given")
    secrets: dict[Path, Any] = {("spec", key): found.get(key) for key in _SECRETS}
    for name, part in found.get("environment", {}).items():
        secrets["spec", "environment", name] = part
        if not _VARIABLE.match(name) or name.startswith(_NOT_OURS):
            shape.wrong(("spec", "environment", name), "this is no variable that a tool may be given")
    for path, secret in secrets.items():
        if isinstance(secret, SecretFrom) and sum(map(bool, (secret.env, secret.file, secret.store))) != 1:
            shape.wrong(path, "exactly one of env, file and store says where the secret is")
    if (found.get("certificate") is None) != (found.get("key") is None):
        shape.wrong(("spec",), "a client certificate is two secrets: certificate and key")
    if found.get("oidc") is not None and not shape.problems:
        _provider(found["oidc"], shape)
    return found


def _provider(oidc: OidcSection, shape: Shape) -> None:
    path = ("spec", "oidc")
    for key in ("issuer", "clientId"):
        if not getattr(oidc, key):
            shape.wrong(path, f"{key} is wanted: the provider's URL, and the client that Kedge is there")
    for key in ("clientSecret", "refreshToken", "assertion"):
        secret = getattr(oidc, key)
        if secret is not None and sum(map(bool, (secret.env, secret.file, secret.store))) != 1:
            shape.wrong((*path, key), "exactly one of env, file and store says where the secret is")
    if oidc.clientSecret is None and oidc.refreshToken is None and oidc.assertion is None:
        shape.wrong(path, "a clientSecret, a refreshToken or an assertion is wanted: something has to say who Kedge is")
    if oidc.clientSecret is not None and oidc.assertion is not None:
        shape.wrong(path, "a client shows its clientSecret or an assertion, not both")


def _cluster(kind: type, document: Document, shape: Shape) -> Any:
    found = _flat(kind, document, shape)
    if found is not MISSING and found.get("inCluster"):
        for key in ("server", "credential", "caData"):
            if found.get(key):
                shape.wrong(("spec", key), f"inCluster is the pod's own cluster and account: it goes without {key}")
    return found


def _root(kind: type, document: Document, shape: Shape) -> Any:
    found = _flat(kind, document, shape)
    if found is MISSING:
        return found
    if not found.get("repository") and not shape.problems:
        shape.wrong(("spec",), "a repository is wanted: where this root's declarations are")
    for index, name in enumerate(found.get("kinds", ())):
        if name not in KINDS:
            shape.wrong(("spec", "kinds", index), f"there is no kind “{name[:60]}”", suggestion(name, list(KINDS)))
    return found


def _health_rule(kind: type, document: Document, shape: Shape) -> Any:
    found = _flat(kind, document, shape)
    if found is MISSING or shape.problems:
        return found
    if not found.get("kinds"):
        shape.wrong(("spec", "kinds"), "the kinds are wanted that the rule is for, as `example.org/Thing`")
    if not any(found.get(field) for field in ("checks", "silent", "actions")):
        hint = "or an action, or `silent: true`"
        shape.wrong(("spec", "checks"), "at least one check is wanted: what to ask of an object", hint)
    for index, check in enumerate(found.get("checks", ())):
        if not check.when:
            shape.wrong(("spec", "checks", index, "when"), "CEL is wanted that is true or false")
    return found


def _unit(kind: type, document: Document, shape: Shape) -> Any:
    """A kind whose spec holds the fields of a unit, and environments that are laid over them."""
    spec = document.value.get("spec")
    if spec is not None and not isinstance(spec, dict):
        return shape.wrong(("spec",), f"a mapping is wanted, not {named(spec)}")
    base = {key: value for key, value in (spec or {}).items() if key != "environments"}
    environments = (spec or {}).get("environments")
    found = _SPECS[kind](base, ("spec",), shape)
    if environments is None or found is MISSING:
        return {"spec": found} if found is not MISSING else found
    if not isinstance(environments, dict):
        return shape.wrong(("spec", "environments"), f"a mapping of names is wanted, not {named(environments)}")
    if len(environments) > MOST_ENVIRONMENTS:
        return shape.wrong(("spec", "environments"), f"there are more than {MOST_ENVIRONMENTS} environments")
    laid = [_environment(name, (_SPECS[kind], base), part, document, shape) for name, part in environments.items()]
    if shape.problems:
        return MISSING
    return {"spec": replace(found, environments=tuple(sorted(laid, key=lambda pair: pair[0])))}


def _application(value: dict[str, Any], path: Path, shape: Shape) -> Any:
    found = shape.section(ApplicationSpec, value, path, skip=frozenset({"environments"}))
    if found is MISSING:
        return found
    _source(found.get("source"), path, shape)
    _named_values(found, path, shape)
    renderers.check(found, path, shape)
    declared = [key for key in RENDERERS if key in value]
    if len(declared) > 1:
        shape.wrong((*path, declared[1]), f"at most one of {', '.join(RENDERERS)} is wanted, not {len(declared)}")
    return ApplicationSpec(**found)


def _stack(value: dict[str, Any], path: Path, shape: Shape) -> Any:
    found = shape.section(StackSpec, value, path, skip=frozenset({"environments"}))
    if found is MISSING:
        return found
    source = found.get("source")
    _source(source, path, shape)
    _named_values(found, path, shape)
    if source is not None and source.chart:
        shape.wrong((*path, "source", "chart"), "a stack is a folder of OpenTofu's files, not a chart")
    for name in found.get("variables", {}):
        if complaint := rules.output(name):
            shape.wrong((*path, "variables", name), f"“{name[:60]}”: {complaint}")
    return StackSpec(**found)


def _source(source: SourceSection | None, path: Path, shape: Shape) -> None:
    if source is None:
        return
    names = [other.name for other in source.others]
    if len(set(names)) < len(names) or not all(names):
        shape.wrong((*path, "source", "others"), "each of the other sources has a name of its own")
    if source.ref and source.version:
        shape.wrong((*path, "source", "version"), "a source has either a ref or a version, not both")
    if source.chart and (source.path or not source.repository):
        told = "a chart has no path" if source.path else "a chart is in a repository: write its URL"
        shape.wrong((*path, "source", "chart"), told)


def _named_values(found: dict[str, Any], path: Path, shape: Shape) -> None:
    """What comes in from other units, and goes out to them."""
    for name, wanted in found.get("inputs", {}).items():
        if complaint := rules.output(name):
            shape.wrong((*path, "inputs", name), f"“{name[:60]}”: {complaint}")
        if not wanted.from_ or not wanted.output:
            shape.wrong((*path, "inputs", name), "an input says where it is from: `from` and `output`")
    for name, given in found.get("outputs", {}).items():
        if complaint := rules.output(name):
            shape.wrong((*path, "outputs", name), f"“{name[:60]}”: {complaint}")
        if not given.object or not given.path:
            shape.wrong((*path, "outputs", name), "an output says which field it is: `object` and `path`")


def _environment(
    name: str, below: tuple[Spec, dict[str, Any]], part: Any, document: Document, shape: Shape
) -> tuple[str, Any]:
    """One environment: its fields laid over those of the spec. What was said of the base is not said again."""
    read_spec, base = below
    here = ("spec", "environments", name)
    if complaint := rules.name(name):
        shape.wrong(here, f"“{name[:60]}”: {complaint}")
    if part is not None and not isinstance(part, dict):
        return name, shape.wrong(here, f"a mapping is wanted, not {named(part)}")
    inner = Shape(_place(here, part or {}, document))
    spec = read_spec(laid_over(base, part or {}), (), inner)
    said = {str(problem) for problem in shape.problems}
    fresh = [problem for problem in inner.problems if str(problem) not in said]
    shape.problems.extend(fresh[: max(0, MOST_PROBLEMS - len(shape.problems))])
    return name, spec


def _place(here: Path, part: dict[str, Any], document: Document) -> Callable[[Path], Where]:
    """The place of a path of a laid-over spec: in the environment where it was written there, else in the spec."""

    def where(path: Path) -> Where:
        step: Any = part
        for key in path:
            if not (isinstance(step, dict) and key in step):
                break
            step = step[key]
        else:
            return document.where((*here, *path))
        written_here = not isinstance(step, dict)
        return document.where((*here, *path) if written_here else ("spec", *path))

    return where


def laid_over(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """`top` over `base`: mappings are merged at every depth, everything else is replaced. Nothing is no change."""
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        if isinstance(below, dict) and (isinstance(value, dict) or value is None):
            merged[key] = laid_over(below, value or {})
        else:
            merged[key] = value
    return merged


def kind_named(word: str) -> str:
    """The kind that `word` means whatever its case, "" for none."""
    return next((kind for kind in KINDS if kind.lower() == word.lower()), "") or nearest(word, KINDS)


Spec = Callable[[dict[str, Any], Path, Shape], Any]
_SPECS: dict[type, Spec] = {Application: _application, Stack: _stack}
_READERS: dict[type, Callable[[type, Document, Shape], Any]] = {
    Application: _unit,
    Stack: _unit,
    Cluster: _cluster,
    Credential: _credential,
    HealthRule: _health_rule,
    Root: _root,
}
