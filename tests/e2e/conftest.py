"""Where stories are told: those that ask for `access` on the sandbox, and on a real Kubernetes where it is built."""

from __future__ import annotations

import pytest
from tests.executions.jobscene import runs  # noqa: F401
from tests.parts.fixtures import control_plane, real_cluster, tofu  # noqa: F401  (fixtures are found by name)

from kedge.kube.kubeconfig import Access


@pytest.fixture(params=["sandbox", "real"])
def access(request: pytest.FixtureRequest) -> Access | None:
    """For `standing`: a real cluster, as empty as it came up; None for a sandbox of the test's own."""
    if request.param == "sandbox":
        return None
    found: Access = request.getfixturevalue("real_cluster").access
    return found
