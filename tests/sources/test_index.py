"""A chart repository's index that somebody wrote to do harm."""

from __future__ import annotations

import orjson
import pytest
from tests.bounds import processor

from kedge.model.errors import Invalid
from kedge.model.version import parse
from kedge.sources.index import choose

ANY = parse("*")
ITEM = b"  - version: 1.2.3\n    urls: [a.tgz]\n"

SLOW = {
    # Each of them once was minutes to hours: patterns that looked back over all that they had passed.
    "a version with a million spaces in it": b"entries:\n  web:\n  - version: a" + b" " * 1_000_000 + b"b\n",
    "ten million blank lines": b"entries:\n" + b" \n" * 10_000_000 + b"  web:\n",
    "colons": b"entries:\n  a" + b": " * 5_000_000 + b"x\n",
    "items without end": b"entries:\n  web:\n" + b"  - \n" * 4_000_000,
    "a margin without end": b"entries:\n  web:\n" + (b"\n" + b" " * 1_000) * 10_000,
    "names without end": b"entries:\n" + b"  a:\n" * 2_000_000,
    "versions without end, in JSON": b'{"entries":{"web":[' + b'{"version":"1.2.3"},' * 500_000 + b"{}]}}",
    "nesting without end": b'{"a":' * 1_000_000,
}


@pytest.mark.parametrize("raw", SLOW.values(), ids=SLOW.keys())
def test_an_index_made_to_be_slow_is_refused_at_once(raw: bytes) -> None:
    with processor(5), pytest.raises(Invalid):
        choose(raw, "web", ANY)


@pytest.mark.parametrize(
    "raw",
    [
        b"entries:\n  web:\n" + ITEM,
        b"# said\nentries:  \n\n   \n# more\n  api:\n  - version: 9.9.9\n  web:\n" + ITEM,
        b'entries:\r\n  "web":\r\n' + ITEM.replace(b"\n", b"\r\n").replace(b"1.2.3", b'"1.2.3"  '),
        b"entries: {web: [{version: 1.2.3, urls: [a.tgz]}]}\n",
        b"entries:\n  web: [{version: 1.2.3, urls: [a.tgz]}]\n",
        b"entries:\n  - web\n".replace(b"  - web\n", b"    web:\n    - version: 1.2.3\n      urls: [a.tgz]\n"),
        orjson.dumps({"entries": {"web": [{"version": "1.2.3", "urls": ["a.tgz"]}]}}),
    ],
)
def test_an_index_is_read_however_it_is_written(raw: bytes) -> None:
    assert choose(raw, "web", ANY).version == "1.2.3"
