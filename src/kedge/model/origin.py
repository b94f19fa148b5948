"""What a unit asks of a repository beside a branch, a tag or a commit, as the text that stands in a ref's place.

No such text can be taken for a ref: it begins with a word and a space, and no ref holds a space. So whatever knows
(repository, ref) knows these too: they are resolved once for all who ask the same, remembered and shown alike.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

_RANGE = "version "
_CHART = "chart "
_WITH = "with "
OTHERS = ".others"
"""The folder that other sources are below, from the root of what is put together."""
SAME = "file://"
"""What `allow` says for charts of the same repository alone: it reaches nothing else."""
MAIN = "main"
"""The folder of a main source whose own root is asked for, beside others: their files are none of it."""


def of_range(version: str) -> str:
    """The newest tag that is a version in the range."""
    return _RANGE + " ".join(version.split())


def range_of(ref: str) -> str | None:
    return ref[len(_RANGE) :] if ref.startswith(_RANGE) else None


def of_chart(name: str, version: str = "") -> str:
    """A chart's newest version in the range; "": the newest there is. A digest (`sha256:…`) stands for itself."""
    return f"{_CHART}{name} {' '.join(version.split()) or '*'}"


def chart_of(ref: str) -> tuple[str, str] | None:
    """Name and range."""
    if not ref.startswith(_CHART):
        return None
    name, _, version = ref[len(_CHART) :].partition(" ")
    return name, version


@dataclass(frozen=True, slots=True)
class Part:
    """One more source, whose files are below `OTHERS/name`."""

    name: str
    repository: str
    ref: str


@dataclass(frozen=True, slots=True)
class Assembly:
    """Several sources put together: the main one at `ref`, and `others`. What the files at `path` name themselves is
    fetched too, from URLs that begin as one of `allow`: dependencies of a chart, `submodules`, and `lfs` objects from
    the repository itself."""

    ref: str
    path: str = ""
    others: tuple[Part, ...] = ()
    allow: tuple[str, ...] = ()
    submodules: bool = False
    lfs: bool = False


def of_assembly(assembly: Assembly) -> str:
    """One text for equal assemblies; the main source's own ref where nothing is put together."""
    if not (assembly.others or assembly.allow or assembly.submodules or assembly.lfs):
        return assembly.ref
    return _WITH + json.dumps(asdict(assembly), separators=(",", ":"), sort_keys=True)


def assembly_of(ref: str) -> Assembly | None:
    if not ref.startswith(_WITH):
        return None
    found = json.loads(ref[len(_WITH) :])
    others = tuple(Part(**part) for part in found.pop("others"))
    return Assembly(**{**found, "others": others, "allow": tuple(found["allow"])})


def at(ref: str, back: str) -> str:
    """The same, with the main source at a commit; a chart is gone back to by its version."""
    found, chart = assembly_of(ref), chart_of(ref)
    if found is not None:
        return of_assembly(replace(found, ref=at(found.ref, back)))
    return of_chart(chart[0], back) if chart is not None else back


def parts_of(repository: str, ref: str) -> tuple[tuple[str, str], ...]:
    """Every (repository, ref) that is asked for news of it: itself, for what is not put together."""
    found = assembly_of(ref)
    if found is None:
        return ((repository, ref),)
    return ((repository, found.ref), *((part.repository, part.ref) for part in found.others))


def prefixes_of(repository: str, ref: str, part: tuple[str, str]) -> tuple[str, ...]:
    """Below which folders the files of a part (repository, ref) are found in it: "" for the whole."""
    found = assembly_of(ref)
    if found is None:
        return ("",) if part == (repository, ref) else ()
    beside = tuple(f"{OTHERS}/{each.name}/" for each in found.others if part == (each.repository, each.ref))
    main = f"{MAIN}/" if found.others and not found.path else ""
    return (main, *beside) if part == (repository, found.ref) else beside


def followed_by_parts(ref: str) -> bool:
    """Whether news of it is news of one of its parts. What files name may move by itself: then it is asked too."""
    found = assembly_of(ref)
    return found is not None and bool(found.others) and not found.allow


def spoken(ref: str) -> str:
    """As people read it."""
    found = assembly_of(ref)
    if found is None:
        return ref
    more = [f"{part.name} {part.repository} {part.ref}".strip() for part in found.others]
    more += ["what its files name"] if found.allow or found.submodules or found.lfs else []
    return f"{found.ref} with {', '.join(more)}".strip()
