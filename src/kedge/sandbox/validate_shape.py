"""What must be there at all, before any other rule looks: one table over the types, in the API server's words.

Defaults, rules, controllers and printed columns read a decoded object as the table promises it; what they read without
asking has a line here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from kedge.sandbox.problems import Cause, required, unsupported, wrong
from kedge.sandbox.types import Type, built_in_types
from kedge.sandbox.wire import Object

# type, then for each field: its name where it must be given, name>=N for the least it may be, name=A|B for its words
RULES = """
meta.v1.LabelSelectorRequirement key operator operator=DoesNotExist|Exists|In|NotIn
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
policy.v1.PodDisruptionBudgetSpec unhealthyPodEvictionPolicy=AlwaysAllow|IfHealthyBudget
autoscaling.v1.HorizontalPodAutoscalerSpec minReplicas>=1 scaleTargetRef
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


@dataclass(frozen=True, slots=True)
class Plan:
    """What to look at in a type: fields that must be given, the least and the words of others, and the fields below
    which there is more to check."""

    needs: tuple[str, ...] = ()
    least: tuple[tuple[str, int], ...] = ()
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ways: dict[str, Type] = field(default_factory=dict)


@cache
def _lines() -> dict[str, list[str]]:
    found = {name: CONDITION.split() for name in built_in_types().fields if name.endswith("Condition")}
    for name in ("core.v1.ComponentCondition", "admissionregistration.v1.MatchCondition"):
        found.pop(name, None)
    for line in RULES.strip().splitlines():
        name, *found[name] = line.split()
    return found


@cache
def _plan(name: str) -> Plan:
    tokens = _lines().get(name, [])
    fields = built_in_types().fields.get(name, {})
    return Plan(
        needs=tuple(token for token in tokens if "=" not in token),
        least=tuple((part[0], int(part[2])) for token in tokens if (part := token.partition(">="))[1]),
        words=tuple(
            (part[0], tuple(part[2].split("|")))
            for token in tokens
            if ">=" not in token and (part := token.partition("="))[1]
        ),
        ways={key: type_ for key, type_ in fields.items() if _matters(type_.of)},
    )


@cache
def _matters(name: str) -> bool:
    """Whether a type, or one it leads to, has a line in the table."""
    seen, level = {name}, {name}
    while level:
        if level & _lines().keys():
            return True
        level = {type_.of for each in level for type_ in built_in_types().fields.get(each, {}).values()} - seen
        seen |= level
    return False


def shape(type_name: str, obj: Object) -> list[Cause]:
    """Every way in which a decoded and defaulted object lacks what its type must have."""
    causes: list[Cause] = []
    if _matters(type_name):
        _object(type_name, obj, "", causes)
    return causes


def _object(name: str, obj: Object, path: str, causes: list[Cause]) -> None:
    plan = _plan(name)
    for key in plan.needs:
        if obj.get(key) in (None, "", [], {}):
            causes.append(required(path + key))
    for key, least in plan.least:
        if key in obj and obj[key] < least:
            causes.append(wrong(path + key, obj[key], f"must be greater than or equal to {least}"))
    for key, words in plan.words:
        if obj.get(key) and obj[key] not in words:
            causes.append(unsupported(path + key, obj[key], words))
    for key, value in obj.items():
        type_ = plan.ways.get(key)
        if type_ is None or value is None:
            continue
        if type_.shape == "object":
            _object(type_.of, value, f"{path}{key}.", causes)
        else:
            for at, item in value.items() if isinstance(value, dict) else enumerate(value):
                _object(type_.of, item, f"{path}{key}[{at}].", causes)
