"""Short ways to say what a test is about: manifests, units, plans and sights with everything else at its default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

from kedge.engine.plan import Draft, make_plan
from kedge.model.change import Act, Change
from kedge.model.declaration import TargetSection
from kedge.model.dossier import Dossier
from kedge.model.manifest import Desired, Manifest, digest_of
from kedge.model.operation import Cause, Operation, Owned, Sight
from kedge.model.plan import Plan
from kedge.model.ref import Ref, UnitName
from kedge.model.source import Revision, SourceSpec
from kedge.model.unit import Unit

NAME = UnitName("shop", "web")
GROUPS = {
    "Deployment": "apps",
    "StatefulSet": "apps",
    "Job": "batch",
    "CustomResourceDefinition": "apiextensions.k8s.io",
}


def ref(kind: str, name: str, namespace: str = "web") -> Ref:
    scoped = "" if kind in ("Namespace", "CustomResourceDefinition") else namespace
    return Ref(GROUPS.get(kind, ""), kind, scoped, name)


def manifest(
    kind: str, name: str = "", *, namespace: str = "web", annotations: dict[str, str] | None = None, **spec: Any
) -> Manifest:
    generate = spec.pop("generate_name", "")
    what = ref(kind, name, namespace)
    body = json.dumps({"kind": kind, "metadata": {"name": name}, "spec": spec}, sort_keys=True).encode()
    digest = sha256(body + repr(annotations).encode()).hexdigest()
    pairs = tuple(sorted((annotations or {}).items()))
    return Manifest(what, "v1", body, digest, pairs, generate)


def hook(phase: str, name: str, *, wave: int = 0, policy: str = "", **more: Any) -> Manifest:
    annotations = {"argocd.argoproj.io/hook": phase, "argocd.argoproj.io/sync-wave": str(wave)}
    if policy:
        annotations["argocd.argoproj.io/hook-delete-policy"] = policy
    return manifest("Job", name, annotations=annotations, **more)


def waved(kind: str, name: str, wave: int, **more: Any) -> Manifest:
    return manifest(kind, name, annotations={"argocd.argoproj.io/sync-wave": str(wave)}, **more)


def desired(*manifests: Manifest) -> Desired:
    return Desired(manifests, digest_of(manifests))


def unit(**changes: Any) -> Unit:
    plain = Unit(
        NAME, "admin", SourceSpec("file:///repo", "main", "apps/web"), TargetSection("default", "web"), digest="d"
    )
    return replace(plain, **changes)


def change(what: Ref, act: Act = Act.CREATE, **more: Any) -> Change:
    return Change(what, act, effect=more.pop("effect", f"effect of {what}"), **more)


def draft(*manifests: Manifest, changes: tuple[Change, ...] | None = None, **more: Any) -> Draft:
    from kedge.engine.hooks import is_hook

    created = tuple(change(m.ref) for m in manifests if not is_hook(m))
    return Draft(
        unit=more.pop("unit", unit()),
        revision=more.pop("revision", revision("a" * 40)),
        desired=desired(*manifests),
        changes=created if changes is None else changes,
        effects=more.pop("effects", "e" * 64),
        inventory=more.pop("inventory", ()),
        **more,
    )


def plan_of(*manifests: Manifest, **more: Any) -> Plan:
    return make_plan(draft(*manifests, **more))


def revision(commit: str = "a" * 40) -> Revision:
    return Revision("file:///repo", "main", commit, "Mona", "mona@example.com", "raise replicas", 1000.0)


def operation(plan: Plan, **more: Any) -> Operation:
    given: dict[str, Any] = {
        "id": "0123456789abcdef",
        "unit": plan.unit,
        "number": 1,
        "cause": Cause.COMMIT,
        "actor": "kedge",
        "reason": "",
        "plan": plan.id,
        "revision": plan.revision,
        "rendered": plan.rendered,
        "effects": plan.effects,
        "started": 0.0,
        "deadline": 600.0,
    }
    return Operation(**{**given, **more})


def sight(what: Ref, status: str = "Healthy", **more: Any) -> Sight:
    return Sight(what, exists=True, status=status, **more)


def gone(what: Ref) -> Sight:
    return Sight(what, exists=False)


class Walked(tuple[Any, ...]):
    """A tuple that counts how often it was walked through: what grows with the square of a unit walks it for each."""

    walks = 0

    def __iter__(self) -> Iterator[Any]:
        self.walks += 1
        return super().__iter__()

    def __reversed__(self) -> Iterator[Any]:
        self.walks += 1
        return iter(self[::-1])


def owned(what: Ref, **more: Any) -> Owned:
    return Owned(what, **more)


def dossier(**more: Any) -> Dossier:
    return Dossier(NAME, more.pop("unit", unit()), **more)
