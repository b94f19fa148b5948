"""The sandbox with the real field manager, and an API server that nobody else writes to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.servers import QuietPlane, quiet
from tests.parts.fixtures import control_plane, real_cluster  # noqa: F401  (fixtures are found by name)
from tests.parts.programs import missing

from kedge.compose import built_worker
from kedge.renderers.fieldmanager import Ask, FieldManager
from kedge.sandbox import Fields
from kedge.sandbox.fields import ManagedBy


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuietPlane]:
    lacking = missing()
    if lacking:
        pytest.skip(lacking)
    found = quiet(Path(tmp_path_factory.mktemp("plane")))
    yield found
    found.end()


@pytest.fixture(scope="session")
def fields() -> Iterator[Fields]:
    manager = FieldManager(str(built_worker()))
    yield ManagedBy(manager, Ask)
    manager.close()
