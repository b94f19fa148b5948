"""Plain manifests and Jsonnet: which files of a folder are read, and what those that are run may see. Pure over the
folder's entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from kedge.model.errors import Invalid, Where
from kedge.model.rendering import DirectorySection, JsonnetSection
from kedge.model.source import Entry, EntryKind
from kedge.ports import Snapshot
from kedge.renderers.globs import matches
from kedge.renderers.questions import Call, beside, listing, under

SUFFIXES = (".yaml", ".yml", ".json", ".jsonnet")
VENDOR = "vendor"
"""The folder that Jsonnet's own package manager fills, beside the files and at the root: looked in last."""
MOST_FILES = 20_000


def select(folder: str, section: DirectorySection, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The files to read, in order of path: suffix, `recurse`, `include` and `exclude` as Argo CD's directory source.

    Kedge's own declarations (`kedge.yaml` and `.kedge/` at the repository's root) are no manifests, nor is what says
    how SOPS encrypts. Raises Invalid for a symlink or submodule that stands where a manifest is expected; others are
    left alone.
    """
    prefix = f"{folder}/" if folder else ""
    chosen = []
    for entry in entries:
        name = entry.path.removeprefix(prefix)
        if entry.kind is EntryKind.FOLDER or not name.endswith(SUFFIXES) or _is_none(entry.path):
            continue
        if ("/" in name and not section.recurse) or not _admitted(section, name):
            continue
        if entry.kind is not EntryKind.FILE:
            raise Invalid(
                f"{entry.path} is a {_WORDS[entry.kind]}, which a render never follows",
                where=Where(entry.path),
                hint="put the file itself there, or name it in directory.exclude",
            )
        chosen.append(entry)
    if len(chosen) > MOST_FILES:
        raise Invalid(f"{folder or 'the repository'} holds more than {MOST_FILES} manifests", where=Where(folder))
    return tuple(sorted(chosen))


_WORDS = {EntryKind.SYMLINK: "symbolic link", EntryKind.SUBMODULE: "Git submodule"}


def _is_none(path: str) -> bool:
    return path in ("kedge.yaml", "kedge.yml") or path.startswith(".kedge/") or path.rpartition("/")[2] == ".sops.yaml"


def _admitted(section: DirectorySection, name: str) -> bool:
    if section.exclude and matches(section.exclude, name):
        return False
    return not section.include or matches(section.include, name)


def call(snapshot: Snapshot, folder: str, section: DirectorySection, jsonnet: JsonnetSection | None = None) -> Call:
    """The request for a folder of plain manifests and Jsonnet. Raises as `select`."""
    entries = snapshot.entries(folder, recurse=section.recurse)
    files = select(folder, section, entries)
    options: dict[str, Any] = {"folder": folder, "files": [file.path for file in files]}
    if any(file.path.endswith(".jsonnet") for file in files):
        options["jsonnet"] = seen(folder, jsonnet or JsonnetSection())
    return Call("plain", options, listing(snapshot, folder, entries), files, folder)


def seen(folder: str, section: JsonnetSection) -> dict[str, Any]:
    """What the programs of a folder see, each value as a text or as code."""
    libraries = dict.fromkeys(
        [VENDOR, under(folder, VENDOR), *(beside("", path, "jsonnet.libs") for path in section.libs)]
    )
    return {
        "extVars": {key: value for key, value in section.extVars.items() if isinstance(value, str)},
        "extCode": {**_code(section.extVars), **section.extCode},
        "tlas": {key: value for key, value in section.tlas.items() if isinstance(value, str)},
        "tlaCode": {**_code(section.tlas), **section.tlaCode},
        "libs": list(libraries),
    }


def _code(values: dict[str, Any]) -> dict[str, str]:
    """What is no text, as JSON, which is Jsonnet."""
    return {key: orjson.dumps(value).decode() for key, value in values.items() if not isinstance(value, str)}
