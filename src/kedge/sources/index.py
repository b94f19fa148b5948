"""A chart repository's `index.yaml`: which archive is the newest version in a range. Pure.

An index may hold ten thousand versions in twenty megabytes, and is written by a program, so it is not parsed as a
whole: the part of one chart is cut out by its indentation, and of that only the version that is chosen is read as YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson

from kedge.dialects import loader
from kedge.model import version as versions
from kedge.model.errors import Invalid

SIZE_LIMIT = 64 << 20
_SMALL = 1 << 20
"""Bytes of an index that is read whole where it is not written as Helm writes it."""
_MOST = 50_000
_LONGEST = 500
"""Bytes of a line that says a version."""
_ENTRIES = re.compile(rb"^entries:[ \t]*\r?\n", re.MULTILINE)
_FIRST = re.compile(rb"^([ \t]*)([^\s#])", re.MULTILINE)
_TOP = re.compile(rb"\n[^\s#]")
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})\Z")


@dataclass(frozen=True, slots=True)
class Chosen:
    """One version of one chart. `urls` are where its archive may be had, `digest` its sha256 in hex ("": not told),
    `created` epoch seconds."""

    name: str
    version: str
    urls: tuple[str, ...]
    digest: str = ""
    created: float = 0.0


def choose(raw: bytes, name: str, wanted: versions.Range) -> Chosen:
    """The newest version in the range. Raises Invalid where there is none, or the index can not be read."""
    found = versions.newest(wanted, _versions(raw, name), loose=True)
    if found is None:
        raise Invalid(
            f"chart {name} has no version in “{wanted.text}”", hint="correct source.version; a prerelease needs its own"
        )
    return _chosen(name, found[0], found[1]())


def _versions(raw: bytes, name: str) -> Iterator[tuple[str, Any]]:
    """(version, what reads its entry) of each version of a chart."""
    if raw.lstrip()[:1] == b"{":
        yield from _whole(_json(raw), name)
        return
    section = _section(raw, name)
    if section is None:
        yield from _whole(_yaml(raw), name)
        return
    for count, item in enumerate(_items(section)):
        if count >= _MOST:
            raise _too_many(name)
        version = _version(item)
        if version:
            yield version, lambda item=item: _yaml(item)[0]


def _whole(index: Any, name: str) -> Iterator[tuple[str, Any]]:
    entries = index.get("entries") if isinstance(index, dict) else None
    if not isinstance(entries, dict):
        raise Invalid("the index of the chart repository has no entries")
    if name not in entries:
        raise _unknown(name, list(entries))
    found = entries[name] or []
    if not isinstance(found, list) or len(found) > _MOST:
        raise _too_many(name)
    for item in found:
        if isinstance(item, dict) and isinstance(item.get("version"), str):
            yield item["version"], lambda item=item: item


def _too_many(name: str) -> Invalid:
    return Invalid(f"chart {name} has more than {_MOST} versions in the index, or something that is no list of them")


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"the index of the chart repository is no JSON: {error}") from None


def _yaml(raw: bytes) -> Any:
    if len(raw) > _SMALL:
        raise Invalid("the index of the chart repository is not written as Helm writes it, and too large to read whole")
    stream = loader.read(raw, "index.yaml")
    if stream.problems or not stream.documents:
        raise Invalid("the index of the chart repository is no YAML", problems=stream.problems)
    return stream.documents[0].value


def _section(raw: bytes, name: str) -> bytes | None:
    """The lines below a chart's name; None where the index is written in another way than Helm writes it.

    Within `entries:` a line that is indented as its keys are is a key, whatever text may stand in between: no part of a
    value can be indented so little."""
    start = _ENTRIES.search(raw)
    first = _FIRST.search(raw, start.end()) if start is not None else None
    if start is None or first is None:
        return None
    margin, line = first[1], raw[first.start(2) : raw.find(b"\n", first.start(2))]
    if not margin or margin.strip(b" ") or line.startswith(b"-") or not line.rstrip().endswith(b":"):
        return None
    begin = start.end() - 1
    indent = b"\n" + margin  # patterns that begin with a line's end are found far quicker
    for written in (name, f'"{name}"', f"'{name}'"):
        found = raw.find(indent + written.encode() + b":", begin)
        if found >= 0:
            after = re.compile(rb"\n(?:%s)?[^\s#\-]" % margin).search(raw, found + 1)
            return raw[found + 1 : after.start() + 1 if after else len(raw)].partition(b"\n")[2]
    if len(raw) <= _SMALL:
        return None
    following = _TOP.search(raw, begin)
    keys = re.compile(re.escape(indent) + rb"[\"']?([^\s#\-\"'][^\s\"':]*)")
    known = keys.finditer(raw, begin, following.start() if following else len(raw))
    raise _unknown(name, [found[1].decode("utf-8", "replace") for found in known])


def _items(section: bytes) -> Iterator[bytes]:
    """The items of a list in block style."""
    section = b"\n" + section
    match = re.search(rb"\n( *)- ", section)
    if match is None:
        return
    # One more than is read, so that more are noticed.
    begins = [found.start() + 1 for found in islice(re.finditer(rb"\n" + match[1] + rb"- ", section), _MOST + 2)]
    for begin, end in zip(begins, [*begins[1:], len(section)], strict=True):
        yield section[begin:end]


def _version(item: bytes) -> str:
    """The version of an item: the line of that name among the item's own."""
    indent = item.index(b"-") + 2
    match = re.search(rb"(?:\A *- |^ {%d})version:([^\n]*)" % indent, item, re.MULTILINE)
    text = match[1][:_LONGEST].decode("utf-8", "replace").strip(" \t\r") if match else ""
    return text[1:-1] if text[:1] in ("'", '"') and text[-1:] == text[:1] else text


def _chosen(name: str, version: str, item: Mapping[str, Any]) -> Chosen:
    urls, digest, created = item.get("urls"), item.get("digest"), item.get("created")
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        raise Invalid(f"chart {name} {version} has no URL in the index")
    match = _DIGEST.match(digest) if isinstance(digest, str) else None
    if digest and match is None:
        raise Invalid(f"chart {name} {version} has a digest in the index that is no sha256")
    return Chosen(name, version, tuple(urls[:5]), match[1] if match else "", _moment(created))


def _moment(text: Any) -> float:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return 0.0
    if found is None:
        return 0.0
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _unknown(name: str, known: list[str]) -> Invalid:
    shown = ", ".join(sorted(known)[:10]) + (" …" if len(known) > 10 else "")
    return Invalid(f"there is no chart {name} in the index", hint=f"known are {shown}" if known else "it is empty")
