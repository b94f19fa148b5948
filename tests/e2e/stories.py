"""Small files that the stories of bad days are told with, and a house that does not wait long before it tries again."""

from __future__ import annotations

import pytest
from tests.e2e.world import World

from kedge.model.ref import UnitName

SICK = UnitName("shop", "sick")
PROJECT = "apiVersion: kedge.dev/v1alpha1\nkind: Project\nmetadata: {name: shop}\n"
SOON = 0.3
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: things, kind: Thing}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {replicas: {type: integer, default: 1}, size: {type: string, enum: [s, l]}}}
          status: {type: object, properties: {phase: {type: string}}}
"""
"""Of the kind Thing, in namespaces."""


def application(name: str, more: str = "", *, source: str = "", namespace: str = "") -> str:
    where = source or f"{{path: apps/{name}}}"
    return f"""
apiVersion: kedge.dev/v1alpha1
kind: Application
metadata: {{name: {name}, project: shop}}
spec:
  source: {where}
  target: {{namespace: {namespace or name}}}
{more}"""


def config(greeting: str, name: str = "web", metadata: str = "") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{metadata}}}\ndata: {{greeting: {greeting}}}\n"


def folder_of(name: str, greeting: str, *, at: str = "apps/") -> dict[str, str | None]:
    """A folder that deploys one ConfigMap into a namespace of the unit's own."""
    return {
        f"{at}{name}/namespace.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n",
        f"{at}{name}/config.yaml": config(greeting),
    }


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pause before another try is short, and still counted."""
    monkeypatch.setattr("kedge.engine.delivery.retry_at", lambda attempts, now: now + SOON)
    monkeypatch.setattr("kedge.control.shift.rounds.WINDOW", SOON / 3)
    monkeypatch.setattr("kedge.engine.gate.BLOCKED", SOON)
    monkeypatch.setattr("kedge.control.shift.turns.AFTER_A_REFUSAL", SOON)
    monkeypatch.setattr("kedge.control.shift.turns.AFTER_THE_STORE", SOON)
    monkeypatch.setattr("kedge.control.shift.shift.AGAIN", SOON)


async def reported(world: World, path: str) -> None:
    """What the controller of a custom object says of it, once it is there."""

    async def there() -> bool:
        return await world.call("GET", path) is not None

    await world.eventually(there)
    said = {"status": {"phase": "Ready"}}
    await world.call("PATCH", f"{path}?fieldManager=operator", said, "application/merge-patch+json")
