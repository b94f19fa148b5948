"""One field manager for all tests of targets: starting the worker costs more than a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kedge
from kedge.renderers.fieldmanager import Ask, FieldManager
from kedge.sandbox.fields import ManagedBy

WORKER = Path(kedge.__file__).parent / "bin" / "kedge-worker"


@pytest.fixture(scope="session")
def fields() -> Iterator[Any]:
    if not WORKER.exists():
        pytest.skip("the native worker is not built: make setup")
    manager = FieldManager(str(WORKER))
    yield ManagedBy(manager, Ask)
    manager.close()
