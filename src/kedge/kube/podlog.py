"""The log of one container, line by line: bounded lines of text out of whatever bytes it wrote."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from kedge.kube.answer import read_refusal
from kedge.kube.client import Client
from kedge.kube.transport import Refused
from kedge.model.errors import Invalid

LINE = 16 * 1024
"""Bytes after which a line is cut into several."""
MOST = 16 * 1024 * 1024
"""Bytes that the server is asked for at most, where the log is not followed."""


class NoLog(Invalid):
    """There is no such log just now; the text is the server's sentence."""


async def log_lines(client: Client, namespace: str, pod: str, query: Mapping[str, str]) -> AsyncGenerator[str, None]:
    """Lines without their end, until the log does (with `follow`: until the container does).

    `query` is that of the `log` subresource. Raises NoLog (the Pod is gone, the container waits), Unavailable."""
    kind = await client.kind("", "Pod")
    bounds = {} if query.get("follow") == "true" else {"limitBytes": str(MOST)}
    chunks = client.transport.stream(f"{kind.path(namespace, pod)}/log", {**bounds, **query})
    rest = b""
    try:
        async for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for piece in (piece for line in lines for piece in _pieces(line)):
                yield piece
            while len(rest) >= LINE:
                yield _text(rest[:LINE])
                rest = rest[LINE:]
    except Refused as refused:
        raise NoLog(read_refusal(refused.response).text) from None
    finally:
        # closed by hand: a protocol's iterator need not be a generator
        closing = getattr(chunks, "aclose", None)
        if closing is not None:
            await closing()
    if rest:
        yield _text(rest)


def _pieces(line: bytes) -> list[str]:
    return [_text(line[at : at + LINE]) for at in range(0, max(1, len(line)), LINE)]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")
