"""What a chart's files say of the charts that it depends on, and whether its lock is about the same. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from kedge.dialects import loader
from kedge.model import version as versions
from kedge.model.errors import Invalid, Where
from kedge.model.source import EntryKind
from kedge.ports import Snapshot

_FIELDS = ("name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias")
"""Of a dependency, in the order that Helm's digest covers them; empty ones are left out, but not these:"""
_ALWAYS = ("name", "repository")
_MOST = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class Dependency:
    """`version` is the locked one where there is a lock, else the range that the chart asks for. `folder` is set for
    one from the chart's own repository (`file://`), "" for others."""

    name: str
    repository: str
    version: str
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """What is in a chart's folder: `text` of its Chart.yaml, its lock, and the names in its `charts` folder."""

    text: bytes
    lock: bytes | None
    held: frozenset[str]


def chart_in(snapshot: Snapshot, folder: str) -> Chart | None:
    """None where there is no Chart.yaml."""
    text, lock = (_file(snapshot, posixpath.join(folder, name)) for name in ("Chart.yaml", "Chart.lock"))
    if text is None:
        return None
    held = (posixpath.basename(entry.path) for entry in snapshot.entries(posixpath.join(folder, "charts")))
    return Chart(text, lock, frozenset(held))


def _file(snapshot: Snapshot, path: str) -> bytes | None:
    entry = snapshot.entry(path)
    return snapshot.read(entry) if entry is not None and entry.kind is EntryKind.FILE else None


def holds(held: Collection[str], name: str) -> bool:
    """Whether a chart of the name is in a `charts` folder that holds these, unpacked or packed."""
    return name in held or any(other.startswith(f"{name}-") and other.endswith(".tgz") for other in held)


def names(folder: str, chart: bytes) -> list[str]:
    """Of the charts that the chart in `folder` depends on."""
    return [item["name"] for item in _listed(chart, posixpath.join(folder, "Chart.yaml"))]


def dependencies(folder: str, chart: bytes, lock: bytes | None) -> tuple[Dependency, ...]:
    """What the chart in `folder` depends on, by its `Chart.yaml` and `Chart.lock`. Raises Invalid for a lock that is
    not about this chart, as `helm dependency build` does."""
    wanted = _listed(chart, posixpath.join(folder, "Chart.yaml"))
    if lock is None:
        return tuple(_dependency(folder, item, str(item.get("version") or "*")) for item in wanted)
    where = posixpath.join(folder, "Chart.lock")
    locked, told = _listed(lock, where), _digest_of(lock, where)
    same = [item["name"] for item in wanted] == [item["name"] for item in locked]
    if not same or told != locked_digest(wanted, locked):
        raise Invalid(
            "the lock is not about what Chart.yaml asks for",
            where=Where(where),
            hint="run `helm dependency update` and commit what it writes",
        )
    return tuple(_dependency(folder, item, str(item.get("version") or "*")) for item in locked)


def locked_digest(wanted: Sequence[Mapping[str, Any]], locked: Sequence[Mapping[str, Any]]) -> str:
    """The digest in a lock: of both lists, as Go writes them in JSON."""
    both = [[_ordered(item) for item in items] for items in (wanted, locked)]
    text = json.dumps(both, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def _ordered(item: Mapping[str, Any]) -> dict[str, Any]:
    texts = {**item, "repository": item.get("repository") or ""}
    return {field: texts[field] for field in _FIELDS if field in _ALWAYS or texts.get(field)}


def _dependency(folder: str, item: Mapping[str, Any], version: str) -> Dependency:
    name, repository = item["name"], str(item.get("repository") or "")
    if not repository.startswith("file://"):
        return Dependency(name, repository, version)
    written = repository.removeprefix("file://")
    place = posixpath.normpath(posixpath.join(folder, written))
    if posixpath.isabs(written) or place == ".." or place.startswith("../") or "\\" in written:
        raise Invalid(
            f"the dependency {name} is out of the repository: {repository[:100]}",
            where=Where(posixpath.join(folder, "Chart.yaml")),
        )
    return Dependency(name, repository, version, "" if place == "." else place)


def _listed(raw: bytes, where: str) -> list[dict[str, Any]]:
    found = _mapping(raw, where).get("dependencies") or []
    if not isinstance(found, list) or len(found) > _MOST or not all(isinstance(item, dict) for item in found):
        raise Invalid(f"dependencies are a list of at most {_MOST} charts", where=Where(where))
    for item in found:
        if not isinstance(item.get("name"), str) or not _NAME.match(item["name"]):
            raise Invalid("a dependency is without a proper name", where=Where(where))
    return found


def _digest_of(raw: bytes, where: str) -> str:
    return str(_mapping(raw, where).get("digest") or "")


def _mapping(raw: bytes, where: str) -> Mapping[str, Any]:
    stream = loader.read(raw, where)
    if stream.problems or not stream.documents or not isinstance(stream.documents[0].value, dict):
        raise Invalid("it is no YAML mapping", where=Where(where), problems=stream.problems)
    return stream.documents[0].value


def judge(dependency: Dependency, version: str, wanted: str) -> None:
    """Raises Invalid where what was found is not the version that is wanted."""
    found = versions.read(version, loose=True)
    if version != wanted and (found is None or not versions.parse(wanted).admits(found)):
        raise Invalid(f"the dependency {dependency.name} came as {version}, and {wanted} is wanted")
