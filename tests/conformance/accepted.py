"""The differences that stay, each with its reason: everything else fails the suite.

An object that was once answered differently is another object from then on: what its collection answers later in the
same program is taken as a consequence.
"""

# ruff: noqa: E501  (a line a row)
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.conformance.compare import Difference, place


@dataclass(frozen=True, slots=True)
class Accepted:
    """`request` and `path` are matched whole; `path` is the difference's, such as `code` or `spec.clusterIP`. `told` is
    found in what the two servers said, where a refusal is part of it."""

    request: str
    path: str
    why: str
    told: str = ""

    def covers(self, found: Difference) -> bool:
        asked = f"{found.step.method} {found.step.path}"
        return bool(
            re.fullmatch(self.request, asked)
            and re.fullmatch(self.path, found.path)
            and re.search(self.told, found.told)
        )


ANY = r".*"
ACCEPTED: tuple[Accepted, ...] = (
    Accepted(ANY, "code", "a 500 of the sandbox is a bug of it, so a version that is no number is a 400", "ParseUint"),
    Accepted("PATCH .*", "code", "the same: it is as wrong in any other write, and a 400 there", "failed to convert new object"),
    Accepted(ANY, "code", "the same: the API server calls this an internal error", "should not be set on objects"),
    Accepted(
        ".*/customresourcedefinitions/.*", r"metadata\.managedFields.*",
        "the sandbox's controllers own no fields",
    ),
    Accepted(
        ".*/persistentvolumes.*",
        r"metadata\.finalizers|metadata\.managedFields.*f:finalizers.*|causes.*|status\.lastPhaseTransitionTime",
        "volumes are made for claims and gone with them: nothing protects them while they are used",
    ),
    Accepted(
        ".*/daemonsets.*", r"metadata\.annotations(\.deprecated.*)?",
        "the annotation is deprecated, nobody reads it: it is there, and does not count",
    ),
    Accepted(
        ".*/(podtemplates|endpoints)[/?]?.*", "code", "kinds that nobody declares: their inner rules are not repeated here"
    ),
    Accepted(
        "(PATCH|GET) .*", r"metadata\.managedFields\..*\.time",
        "the API server leaves the time out where an apply owns what somebody owns already; the field manager sets it",
    ),
    Accepted(
        "PATCH .*dryRun=All.*", r"metadata\.resourceVersion",
        "a dry run of an apply to nothing answers the version that was sent, which no object ever has",
    ),
    Accepted("GET .*/widgets/.*/.*", "details.*", "what is no subresource is not there: the words differ"),
    Accepted("POST .*/widgets/.*", "code", "the API server makes an object even where its name stands in the path"),
    Accepted(
        "DELETE .*/pods/.*", r"metadata\.(deletion.*|generation)",
        "a pod that nobody runs is gone at once: what it looked like on its way is not told",
    ),
    Accepted(
        "PATCH .*/(limitranges|networkpolicies)/.*", "spec.*",
        "what is left of a specification that nobody owns any more: empty structures",
    ),
    Accepted("PATCH .*/priorityclasses/.*", "code", "a version of an unknown name is refused for every kind alike", "API version in the data"),
    Accepted("PATCH .*/replicationcontrollers/.*", "code", "kinds that nobody declares", "spec.selector: Required"),
    Accepted("POST .*/services", "causes.*", "an address is not allocated before the name is judged", "failed to allocate IP"),
    Accepted("POST .*/poddisruptionbudgets", "code", "the API server takes a budget of any name: here it has to be one", "metadata.name"),
    Accepted("PATCH .*", "code", "a patch that makes it another kind: both refuse it", '"kind.{1,4}:.{1,2}"Other'),
    Accepted(".*/autoscaling/.*", "causes.*", "as its owners are: in the version of the last", "Apply failed"),
    Accepted(".*/(widgets|scale).*", "causes.*|details.*", "what a scale may not be is told of the object", "replicas|spec.size"),
    Accepted("PUT .*/scale", "code", "the same: of a scale that is no number", "ScaleSpec.spec.replicas"),
    Accepted("PUT .*", "warned", "what names no version is refused before anybody looks for unknown fields", "must be specified"),
    Accepted(
        ".*/endpointslices.*", r"endpoints|metadata\.(generation|managedFields.*f:endpoints)",
        "nobody declares slices: an empty list of endpoints becomes null in the API server",
    ),
    Accepted(
        r".*/services.*dryRun=All.*", r"spec\.(clusterIPs?|ports)\b.*",
        "addresses and ports that are only tried are nobody's: the API server shows the same ones again and again",
    ),
    Accepted(".*/resourcequotas.*", "code", "quotas are kept, and neither counted nor judged", "unsupported scope"),
    Accepted(".*/limitranges.*", "code", "limits are kept, and neither enforced nor judged", "min value"),
    Accepted(
        "PATCH .*", "code", "an owner without uid can not be merged: both refuse it, at different steps", "merge key: uid|omits all key fields"
    ),
    Accepted(
        ANY, "causes.*", "what lacks a field without which nothing can be made of it is refused with that cause alone",
        "Required value",
    ),
    Accepted(
        ANY, "causes.*", "of several reasons to refuse a change the sandbox may tell the first only",
        "field is immutable|pod updates may not|data: Invalid value",
    ),
    Accepted(ANY, "causes.*", "the sandbox calls what is too long for a schema wrong", "Too long"),
    Accepted(".*/controllerrevisions/.*", "code", "its data is compared byte by byte there, by value here", "data: Invalid value"),
    Accepted(
        ".*/autoscaling/.*", r"metadata\.(managedFields.*|annotations.*|resourceVersion)",
        "what is written in both versions of an autoscaler has its owners in the version of the last, and no notes of the other",
    ),
    Accepted(
        ".*/(widgets|statefulsets|deployments|replica.*)/.*", r"metadata\.managedFields\..* scale",
        "the API server notes nobody who scales to nothing, or a custom kind by PUT",
    ),
    Accepted(
        ".*/widgets.*", "causes.*", "what does not fit the schema is told once, not by everybody who reads it", "accessor error"
    ),
    Accepted("PUT .*/pods/.*", "causes.*", "of several reasons to refuse a change", "serviceAccountToken"),
    Accepted(
        ".*/(cluster)?roles.*", r"metadata\.(managedFields.*|resourceVersion)",
        "an empty `rules: null` is somebody's once it is written again; the API server has nobody own it",
    ),
)  # fmt: skip


def remaining(found: Iterable[Difference]) -> list[Difference]:
    """What no line of the table covers, nor follows from one that is covered."""
    since: dict[str, int] = {}
    left: list[Difference] = []
    for one in found:
        where = place(one.step.path)
        if any(line.covers(one) for line in ACCEPTED):
            since.setdefault(where, one.number)
        else:
            left.append(one)
    return [one for one in left if one.number < since.get(place(one.step.path), one.number + 1)]


@dataclass(frozen=True, slots=True)
class Line:
    """A line that may be said by one of the two only: `command` and `line` are searched for."""

    command: str
    line: str
    why: str


LINES: tuple[Line, ...] = (
    Line("api-versions", r"^(certificates|flowcontrol|resource)", "what only a cluster's own parts use is not served"),
    Line("explain deploy", r"^(    \S[^\t]*|  enum: .*|)$", "built-in kinds are described by their fields, not in sentences"),
    Line("describe pods", "PodReadyToStart", "the real node is no kubelet but KWOK, which says less of a pod"),
    Line("describe (svc|ingress)", r"^Endpoints: |web:80 \(", "the sandbox has no endpoints: nothing listens there"),
    Line("ingress", r"^Address:|^ingress.networking.k8s.io/web", "the sandbox brings the load balancer that a bare cluster lacks"),
    Line("quota", r"^resourcequota/|^persistentvolumeclaims  ", "the sandbox keeps quotas, but neither counts nor enforces"),
    Line("many", "Invalid value: ", "whoever sent a wrong type is shown the object whole, there in the order of its Go fields"),
    Line("", r"^! [IEW]\d{4} .* reflector\.go", "kubectl tells of a watch that ended early"),
)  # fmt: skip
