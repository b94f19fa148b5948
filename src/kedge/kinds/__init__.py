"""Knowledge of other projects' kinds, as data: one folder a kind, with its rule, its cases and its page.

Law: no code beside this file, which only finds a folder by name. A folder is `GROUP/KIND`; `GROUP/any` is for every
kind of a group, `any.PARENT/any` for every group below one. The nearest wins: the kind, its group, the groups above.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

RULE, ACTIONS = "rule.yaml", "actions.yaml"
ANY = "any"


def find(group: str, kind: str, name: str) -> bytes | None:
    """The file `name` of the nearest folder that has one; None where there is none. Costs no look at the disk for a
    kind that nothing is known of."""
    known = folders()
    for place in _places(group, kind):
        if place in known and name in known[place]:
            return files(__name__).joinpath(*place, name).read_bytes()
    return None


def _places(group: str, kind: str) -> Iterator[tuple[str, str]]:
    yield group or "core", kind
    yield group, ANY
    parts = group.split(".")
    for depth in range(1, min(len(parts), 10)):
        yield f"{ANY}.{'.'.join(parts[depth:])}", ANY


@lru_cache(maxsize=1)
def folders() -> dict[tuple[str, str], frozenset[str]]:
    """(group, kind) → the names of its files."""
    found = {}
    for group in files(__name__).iterdir():
        if group.is_dir() and group.name != "__pycache__":
            for kind in group.iterdir():
                found[group.name, kind.name] = frozenset(file.name for file in kind.iterdir())
    return found
