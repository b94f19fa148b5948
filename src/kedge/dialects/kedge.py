"""Kedge's own kinds: the documents of one file → declarations, and everything that is wrong with the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
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
)
from kedge.model.errors import Problem, Where
from kedge.model.rule import HealthRule

KINDS: dict[str, type] = {kind.__name__: kind for kind in (Application, Root, Project, Cluster, Credential, HealthRule)}
LATER = ("Stack",)
_LATER_FIELDS = ("inputs", "outputs")
_GROUP = API_VERSION.partition("/")[0]
_TOP = ("apiVersion", "kind", "metadata", "spec")
_METADATA = ("name", "project", "labels")
_SECRETS = ("password", "token", "sshKey", "knownHosts", "certificate", "key", "ca", "proxy", "kubeconfig")
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
    if kind in LATER:
        shape.wrong(("kind",), f"{kind} is not supported yet", "take the document out of the root's files for now")
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
    if not found.get("prefix") and not shape.problems:
        shape.wrong(("spec",), "a prefix is wanted: the beginning of the URLs that this credential is for")
    for key in _SECRETS:
        secret = found.get(key)
        if isinstance(secret, SecretFrom) and sum(map(bool, (secret.env, secret.file, secret.store))) != 1:
            shape.wrong(("spec", key), "exactly one of env, file and store says where the secret is")
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
    if not found.get("checks") and not found.get("silent"):
        shape.wrong(("spec", "checks"), "at least one check is wanted: what to ask of an object", "or `silent: true`")
    for index, check in enumerate(found.get("checks", ())):
        if not check.when:
            shape.wrong(("spec", "checks", index, "when"), "CEL is wanted that is true or false")
    return found


def _application(kind: type, document: Document, shape: Shape) -> Any:
    spec = document.value.get("spec")
    if spec is not None and not isinstance(spec, dict):
        return shape.wrong(("spec",), f"a mapping is wanted, not {named(spec)}")
    base = {key: value for key, value in (spec or {}).items() if key != "environments"}
    environments = (spec or {}).get("environments")
    found = _spec(base, ("spec",), shape)
    if environments is None or found is MISSING:
        return {"spec": found} if found is not MISSING else found
    if not isinstance(environments, dict):
        return shape.wrong(("spec", "environments"), f"a mapping of names is wanted, not {named(environments)}")
    if len(environments) > MOST_ENVIRONMENTS:
        return shape.wrong(("spec", "environments"), f"there are more than {MOST_ENVIRONMENTS} environments")
    laid = tuple(_environment(name, base, part, document, shape) for name, part in environments.items())
    if shape.problems:
        return MISSING
    return {"spec": ApplicationSpec(**{**_parts(found), "environments": tuple(sorted(laid, key=lambda pair: pair[0]))})}


def _parts(spec: ApplicationSpec) -> dict[str, Any]:
    return {field.name: getattr(spec, field.name) for field in fields(ApplicationSpec)}


def _spec(value: dict[str, Any], path: Path, shape: Shape) -> Any:
    later = [key for key in value if key in _LATER_FIELDS]
    for key in later:
        shape.wrong((*path, key), f"{key} is not supported yet")
    rest = {key: part for key, part in value.items() if key not in later}
    found = shape.section(ApplicationSpec, rest, path, skip=frozenset({"environments"}))
    if found is MISSING:
        return found
    for index, text in enumerate(found.get("after", ())):
        if complaint := rules.after(text):
            shape.wrong((*path, "after", index), f"“{text[:60]}”: {complaint}")
    source = found.get("source")
    names = [other.name for other in source.others] if source is not None else []
    if len(set(names)) < len(names) or not all(names):
        shape.wrong((*path, "source", "others"), "each of the other sources has a name of its own")
    if source is not None and source.ref and source.version:
        shape.wrong((*path, "source", "version"), "a source has either a ref or a version, not both")
    if source is not None and source.chart and (source.path or not source.repository):
        told = "a chart has no path" if source.path else "a chart is in a repository: write its URL"
        shape.wrong((*path, "source", "chart"), told)
    renderers.check(found, path, shape)
    declared = [key for key in RENDERERS if key in value]
    if len(declared) > 1:
        shape.wrong((*path, declared[1]), f"at most one of {', '.join(RENDERERS)} is wanted, not {len(declared)}")
    return ApplicationSpec(**found)


def _environment(name: str, base: dict[str, Any], part: Any, document: Document, shape: Shape) -> tuple[str, Any]:
    """One environment: its fields laid over those of the spec. What was said of the base is not said again."""
    here = ("spec", "environments", name)
    if complaint := rules.name(name):
        shape.wrong(here, f"“{name[:60]}”: {complaint}")
    if part is not None and not isinstance(part, dict):
        return name, shape.wrong(here, f"a mapping is wanted, not {named(part)}")
    inner = Shape(_place(here, part or {}, document))
    spec = _spec(laid_over(base, part or {}), (), inner)
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


_READERS: dict[type, Callable[[type, Document, Shape], Any]] = {
    Application: _application,
    Cluster: _cluster,
    Credential: _credential,
    HealthRule: _health_rule,
    Root: _root,
}
