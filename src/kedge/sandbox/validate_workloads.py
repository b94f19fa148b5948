"""Rules of what runs containers: Deployments, StatefulSets, DaemonSets, Jobs, CronJobs, Pods."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kedge.sandbox.problems import Cause, required, unsupported, wrong
from kedge.sandbox.quantities import number_of
from kedge.sandbox.selectors import all_hold, of_label_selector
from kedge.sandbox.wire import Object

Rule = Callable[[Object], list[Cause]]
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
PORT_LIMIT = 65535
CONCURRENCY = ("Allow", "Forbid", "Replace")
PERCENT = re.compile(r"[0-9]{1,4}%")


def not_negative(spec: Object, path: str, *names: str) -> list[Cause]:
    return [
        wrong(f"{path}.{name}", spec[name], "must be greater than or equal to 0")
        for name in names
        if isinstance(spec.get(name), int) and spec[name] < 0
    ]


def portions(spec: Object, path: str, *names: str) -> list[Cause]:
    """Numbers of pods, or percentages of them."""
    causes = not_negative(spec, path, *names)
    for name in names:
        value = spec.get(name)
        if isinstance(value, str) and not PERCENT.fullmatch(value):
            told = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%')"
            causes.append(wrong(f"{path}.{name}", value, told))
    return causes


def selected_template(spec: Object, restart: tuple[str, ...] = ("Always",)) -> list[Cause]:
    """A selector that must be there and match the template, and the template itself."""
    causes: list[Cause] = []
    selector = spec.get("selector")
    labels = spec["template"]["metadata"].get("labels") or {}
    if selector is None:
        causes.append(required("spec.selector"))
    elif not selector:
        causes.append(wrong("spec.selector", {}, "empty selector is invalid for deployment"))
    terms = of_label_selector(selector)
    if selector is not None and not all_hold(terms, labels):
        causes.append(wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    return causes + template(spec["template"], "spec.template", restart)


def template(value: Object, path: str, restart: tuple[str, ...]) -> list[Cause]:
    spec, where = value["spec"], f"{path}.spec".lstrip(".")
    causes = pod_spec(spec, where)
    if restart and spec.get("restartPolicy") not in restart:
        causes.append(unsupported(f"{where}.restartPolicy", spec.get("restartPolicy"), restart))
    return causes


def pod_spec(spec: Object, path: str) -> list[Cause]:
    """Containers, their names, images, ports and mounts."""
    causes: list[Cause] = []
    if not spec.get("containers"):
        causes.append(required(f"{path}.containers"))
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    for index, volume in enumerate(spec.get("volumes") or ()):
        if not volume.get("name"):
            causes.append(required(f"{path}.volumes[{index}].name"))
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            causes += _container(container, f"{path}.{field}[{index}]", volumes, names)
    return causes


def _resources(resources: Object, path: str) -> list[Cause]:
    limits, causes = resources.get("limits") or {}, []
    for name, asked in (resources.get("requests") or {}).items():
        if name in limits and number_of(asked) > number_of(limits[name]):
            told = f"must be less than or equal to {name} limit of {limits[name]}"
            causes.append(wrong(f"{path}.requests", asked, told))
    return causes


def _container(container: Object, path: str, volumes: set[Any], names: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    name = container.get("name", "")
    if not name:
        causes.append(required(f"{path}.name"))
    elif not LABEL.fullmatch(name):
        told = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'"
        causes.append(wrong(f"{path}.name", name, told))
    elif name in names:
        causes.append(Cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{path}.name"))
    names.add(name)
    causes += _resources(container.get("resources") or {}, f"{path}.resources")
    if not container.get("image"):
        causes.append(required(f"{path}.image"))
    policy = container.get("imagePullPolicy")
    if policy not in ("Always", "IfNotPresent", "Never"):
        causes.append(unsupported(f"{path}.imagePullPolicy", policy, ("Always", "IfNotPresent", "Never")))
    for index, port in enumerate(container.get("ports") or ()):
        number = port.get("containerPort")
        if number is None:
            causes.append(required(f"{path}.ports[{index}].containerPort"))
        elif not 0 < number <= PORT_LIMIT:
            causes.append(
                wrong(f"{path}.ports[{index}].containerPort", number, "must be between 1 and 65535, inclusive")
            )
    for index, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            causes.append(required(f"{path}.env[{index}].name"))
        elif variable.get("value") and variable.get("valueFrom"):
            why = "may not be specified when `value` is not empty"
            causes.append(wrong(f"{path}.env[{index}].valueFrom", "", why))
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if not mount.get("mountPath"):
            causes.append(required(f"{path}.volumeMounts[{index}].mountPath"))
        if mount.get("name") not in volumes:
            told = f'Not found: "{mount.get("name", "")}"'
            causes.append(Cause("FieldValueNotFound", told, f"{path}.volumeMounts[{index}].name"))
    return causes


def workload(obj: Object) -> list[Cause]:
    spec = obj["spec"]
    return not_negative(spec, "spec", "replicas", "minReadySeconds", "revisionHistoryLimit") + selected_template(spec)


def deployment(obj: Object) -> list[Cause]:
    spec = obj["spec"]
    causes = workload(obj)
    strategy = spec["strategy"]
    causes += portions(strategy.get("rollingUpdate") or {}, "spec.strategy.rollingUpdate", "maxSurge", "maxUnavailable")
    rolling = strategy.get("rollingUpdate") or {}
    if all(str(rolling.get(name, 1)).rstrip("%") == "0" for name in ("maxSurge", "maxUnavailable")):
        told = "may not be 0 when `maxSurge` is 0"
        causes.append(wrong("spec.strategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"], told))
    if strategy["type"] not in ("Recreate", "RollingUpdate"):
        causes.append(unsupported("spec.strategy.type", strategy["type"], ("Recreate", "RollingUpdate")))
    elif strategy["type"] == "Recreate" and strategy.get("rollingUpdate"):
        told = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        causes.append(Cause("FieldValueForbidden", told, "spec.strategy.rollingUpdate"))
    if spec.get("progressDeadlineSeconds", 600) <= spec.get("minReadySeconds", 0):
        causes.append(
            wrong(
                "spec.progressDeadlineSeconds", spec["progressDeadlineSeconds"], "must be greater than minReadySeconds"
            )
        )
    return causes


def job_spec(spec: Object, path: str) -> list[Cause]:
    causes = not_negative(spec, path, "parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished")
    policy = spec["template"]["spec"].get("restartPolicy")
    causes += template(spec["template"], f"{path}.template", ())
    if policy not in ("OnFailure", "Never"):
        causes.append(unsupported(f"{path}.template.spec.restartPolicy", policy, ("OnFailure", "Never")))
    return causes


def job(obj: Object) -> list[Cause]:
    spec, causes = obj["spec"], []
    made = {"batch.kubernetes.io/controller-uid": obj["metadata"].get("uid")}
    if not spec.get("manualSelector") and (spec.get("selector") or {}).get("matchLabels") != made:
        causes.append(wrong("spec.selector", spec.get("selector"), "`selector` not auto-generated"))
    return [*causes, *job_spec(spec, "spec")]


def cron_job(obj: Object) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    schedule = spec.get("schedule", "")
    if not schedule:
        causes.append(required("spec.schedule"))
    elif not schedule.startswith("@") and len(schedule.split()) != 5:
        causes.append(
            wrong("spec.schedule", schedule, f"expected exactly 5 fields, found {len(schedule.split())}: {schedule}")
        )
    if spec.get("concurrencyPolicy") not in CONCURRENCY:
        causes.append(unsupported("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), CONCURRENCY))
    if spec.get("timeZone") and not _is_zone(spec["timeZone"]):
        causes.append(wrong("spec.timeZone", spec["timeZone"], f"unknown time zone {spec['timeZone']}"))
    return causes + job_spec(spec["jobTemplate"]["spec"], "spec.jobTemplate.spec")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def pod(obj: Object) -> list[Cause]:
    return template(obj, "", ("Always", "OnFailure", "Never"))


def stateful_set(obj: Object) -> list[Cause]:
    claims, strategy = obj["spec"].get("volumeClaimTemplates") or (), obj["spec"].get("updateStrategy") or {}
    causes = workload(obj)
    if strategy.get("type") == "OnDelete" and strategy.get("rollingUpdate") is not None:
        told = "only allowed for updateStrategy 'RollingUpdate'"
        causes.append(wrong("spec.updateStrategy.rollingUpdate", strategy["rollingUpdate"], told))
    return causes + [
        required(f"spec.volumeClaimTemplates[{index}].metadata.name")
        for index, claim in enumerate(claims)
        if not claim["metadata"].get("name")
    ]


def daemon_set(obj: Object) -> list[Cause]:
    rolling = obj["spec"]["updateStrategy"].get("rollingUpdate") or {}
    path = "spec.updateStrategy.rollingUpdate"
    return workload(obj) + portions(rolling, path, "maxSurge", "maxUnavailable")


TABLE: dict[str, Rule] = {
    "deployments.apps": deployment,
    "replicasets.apps": workload,
    "statefulsets.apps": stateful_set,
    "daemonsets.apps": daemon_set,
    "jobs.batch": job,
    "cronjobs.batch": cron_job,
    "pods.": pod,
}
