"""What decides whether a render is made again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from kedge.control.road.render import _stamp, spec_of
from kedge.model.declaration import TargetSection
from kedge.model.ref import UnitName
from kedge.model.rendering import SubstituteSection
from kedge.model.source import SourceSpec
from kedge.model.unit import RenderSpec, Unit


def unit(**render: Any) -> Unit:
    return Unit(UnitName("shop", "web"), "r", SourceSpec("r", "main"), TargetSection(), RenderSpec(**render))


def stamp(value: str, key: bytes = b"key", **render: Any) -> str:
    async def secrets(_: Unit) -> Mapping[str, str]:
        return {"shop-db": value}

    doors: Any = SimpleNamespace(
        renderer=SimpleNamespace(secrets=secrets), installation=SimpleNamespace(effects_key=key)
    )
    return asyncio.run(_stamp(doors, unit(**render)))


ASKING = SubstituteSection(secrets={"pw": "shop-db"})


def test_a_changed_secret_renders_again_and_its_digest_is_keyed() -> None:
    assert stamp("a", substitute=ASKING) == stamp("a", substitute=ASKING) != stamp("b", substitute=ASKING)
    assert stamp("a", substitute=ASKING) != stamp("a", b"other", substitute=ASKING)
    assert spec_of(unit(), "1", "x") != spec_of(unit(), "1", "y")


def test_a_unit_without_secrets_asks_for_none() -> None:
    assert stamp("a") == ""
    assert spec_of(unit(), "1") == spec_of(unit(), "1", "")
