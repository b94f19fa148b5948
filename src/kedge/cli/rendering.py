"""Rendering without a server: a directory, and what the command line says about how."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kedge.model.declaration import Application, ApplicationSpec, Credential, SourceSection
from kedge.model.errors import Invalid, Where
from kedge.model.manifest import Desired
from kedge.model.ref import UnitName
from kedge.model.rendering import HelmSection
from kedge.model.unit import Input, RenderSpec


@dataclass(frozen=True, slots=True)
class Wish:
    """`values` are files, `sets` are `a.b=c`; either makes it a chart. Later ones win, and sets win over files.

    `declared` is a file with an Application that says how it is rendered, `unit` which one (`NAME` or `NAME@ENV`);
    `secrets` are `NAME=FILE`, in place of those of the store. `fetch`: what is declared to be elsewhere is brought,
    with what the file `credentials` declares."""

    name: str = "offline"
    namespace: str = "default"
    values: tuple[Path, ...] = ()
    sets: tuple[str, ...] = ()
    declared: Path | None = None
    unit: str = ""
    secrets: tuple[str, ...] = ()
    fetch: bool = False
    credentials: Path | None = None


def rendered(directories: Sequence[Path], wish: Wish) -> list[Desired]:
    """The rendered set of each directory. Raises Invalid with file and line, Unavailable without a worker."""
    for directory in directories:
        if not directory.is_dir():
            raise Invalid("there is no such directory", where=Where(str(directory)))
    return _rendered([(directory, "") for directory in directories], wish)


def name_of(wish: Wish, ref: str = "") -> str:
    """What the unit is called: by the command line, else as it is declared at a ref."""
    return _asked(wish, ref)[0].name


def _rendered(places: Sequence[tuple[Path, str]], wish: Wish) -> list[Desired]:
    """The rendered sets of directories, each at a ref ("": the working tree)."""
    from kedge.cli.options import offline_data
    from kedge.offline import fetching, offline

    secrets = dict(_secret(text) for text in wish.secrets)
    asked = [(directory, ref, *_asked(wish, ref)) for directory, ref in places]

    async def kept(name: str) -> str | None:
        return secrets.get(name)

    fetch = fetching(offline_data(), _credentials(wish.credentials), kept) if wish.fetch else None

    async def work() -> list[Desired]:
        async with offline(kept, fetch) as house:
            return [
                await house.render(
                    place, spec, name=named.name, namespace=named.namespace, ref=ref, declared=declared, inputs=inputs
                )
                for place, ref, named, spec, declared, inputs in asked
            ]

    return asyncio.run(work())


def _secret(text: str) -> tuple[str, str]:
    """`NAME=FILE` → name and value. The value is never an argument: those are seen by every user of the machine."""
    from kedge.cli.objects import read_file

    name, equals, file = text.partition("=")
    if not name or not equals or not file:
        raise Invalid(f"--secret {text}: write NAME=FILE")
    return name, read_file(file)[0].decode("utf-8", "replace")


def _credentials(file: Path | None) -> tuple[Credential, ...]:
    """The Credentials that a file declares. Raises Invalid for a file with problems."""
    if file is None:
        return ()
    from kedge.cli.objects import read_file
    from kedge.dialects.kedge import read

    reading = read(*read_file(str(file)))
    if reading.problems:
        raise Invalid("", problems=reading.problems)
    return tuple(one for one in reading.declarations if isinstance(one, Credential))


def _asked(wish: Wish, ref: str) -> tuple[Wish, RenderSpec, SourceSection, tuple[Input, ...]]:
    """Name, namespace and options: as declared at a ref ("": the working tree), with what the command line says laid
    over them; where the files are, and which values of other units are read."""
    spec = spec_of(wish)
    if wish.declared is None:
        return wish, spec, SourceSection(), ()
    from kedge.engine.resolve import input_of

    unit, found = declared_in(wish.declared, wish.unit, ref)
    helm = found.helm
    if spec.helm is not None:
        from kedge.dialects.kedge import laid_over

        base = helm if helm is not None else HelmSection()
        helm = replace(base, values=laid_over(base.values, spec.helm.values))
    made = RenderSpec(
        found.directory, found.kustomize, helm, found.patches, found.jsonnet, found.substitute, found.decrypt
    )
    named = replace(wish, name=unit.name if wish.name == Wish().name else wish.name)
    if wish.namespace == Wish().namespace and found.target.namespace:
        named = replace(named, namespace=found.target.namespace)
    return named, made, found.source, tuple(input_of(unit, *given) for given in sorted(found.inputs.items()))


def declared_in(file: Path, unit: str, ref: str = "") -> tuple[UnitName, ApplicationSpec]:
    """The name and fields of the unit that a file declares at a ref ("": the working tree); `unit` is NAME or NAME@ENV,
    "" where there is only one. Raises Invalid for a file with problems, and where there is no such unit or several."""
    from kedge.cli.objects import read_file
    from kedge.dialects.kedge import read
    from kedge.offline import file_at

    raw, name = (file_at(file, ref), f"{ref}:{file}") if ref else read_file(str(file))
    reading = read(raw, name)
    if reading.problems:
        raise Invalid("", problems=reading.problems)
    units: dict[str, tuple[UnitName, ApplicationSpec]] = {}
    for one in reading.declarations:
        if isinstance(one, Application):
            within = {
                f"{one.name}@{env}": (UnitName(one.project, one.name, env), spec) for env, spec in one.spec.environments
            }
            units |= within or {one.name: (UnitName(one.project, one.name), one.spec)}
    if not unit and len(units) == 1:
        return next(iter(units.values()))
    if unit not in units:
        known = ", ".join(units) or "none"
        raise Invalid(f"which application? {name} declares {known}", hint="--unit NAME, or NAME@ENVIRONMENT")
    return units[unit]


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
    `rendered`. What is declared is that of each ref, too."""
    before, after = _rendered([(directory, ref) for ref in refs], wish)
    return before, after
