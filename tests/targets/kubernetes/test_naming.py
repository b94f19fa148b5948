"""`[KIND/]NAME`, as people write it."""

from __future__ import annotations

import pytest
from tests.doors.kube_world import ref

from kedge.kube.discovery import Catalog, Kind
from kedge.model.errors import Invalid
from kedge.targets.kubernetes.naming import named

WEB = ref("Deployment", "web", group="apps")
SERVICE = ref("Service", "web")
OLD = ref("Gizmo", "old", group="example.org")
CATALOG = Catalog(
    {
        ("apps", "Deployment"): (Kind("apps", "v1", "Deployment", "deployments", True, short=("deploy",)),),
        ("", "Service"): (Kind("", "v1", "Service", "services", True, short=("svc",)),),
    }
)
REFS = (WEB, SERVICE, OLD)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web", (SERVICE, WEB)),
        ("deploy/web", (WEB,)),
        ("deployments.apps/web", (WEB,)),
        ("apps/Deployment/web", (WEB,)),
        ("SVC/web", (SERVICE,)),
        ("gizmo/old", (OLD,)),
        ("example.org/Gizmo/old", (OLD,)),
    ],
)
def test_a_name_means_what_kubectl_would_take_it_for(text, found) -> None:
    assert named(text, REFS, CATALOG) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("api", "no object “api”"),
        ("deploy/api", "no object “deploy/api”"),
        ("svc/old", "no object “svc/old”"),
        ("thing/web", "serves no kind “thing”"),
        ("apps/Service/web", "serves no kind “apps/Service”"),
        ("/", "no object “/”"),
    ],
)
def test_what_means_nothing_is_refused_with_what_there_is(text, told) -> None:
    with pytest.raises(Invalid, match=told) as error:
        named(text, REFS, CATALOG)
    assert error.value.problems[0].hint
