"""What decides whether a render is made again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from kedge.control.road.render import _stamp, rendered, spec_of
from kedge.model.declaration import TargetSection
from kedge.model.errors import Absent, Invalid
from kedge.model.manifest import Desired
from kedge.model.ref import UnitName
from kedge.model.rendering import SubstituteSection
from kedge.model.source import Entry, EntryKind, Revision, SourceSpec
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


class Pieces:
    """A source of which only what was brought can be read, and a renderer that reads `paths`."""

    def __init__(self, *paths: str) -> None:
        self.paths, self.here, self.asked = paths, set[str](), list[tuple[str, ...]]()

    async def bring(self, revision: Revision, paths: Sequence[str]) -> None:
        self.asked.append(tuple(paths))
        self.here.update(paths)

    def snapshot(self, revision: Revision) -> Pieces:
        return self

    def entries(self, folder: str) -> list[Entry]:
        return [Entry(f"{folder}/{name}", "1", EntryKind.FILE) for name in ("a", "b")]

    async def render(self, snapshot: Pieces, unit: Unit) -> Desired:
        for path in self.paths:
            if path not in self.here and path.rpartition("/")[0] not in self.here:
                raise Absent(path)
        return Desired((), "done")


def test_what_a_render_reads_elsewhere_is_brought_a_folder_at_a_time() -> None:
    wanted = replace(unit(), source=SourceSpec("r", "main", "apps/web"))
    pieces = Pieces("apps/web/x", "base/a", "base/b", "other/a")
    doors: Any = SimpleNamespace(source=pieces, renderer=pieces)
    assert asyncio.run(rendered(doors, Revision("r", "main", "c"), wanted)).digest == "done"
    assert pieces.asked == [("apps/web",), ("base/a", "base/a", "base/b"), ("other/a", "other/a", "other/b")]


def test_a_render_that_reads_without_end_is_refused() -> None:
    class Endless(Pieces):
        async def render(self, snapshot: Pieces, unit: Unit) -> Desired:
            raise Absent(f"{len(self.asked)}/a")

    pieces = Endless()
    doors: Any = SimpleNamespace(source=pieces, renderer=pieces)
    with pytest.raises(Invalid, match="reads files of more than 100 folders"):
        asyncio.run(rendered(doors, Revision("r", "main", "c"), unit()))
