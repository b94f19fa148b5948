"""What must be there at all, before any other rule looks: one table over the types, in the API server's words.

Defaults, rules, controllers and printed columns read a decoded object as the table promises it; what they read without
asking has a line here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from kedge.sandbox.problems import Cause, required, unsupported, wrong
from kedge.sandbox.types import Type, built_in_types
from kedge.sandbox.wire import Object

# type, then for each field: its name where it must be given, name>=N for the least it may be, name=A|B for its words
RULES = """
meta.v1.LabelSelectorRequirement key operator operator=DoesNotExist|Exists|In|NotIn
meta.v1.ManagedFieldsEntry operation operation=Apply|Update
core.v1.KeyToPath key path
core.v1.ConfigMapKeySelector key
core.v1.SecretKeySelector key
core.v1.ObjectFieldSelector fieldPath
core.v1.PersistentVolumeClaimVolumeSource claimName
core.v1.ContainerStatus name
core.v1.NodeAddress type address
core.v1.NodeSelectorRequirement key operator
core.v1.PodReadinessGate conditionType
core.v1.HTTPGetAction port
core.v1.TCPSocketAction port
core.v1.TopologySpreadConstraint topologyKey whenUnsatisfiable maxSkew>=1
core.v1.PodSpec terminationGracePeriodSeconds>=0 activeDeadlineSeconds>=1
core.v1.ServicePort nodePort>=0 protocol=SCTP|TCP|UDP
core.v1.ContainerPort hostPort>=0 protocol=SCTP|TCP|UDP
core.v1.PersistentVolumeSpec accessModes capacity
apps.v1.StatefulSetOrdinals start>=0
apps.v1.RollingUpdateStatefulSetStrategy partition>=0
apps.v1.StatefulSetSpec podManagementPolicy=OrderedReady|Parallel
apps.v1.StatefulSetUpdateStrategy type=OnDelete|RollingUpdate
apps.v1.DaemonSetUpdateStrategy type=OnDelete|RollingUpdate
apps.v1.DeploymentSpec progressDeadlineSeconds>=0
batch.v1.JobSpec activeDeadlineSeconds>=1 ttlSecondsAfterFinished>=0 completionMode=Indexed|NonIndexed
autoscaling.v2.HorizontalPodAutoscalerSpec minReplicas>=1 scaleTargetRef
autoscaling.v2.MetricSpec type
networking.v1.HTTPIngressRuleValue paths
networking.v1.IngressClassParametersReference kind name
scheduling.v1.PriorityClass value
apiextensions.v1.CustomResourceColumnDefinition name type jsonPath
apiextensions.v1.CustomResourceDefinitionNames plural kind
apiextensions.v1.CustomResourceDefinitionVersion name
apiextensions.v1.CustomResourceSubresourceScale specReplicasPath statusReplicasPath
apiextensions.v1.SelectableField jsonPath
apiregistration.v1.APIServiceSpec group version groupPriorityMinimum versionPriority
coordination.v1.LeaseSpec leaseDurationSeconds>=1
discovery.v1.Endpoint addresses
"""
CONDITION = "type status status=False|True|Unknown"


@cache
def _rules() -> dict[str, tuple[str, ...]]:
    found = {name: tuple(CONDITION.split()) for name in built_in_types().fields if name.endswith("Condition")}
    for name in ("core.v1.ComponentCondition", "admissionregistration.v1.MatchCondition"):
        found.pop(name, None)
    for line in RULES.strip().splitlines():
        name, *tokens = line.split()
        found[name] = tuple(tokens)
    return found


@cache
def _ways(name: str) -> tuple[tuple[str, Type], ...]:
    """The fields of a type below which there is something to check."""
    return tuple((key, field) for key, field in built_in_types().fields.get(name, {}).items() if _matters(field.of))


@cache
def _matters(name: str) -> bool:
    """Whether a type, or one it leads to, has a line in the table."""
    seen, level = {name}, {name}
    while level:
        if level & _rules().keys():
            return True
        level = {field.of for each in level for field in built_in_types().fields.get(each, {}).values()} - seen
        seen |= level
    return False


def shape(type_name: str, obj: Object) -> list[Cause]:
    """Every way in which a decoded and defaulted object lacks what its type must have."""
    causes: list[Cause] = []
    if _matters(type_name):
        _object(type_name, obj, "", causes)
    return causes


def _object(name: str, obj: Object, path: str, causes: list[Cause]) -> None:
    for token in _rules().get(name, ()):
        _check(token, obj, path, causes)
    for key, field in _ways(name):
        value = obj.get(key)
        if value is None:
            continue
        if field.shape == "object":
            _object(field.of, value, f"{path}{key}.", causes)
        elif field.shape == "list":
            for index, item in enumerate(value):
                _object(field.of, item, f"{path}{key}[{index}].", causes)
        elif field.shape == "map":
            for inner, item in value.items():
                _object(field.of, item, f"{path}{key}[{inner}].", causes)


def _check(token: str, obj: Object, path: str, causes: list[Cause]) -> None:
    name, least, words = token, "", ""
    if ">=" in token:
        name, _, least = token.partition(">=")
    elif "=" in token:
        name, _, words = token.partition("=")
    value: Any = obj.get(name)
    if least:
        if value is not None and value < int(least):
            causes.append(wrong(path + name, value, f"must be greater than or equal to {least}"))
    elif words:
        if value and value not in words.split("|"):
            causes.append(unsupported(path + name, value, tuple(words.split("|"))))
    elif value in (None, "", [], {}):
        causes.append(required(path + name))
