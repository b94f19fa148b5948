"""`kedge.yaml` at a root's folder: which of its files are read for declarations."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import TypeVar

from kedge.dialects import loader
from kedge.dialects.shape import MISSING, Shape
from kedge.model.errors import Invalid

CONFIG = "kedge.yaml"
_SUFFIXES = (".yaml", ".yml", ".json")
_MOST_GLOBS = 200
_LONGEST_GLOB = 500

P = TypeVar("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RootConfig:
    """Globs from the root's folder: `*` inside one name, `**` any folders. `exclude` wins over `include`."""

    include: tuple[str, ...] = (".kedge/**", CONFIG)
    exclude: tuple[str, ...] = ()


def read_config(raw: bytes, file: str = CONFIG) -> RootConfig:
    """The configuration in `kedge.yaml`, which may hold declarations beside it. Raises Invalid with every problem."""
    stream = loader.read(raw, file)
    if stream.problems:
        raise Invalid("", problems=stream.problems)
    found = [doc for doc in stream.documents if not (isinstance(doc.value, dict) and "apiVersion" in doc.value)]
    if not found:
        return RootConfig()
    if len(found) > 1:
        raise Invalid("there are two documents with a configuration", where=found[1].where())
    shape = Shape(found[0].where)
    config = shape.build(RootConfig, found[0].value, ())
    if config is not MISSING:
        _check(config, shape)
    if shape.problems:
        raise Invalid("", problems=tuple(shape.problems))
    assert isinstance(config, RootConfig)  # noqa: S101 - narrowed for the type checker
    return config


def _check(config: RootConfig, shape: Shape) -> None:
    for key, globs in (("include", config.include), ("exclude", config.exclude)):
        if len(globs) > _MOST_GLOBS:
            shape.wrong((key,), f"there are more than {_MOST_GLOBS} globs")
        for index, glob in enumerate(globs):
            if not glob or len(glob) > _LONGEST_GLOB or glob.startswith("/") or ".." in glob.split("/"):
                text = "a glob is relative to the root's folder and does not lead out of it"
                shape.wrong((key, index), f"“{glob[:60]}”: {text}")


def included(config: RootConfig, path: str) -> bool:
    """Whether the file at `path` (from the root's folder) is read. Only YAML and JSON files ever are."""
    if not path.endswith(_SUFFIXES):
        return False
    chosen = any(matches(glob, path) for glob in config.include)
    return chosen and not any(matches(glob, path) for glob in config.exclude)


def places(config: RootConfig) -> tuple[str, ...]:
    """Files and folders, from the root's folder, outside which nothing can be included; "" is that folder itself."""
    found = dict.fromkeys(_place(glob) for glob in config.include)
    return ("",) if "" in found else tuple(place for place in found if not _inside(place, found))


def _place(glob: str) -> str:
    """A glob up to its first wild name."""
    return "/".join(takewhile(lambda name: "*" not in name and "?" not in name, _names(glob)))


def _inside(place: str, others: Container[str]) -> bool:
    """Whether a folder above `place` is among the others: a tree is listed once, whatever globs name its parts."""
    names = place.split("/")
    return any("/".join(names[:depth]) in others for depth in range(1, len(names)))


def matches(glob: str, path: str) -> bool:
    """Whether `path` fits: `*` and `?` inside one name, `**` as a whole name for any number of folders. Linear-ish."""
    return wild(_names(glob), path.split("/"), "**", _name_matches)


@lru_cache(maxsize=1024)
def _names(glob: str) -> tuple[str, ...]:
    names = glob.removesuffix("/").split("/")
    return tuple(names)


def _name_matches(pattern: str, name: str) -> bool:
    return wild(pattern, name, "*", lambda wanted, char: wanted in ("?", char))


def wild(pattern: Sequence[P], text: Sequence[T], star: P, fits: Callable[[P, T], bool]) -> bool:
    """Match with one kind of star: never worse than pattern times text, whatever a hostile pattern repeats."""
    at = step = resume = 0
    last = -1
    while at < len(text):
        if step < len(pattern) and pattern[step] == star:
            last, resume = step, at
            step += 1
        elif step < len(pattern) and fits(pattern[step], text[at]):
            at, step = at + 1, step + 1
        elif last >= 0:
            resume += 1
            at, step = resume, last + 1
        else:
            return False
    return all(part == star for part in pattern[step:])
