"""Rendering without a server: a directory, and what the command line says about how."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedge.model.errors import Invalid, Where
from kedge.model.manifest import Desired
from kedge.model.rendering import HelmSection
from kedge.model.unit import RenderSpec


@dataclass(frozen=True, slots=True)
class Wish:
    """`values` are files, `sets` are `a.b=c`; either makes it a chart. Later ones win, and sets win over files."""

    name: str = "offline"
    namespace: str = "default"
    values: tuple[Path, ...] = ()
    sets: tuple[str, ...] = ()


def rendered(directories: Sequence[Path], wish: Wish) -> list[Desired]:
    """The rendered set of each directory. Raises Invalid with file and line, Unavailable without a worker."""
    from kedge.compose import offline

    spec = spec_of(wish)
    for directory in directories:
        if not directory.is_dir():
            raise Invalid("there is no such directory", where=Where(str(directory)))

    async def work() -> list[Desired]:
        async with offline() as house:
            return [await house.render(d, spec, name=wish.name, namespace=wish.namespace) for d in directories]

    return asyncio.run(work())


def spec_of(wish: Wish) -> RenderSpec:
    if not wish.values and not wish.sets:
        return RenderSpec()
    from kedge.dialects.kedge import laid_over

    values: dict[str, Any] = {}
    for file in wish.values:
        values = laid_over(values, _values(file))
    for text in wish.sets:
        values = laid_over(values, _set(text))
    return RenderSpec(helm=HelmSection(values=values))


def _values(file: Path) -> dict[str, Any]:
    from kedge.cli.objects import read_file
    from kedge.dialects.loader import load

    raw, name = read_file(str(file))
    documents = load(raw, name)
    if not documents:
        return {}
    value = documents[0].value
    if len(documents) > 1 or not isinstance(value, dict | None):
        raise Invalid("values are one mapping", where=Where(name))
    return value or {}


def _set(text: str) -> dict[str, Any]:
    """`a.b=c` → `{"a": {"b": "c"}}`, the value read as YAML reads a plain scalar."""
    from kedge.dialects.scalars import plain

    path, equals, value = text.partition("=")
    names = path.split(".")
    if not equals or not all(names) or len(names) > 50:
        raise Invalid(f"--set {text}: write a.b=value")
    found: Any = plain(value)
    for name in reversed(names):
        found = {name: found}
    return dict(found)


def rendered_at(directory: Path, refs: tuple[str, str], wish: Wish) -> tuple[Desired, Desired]:
    """The rendered sets of a directory of a local repository at two refs; "" is the working tree. Raises as
    `rendered`."""
    from kedge.compose import offline

    spec = spec_of(wish)

    async def work() -> tuple[Desired, Desired]:
        async with offline() as house:
            before, after = [
                await house.render(directory, spec, name=wish.name, namespace=wish.namespace, ref=ref) for ref in refs
            ]
        return before, after

    return asyncio.run(work())
