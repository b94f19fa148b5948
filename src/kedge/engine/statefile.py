"""What a state file says: serial, lineage, outputs, addresses; and the same file under another serial.

The format is the one that OpenTofu and Terraform share (version 4). Attributes of resources are passed over unread:
they are most of a state, and most of its secrets.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

from kedge.model.errors import Invalid
from kedge.model.output import Output
from kedge.model.state import LARGEST_STATE, StateText

FORMAT = 4
_LONGEST_SERIAL = 2**63
_HINT = "it is what `tofu state pull` prints"
_SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*"|[^,}\]\s"{\[]+')
_SPACE = re.compile(rb"[ \t\r\n]*")
_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]')
_BUILT_IN = re.compile(r'(?:module\.[^.\[]+(?:\["(?:[^"\\]|\\.)*"\]|\[\d+\])?\.)*terraform_data\.')


class _Output(msgspec.Struct, gc=False):
    value: msgspec.Raw = msgspec.Raw(b"null")
    sensitive: bool = False


class _Instance(msgspec.Struct, gc=False):
    index_key: str | int | None = None


class _Resource(msgspec.Struct, gc=False):
    mode: str
    type: str
    name: str
    module: str = ""
    instances: tuple[_Instance, ...] = ()


class _File(msgspec.Struct):
    version: int
    serial: int
    lineage: str
    outputs: dict[str, _Output] = {}
    resources: list[_Resource] = []


_DECODER = msgspec.json.Decoder(_File)


def read_state(content: bytes, key: bytes, *, nameless: bool = False) -> StateText:
    """Raises Invalid for what is no state of version 4, with where it is wrong but nothing of what it holds.

    `key` keys the digest of its content. `nameless`: it may lack a lineage."""
    if len(content) > LARGEST_STATE:
        raise Invalid(f"the state has {len(content)} bytes; at most {LARGEST_STATE} are kept")
    try:
        content.decode()  # what is passed over below is not looked at
        found = _DECODER.decode(content)
        outputs = tuple(Output(name, _canonical(one.value), one.sensitive) for name, one in found.outputs.items())
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise Invalid(f"this is no state: {_about(error)}", hint=_HINT) from None
    if found.version != FORMAT:
        raise Invalid(f"the state has format {found.version}; Kedge reads format {FORMAT}", hint=_HINT)
    least = 0 if nameless else 1
    if not 0 <= found.serial < _LONGEST_SERIAL or not least <= len(found.lineage) <= 200:
        raise Invalid("this is no state: its serial or its lineage is out of bounds", hint=_HINT)
    return StateText(
        serial=found.serial,
        lineage=found.lineage,
        digest=state_digest(content, key),
        outputs=tuple(sorted(outputs, key=lambda output: output.name)),
        resources=tuple(sorted({address for each in found.resources for address in _addresses(each)})),
        content=content,
    )


def state_digest(content: bytes, key: bytes) -> str:
    """Keyed, so that nobody can guess what a small state holds."""
    return hmac.new(key, b"state\0" + content, sha256).hexdigest()


def _about(error: Exception) -> str:
    """msgspec's errors tell the place and the type that it found, never the value; of others nothing is told."""
    if isinstance(error, msgspec.DecodeError):
        return str(error)[:200]
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it is not JSON text"


def _canonical(raw: msgspec.Raw) -> str:
    """JSON text with sorted names. Whole numbers keep every digit: the tool counts beyond 64 bits."""
    return json.dumps(json.loads(bytes(raw)), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _addresses(resource: _Resource) -> Iterator[str]:
    if resource.mode != "managed":
        return
    base = (
        f"{resource.module}.{resource.type}.{resource.name}" if resource.module else f"{resource.type}.{resource.name}"
    )
    for instance in resource.instances:
        yield instance_address(base, instance.index_key)


def instance_address(base: str, key: str | int | None) -> str:
    """`base`, with the instance's key where there is one, as the tool writes it."""
    if key is None:
        return base
    return f"{base}[{json.dumps(key, ensure_ascii=False)}]"


def real(resources: tuple[str, ...]) -> tuple[str, ...]:
    """Those that exist outside of the state: `terraform_data` is built into the tool, and nowhere else."""
    return tuple(address for address in resources if not _BUILT_IN.match(address))


def renumbered(content: bytes, serial: int, lineage: str) -> bytes:
    """A state that was read before, byte for byte, under another serial and lineage. Raises Invalid where it has not
    just one of each.

    They are replaced in the text: parsed and written anew, long numbers of the attributes would lose digits."""
    moved = content
    for name, value in ((b"serial", str(serial)), (b"lineage", json.dumps(lineage))):
        place = _top_level(moved, name)
        if place is not None:
            moved = moved[: place[0]] + value.encode() + moved[place[1] :]
    found = _DECODER.decode(moved)
    if (found.serial, found.lineage) != (serial, lineage):
        raise Invalid("this state can not be numbered anew: it has more than one serial or lineage", hint=_HINT)
    return moved


def _top_level(content: bytes, name: bytes) -> tuple[int, int] | None:
    """Where the scalar value of a member of the outermost object stands."""
    depth = 0
    at = 0
    while (mark := _MARKS.search(content, at)) is not None:
        text, at = mark.group(), mark.end()
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and text == b'"' + name + b'"':
            colon = _SPACE.match(content, at)
            after = colon.end() if colon is not None else at
            if content[after : after + 1] == b":":
                space = _SPACE.match(content, after + 1)
                start = space.end() if space is not None else after + 1
                value = _SCALAR.match(content, start)
                return value.span() if value is not None else None
    return None


def parsed(content: bytes) -> dict[str, Any]:
    """The whole of a state that was read before, for showing and comparing. Raises Invalid."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Invalid("this is no state that can be shown", hint=_HINT)
    return found
