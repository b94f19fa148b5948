"""From an object to its health: what every object has first, then its kind's rule, then the conventions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kedge.engine.health.batch import judge_cron_job, judge_job, judge_workflow
from kedge.engine.health.conventions import judge_by_convention
from kedge.engine.health.extension import judge_api_service, judge_definition
from kedge.engine.health.generation import unobserved
from kedge.engine.health.network import judge_ingress, judge_service
from kedge.engine.health.pod import judge_pod
from kedge.engine.health.read import clean, field, flag, group_of, listed, sentence, text
from kedge.engine.health.rulebook import Rulebook, stands_before
from kedge.engine.health.scaling import judge_autoscaler, judge_disruption_budget
from kedge.engine.health.standard import judge_kstatus
from kedge.engine.health.storage import judge_claim, judge_namespace, judge_volume
from kedge.engine.health.unheard import judge_unheard
from kedge.engine.health.workloads import (
    judge_daemon_set,
    judge_deployment,
    judge_replica_set,
    judge_stateful_set,
    suspended_deployment,
)
from kedge.model.health import Health, Status

IGNORE_HEALTH = "argocd.argoproj.io/ignore-healthcheck"

NO_RULES = Rulebook()

Rule = Callable[[Mapping[str, Any], float | None], Health]

_RULES: dict[tuple[str, str], Rule] = {
    ("", "Namespace"): judge_namespace,
    ("", "PersistentVolume"): judge_volume,
    ("", "PersistentVolumeClaim"): judge_claim,
    ("", "Pod"): judge_pod,
    ("", "ReplicationController"): judge_replica_set,
    ("", "Service"): judge_service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): judge_definition,
    ("apiregistration.k8s.io", "APIService"): judge_api_service,
    ("apps", "DaemonSet"): judge_daemon_set,
    ("apps", "Deployment"): judge_deployment,
    ("apps", "ReplicaSet"): judge_replica_set,
    ("apps", "StatefulSet"): judge_stateful_set,
    ("argoproj.io", "Workflow"): judge_workflow,
    ("autoscaling", "HorizontalPodAutoscaler"): judge_autoscaler,
    ("batch", "CronJob"): judge_cron_job,
    ("batch", "Job"): judge_job,
    ("networking.k8s.io", "Ingress"): judge_ingress,
    ("policy", "PodDisruptionBudget"): judge_disruption_budget,
}
_MOVED = {"extensions": ("apps", "networking.k8s.io")}  # where the kinds of a retired group live now


def judge(obj: Mapping[str, Any], now: float | None = None, rules: Rulebook = NO_RULES) -> Health:
    """The health of any Kubernetes object; never raises.

    `now` is the instant to judge at, in seconds since the epoch; without it, nothing is excused for being young.
    An object without any notion of health is Healthy, as it counts as done in Argo CD and is current in kstatus.
    """
    judged = judge_or_none(obj, now, rules)
    if judged is not None:
        return judged
    return Health(Status.HEALTHY, "it is there; this kind reports no health of its own")


def judge_or_none(
    obj: Mapping[str, Any], now: float | None = None, rules: Rulebook = NO_RULES, *, reports: bool = True
) -> Health | None:
    """As `judge`, but None for an object without any notion of health: no rule for its kind, no known convention.

    `reports`: whether the kind has a status that a controller could write; without one, nobody waits for it."""
    group, kind = group_of(obj), text(obj, "kind")
    if not kind or not (group or text(obj, "apiVersion")):
        return Health(Status.UNKNOWN, "this is no Kubernetes object: it has no apiVersion or no kind")
    declared = rules.find(group, kind)
    if field(obj, "metadata", "deletionTimestamp") and not (declared is not None and declared.rule.evenDeleting):
        return _going(obj)
    found = (stands_before(declared, obj) or declared.judge(obj, now)) if declared is not None else None
    if found is not None:
        return found
    rule = _rule(group, kind)
    if rule is not None:
        return _by_rule(obj, now, rule)
    found = judge_by_convention(obj)
    silent = not reports or (declared is not None and declared.rule.silent)
    return found if found is not None or silent else judge_unheard(obj, now)


def _by_rule(obj: Mapping[str, Any], now: float | None, rule: Rule) -> Health:
    if rule is judge_deployment and (paused := suspended_deployment(obj)):
        return paused
    return unobserved(obj) or judge_kstatus(obj) or rule(obj, now)


def excused(obj: Mapping[str, Any]) -> bool:
    """Whether the object asks not to count in its unit's health, by Argo CD's ignore-healthcheck annotation."""
    return flag(obj, "metadata", "annotations", IGNORE_HEALTH)


def _rule(group: str, kind: str) -> Rule | None:
    for home in _MOVED.get(group, (group,)):
        if (home, kind) in _RULES:
            return _RULES[home, kind]
    return None


def _going(obj: Mapping[str, Any]) -> Health:
    """An object with a deletion timestamp is Progressing (gitops-engine), and its finalizers say what it waits for."""
    since = text(obj, "metadata", "deletionTimestamp")
    names = field(obj, "metadata", "finalizers")
    held = listed(clean(name) for name in names if isinstance(name, str)) if isinstance(names, list) else ""
    when = f"being deleted since {since}" if since else "being deleted"
    return Health(Status.PROGRESSING, sentence(when, f"waiting for finalizers {held}" if held else ""))
