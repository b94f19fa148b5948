"""Restart and scale: the two things that people do to a workload beside Git.

Whose fields they become decides whether they last. Under Kedge's own name the next apply would take them away, under
kubectl's they would count as drift. So each has a manager's name of its own, which is neither: a field that Git does
not state stays as it was set, and one that Git states goes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kedge.engine.fieldset import owned
from kedge.kube.answer import Answer, mapping
from kedge.kube.client import MANAGER
from kedge.kube.discovery import Kind
from kedge.model.errors import Conflict, Invalid
from kedge.model.pair import Scope
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.compare import raise_if_passing, sentence_of
from kedge.targets.kubernetes.owners import judged_owner, mark_of
from kedge.targets.kubernetes.site import Site

RESTARTER = "kedge-restart"
SCALER = "kedge-scale"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
"""The annotation of kubectl, so that whoever looks knows it."""
RESTARTABLE = frozenset({("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet")})
SCALABLE = frozenset({("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "ReplicaSet")})
_ANNOTATION = ("f:spec", "f:template", "f:metadata", "f:annotations", f"f:{RESTARTED}")
_REPLICAS = ("f:spec", "f:replicas")
MOST_REPLICAS = 100_000

Object = Mapping[str, Any]


async def restart(site: Site, scope: Scope, ref: Ref, *, dry_run: bool) -> str:
    """Roll out the same Pod template anew, as `kubectl rollout restart` does. Answers what follows from it.

    Raises Invalid (no such kind of object, paused, not the unit's), Conflict and Unavailable."""
    if ref.group_kind not in RESTARTABLE:
        raise Invalid(f"{ref} can not be restarted", hint="Deployments, StatefulSets and DaemonSets can")
    kind, live = await ours(site, scope, ref, "restarted")
    spec = mapping(live.get("spec"))
    if spec.get("paused") is True:
        raise Invalid(f"{ref} is paused: a restart would begin only when it goes on", hint="let Git unpause it first")
    if _ANNOTATION in owned(marks.managed_fields_of(live), MANAGER).paths:
        raise Invalid(f"Git states the annotation {RESTARTED} of {ref}", hint="change it in Git: it restarts, too")
    stamp = datetime.fromtimestamp(site.client.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    template = mapping(mapping(spec.get("template")).get("metadata"))
    if mapping(template.get("annotations")).get(RESTARTED) == stamp:
        raise Conflict(f"{ref} was restarted within this very second")
    change = {
        "metadata": {"uid": marks.uid_of(live)},
        "spec": {"template": {"metadata": {"annotations": {RESTARTED: stamp}}}},
    }
    patch = site.client.merge_patch
    taken(ref, await patch(kind, ref.namespace, ref.name, change, manager=RESTARTER, dry_run=dry_run))
    return _follows(spec)


def _follows(spec: Object) -> str:
    strategy = mapping(spec.get("updateStrategy")).get("type")
    if strategy == "OnDelete":
        return "its strategy is OnDelete: each Pod starts anew when it is deleted"
    if mapping(spec.get("strategy")).get("type") == "Recreate":
        return "all its Pods stop before new ones start"
    return "its Pods are replaced step by step"


async def scale(site: Site, scope: Scope, ref: Ref, replicas: int, *, force: bool, dry_run: bool) -> str:
    """Set the number of replicas. Answers what follows from it.

    Raises Invalid where Kedge or an autoscaler would put another number back (but not with `force`), and for an object
    that has no replicas or is not the unit's; Conflict and Unavailable."""
    if not 0 <= replicas <= MOST_REPLICAS:
        raise Invalid(f"{replicas} is no number of replicas", hint=f"0 to {MOST_REPLICAS}")
    kind, live = await ours(site, scope, ref, "scaled")
    now = mapping(live.get("spec")).get("replicas")
    stated = _REPLICAS in owned(marks.managed_fields_of(live), MANAGER).paths
    autoscaled = ref in await site.autoscalers.targets(scope.unit, [ref.namespace])
    if autoscaled and not force:
        raise Invalid(f"an autoscaler scales {ref}: it would put its own number back", hint="--force does it anyway")
    if stated and not autoscaled and not force:
        raise Invalid(
            f"Git states the replicas of {ref} ({now}): Kedge would put them back", hint="change Git, or --force"
        )
    answer = await site.client.scale(kind, ref.namespace, ref.name, replicas, manager=SCALER, dry_run=dry_run)
    if answer.refusal is not None and answer.refusal.missing:
        raise Invalid(f"{ref} can not be scaled: its kind has no replicas")
    taken(ref, answer)
    if autoscaled:
        return "its autoscaler puts its own number back"
    return "Git puts its own number back" if stated else "it stays so: Git states no replicas"


async def ours(site: Site, scope: Scope, ref: Ref, done: str) -> tuple[Kind, Object]:
    """The kind and the live object, which must say itself that it is this unit's."""
    kind = await site.client.kind(ref.group, ref.kind)
    live = await site.client.get(kind, ref.namespace, ref.name)
    if live is None:
        raise Invalid(f"{ref} is not there", hint=f"kedge tree {scope.unit}")
    text = marks.owner_of(live)
    if text != marks.owner_text(scope.installation, scope.unit) or marks.is_copy(live):
        whose = judged_owner(scope, text, mark_of(live))
        owner = f"it belongs to {whose}" if whose else "it does not say that it belongs to this unit"
        raise Invalid(f"{ref} is not {done}: {owner}")
    return kind, live


def taken(ref: Ref, answer: Answer) -> None:
    if answer.refusal is not None:
        raise_if_passing(answer.refusal, str(ref))
        raise Invalid(f"{ref}: {sentence_of(answer.refusal)}")
