"""Admission: a project's kinds and targets bind what its units may have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kedge.model.change import Severity
from kedge.model.declaration import AllowedTarget, TargetSection
from kedge.model.errors import Where
from kedge.model.manifest import Desired, Manifest
from kedge.model.ref import Ref, UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import KindRules, Unit
from kedge.policy.admit import admit


def unit(*, allowed: tuple[str, ...] = (), denied: tuple[str, ...] = ()) -> Unit:
    source, target = SourceSpec("file:///repo", "main"), TargetSection("prod", "web")
    return Unit(UnitName("shop", "web"), "admin", source, target, kinds=KindRules(allowed, denied))


def desired(*refs: Ref) -> Desired:
    return Desired(tuple(Manifest(ref, "v1", b"{}", "d", where=Where("web.yaml", 3)) for ref in refs), "d")


SERVICE = Ref("", "Service", "web", "web")
DEPLOYMENT = Ref("apps", "Deployment", "web", "web")
ROLE = Ref("rbac.authorization.k8s.io", "ClusterRole", "", "all")


@pytest.mark.parametrize(
    ("allowed", "denied", "refused"),
    [
        ((), (), []),
        (("*",), (), []),
        (("Service",), (), [DEPLOYMENT, ROLE]),
        (("apps/*",), (), [SERVICE, ROLE]),
        (("*/Deployment", "Service"), (), [ROLE]),
        ((), ("rbac.authorization.k8s.io/*",), [ROLE]),
        (("*",), ("*/Cluster*",), [ROLE]),
        (("service",), (), [SERVICE, DEPLOYMENT, ROLE]),
    ],
)
def test_kinds_are_admitted_by_globs_and_a_denial_wins(
    allowed: tuple[str, ...], denied: tuple[str, ...], refused: list[Ref]
) -> None:
    findings = admit(unit(allowed=allowed, denied=denied), desired(SERVICE, DEPLOYMENT, ROLE))
    assert [finding.ref for finding in findings] == refused
    assert all(finding.severity is Severity.ERROR and "web.yaml, line 3" in finding.text for finding in findings)


@pytest.mark.parametrize(
    ("ref", "admitted"),
    [
        (SERVICE, True),
        (Ref("", "Service", "kube-system", "web"), False),
        (Ref("", "Service", "web-test", "web"), True),
        (Ref("", "Namespace", "", "web"), True),
        (Ref("", "Namespace", "", "kube-system"), False),
        (ROLE, True),
    ],
)
def test_namespaces_outside_the_projects_targets_are_refused(ref: Ref, admitted: bool) -> None:
    targets = (AllowedTarget("staging", "*"), AllowedTarget("prod", "web*"))
    assert (admit(replace(unit(), targets=targets), desired(ref)) == ()) is admitted


def test_a_project_without_targets_takes_what_the_admin_root_trusts() -> None:
    assert admit(unit(), desired(Ref("", "Service", "anywhere", "web"))) == ()
