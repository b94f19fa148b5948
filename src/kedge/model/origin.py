"""What a unit asks of a repository beside a branch, a tag or a commit, as the text that stands in a ref's place.

No such text can be taken for a ref: it begins with a word and a space, and no ref holds a space. So whatever knows
(repository, ref) knows these too: they are resolved once for all who ask the same, remembered and shown alike.
"""

from __future__ import annotations

_RANGE = "version "
_CHART = "chart "


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
