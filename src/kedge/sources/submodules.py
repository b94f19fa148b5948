"""`.gitmodules`: which repository belongs at which path. Pure, and no more of Git's configuration than that."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from kedge.model.errors import Invalid, Where

FILE = ".gitmodules"
_SECTION = re.compile(r'\s*\[\s*submodule\s+"([^"\n]*)"\s*\]\s*\Z', re.IGNORECASE)
_OTHER = re.compile(r"\s*\[")
_VALUE = re.compile(r"\s*(path|url)\s*=\s*(.*)\Z", re.IGNORECASE)
SIZE = 1 << 20


def urls(text: bytes) -> dict[str, str]:
    """Path → URL as written. Raises Invalid for a file that is too large."""
    if len(text) > SIZE:
        raise Invalid(f"it has {len(text)} bytes, more than the {SIZE} that are read", where=Where(FILE))
    sections: list[dict[str, str]] = []
    inside = False
    for line in text.decode("utf-8", "replace").splitlines():
        if _OTHER.match(line):
            inside = _SECTION.match(line) is not None
            if inside:
                sections.append({})
        elif inside and (match := _VALUE.match(line)) is not None:
            value = match[2].rstrip().removeprefix('"').removesuffix('"')
            if '"' not in value:
                sections[-1][match[1].lower()] = value
    return {found["path"]: found["url"] for found in sections if "path" in found and "url" in found}


def absolute(repository: str, written: str) -> str:
    """The URL of a submodule: one that begins with `./` or `../` is beside the repository. Raises Invalid where it
    climbs out of the host."""
    if not written.startswith(("./", "../")):
        return written
    parts = urlsplit(repository)
    base, scp = (parts.path, "") if parts.scheme else _split(repository)
    names = [name for name in base.split("/") if name]
    for name in written.split("/"):
        if name == ".." and not names:
            raise _outside(repository, written)
        names = names[:-1] if name == ".." else [*names, name] if name not in ("", ".") else names
    if not names:
        raise _outside(repository, written)
    path = "/" * base.startswith("/") + "/".join(names)
    return urlunsplit(parts._replace(path=path)) if parts.scheme else scp + path


def _outside(repository: str, written: str) -> Invalid:
    return Invalid(f"the submodule's URL {written[:100]} leads out of {repository}", where=Where(FILE))


def _split(repository: str) -> tuple[str, str]:
    """Path, and what is before it, of `git@host:path`; of a plain path nothing is."""
    host, colon, path = repository.partition(":")
    return (path, host + colon) if colon else (repository, "")
