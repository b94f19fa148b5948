"""State files as OpenTofu and Terraform write them, and a run that speaks to the backend as they do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kedge.control.states.backend import StateBackend
from kedge.model.state import StateGrant

LINEAGE = "5e1f0a3c-8b7d-4f5e-9b7a-0c6d2f1e8a90"


def resource(name: str = "main", *instances: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "mode": "managed",
        "type": "aws_s3_bucket",
        "name": name,
        "provider": 'provider["registry.opentofu.org/hashicorp/aws"]',
        "instances": list(instances) or [{"schema_version": 0, "attributes": {"id": name}, "sensitive_attributes": []}],
        **more,
    }


def statefile(
    serial: int = 1,
    *resources: Mapping[str, Any],
    outputs: Mapping[str, Any] | None = None,
    lineage: str = LINEAGE,
    **more: Any,
) -> bytes:
    whole = {
        "version": 4,
        "terraform_version": "1.12.6",
        "serial": serial,
        "lineage": lineage,
        "outputs": outputs or {},
        "resources": list(resources),
        "check_results": None,
        **more,
    }
    return json.dumps(whole, indent=2).encode() + b"\n"


def output(value: Any, *, sensitive: bool = False) -> dict[str, Any]:
    return {"value": value, "type": "dynamic", **({"sensitive": True} if sensitive else {})}


def lock_info(id: str = "lock-1", operation: str = "OperationTypeApply") -> bytes:
    return json.dumps(
        {"ID": id, "Operation": operation, "Info": "", "Who": "kedge@runner", "Version": "1.12.6", "Path": ""}
    ).encode()


class Run:
    """One execution's process: it shows its token and takes the lock by an id of its own."""

    def __init__(self, backend: StateBackend, unit: str, execution: str, id: str) -> None:
        self.backend, self.unit, self.execution, self.id = backend, unit, execution, id
        self.token = ""

    async def granted(self, *, write: bool = True) -> Run:
        self.token = (await self.backend.grant(self.unit, self.execution, write=write)).token
        return self

    async def grant(self) -> StateGrant:
        found = await self.backend.admitted(self.unit, self.execution, self.token)
        assert found is not None, "the token opens nothing any more"
        return found

    async def lock(self) -> None:
        await self.backend.lock(await self.grant(), lock_info(self.id))

    async def unlock(self) -> None:
        await self.backend.unlock(await self.grant(), lock_info(self.id))

    async def write(self, content: bytes) -> None:
        await self.backend.write(await self.grant(), self.id, content)

    async def applied(self, *contents: bytes) -> None:
        """A whole apply that writes so often."""
        await self.lock()
        for content in contents:
            await self.write(content)
        await self.unlock()


def run_of(backend: StateBackend, execution: str = "run-1", unit: str = "shop/db", id: str = "") -> Run:
    return Run(backend, unit, execution, id or f"lock-of-{execution}")


def addresses(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"aws_s3_bucket.{name}" for name in names)
