"""The log of one container, out of whatever bytes it wrote."""

from __future__ import annotations

from typing import Any

import pytest
from tests.kube.scripted import Scripted, client, status, virtual
from tests.simulation.loop import VirtualClock

from kedge.kube.podlog import LINE, MOST, NoLog, log_lines

POD = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {"name": ""},
            "versions": [
                {
                    "version": "v1",
                    "resources": [{"resource": "pods", "responseKind": {"kind": "Pod"}, "scope": "Namespaced"}],
                }
            ],
        }
    ],
}


def served(*parts: Any) -> Scripted:
    transport = Scripted(streams=(parts,))
    transport.discovery["/api"] = POD
    return transport


async def lines(transport: Scripted, clock: VirtualClock, **query: str) -> list[str]:
    return [line async for line in log_lines(client(transport, clock), "web", "web-1", query)]


@virtual
async def test_lines_are_whole_wherever_the_bytes_were_cut(clock: VirtualClock) -> None:
    transport = served(b"one\ntw", b"o\r\n\nthr", b"ee \xc3", b"\xa9")
    assert await lines(transport, clock, container="web") == ["one", "two", "", "three é"]
    assert transport.watched == [
        {"path": "/api/v1/namespaces/web/pods/web-1/log", "container": "web", "limitBytes": str(MOST)}
    ]


@virtual
async def test_what_is_followed_has_no_limit_of_bytes(clock: VirtualClock) -> None:
    transport = served(b"one\n")
    await lines(transport, clock, follow="true")
    assert "limitBytes" not in transport.watched[0]


@virtual
async def test_bytes_that_are_no_text_become_some_and_an_endless_line_is_cut(clock: VirtualClock) -> None:
    found = await lines(served(b"\xff\xfe\n", b"x" * (LINE + 1), b"y\n", b"z" * (2 * LINE + 3) + b"\n"), clock)
    assert found[0] == "\ufffd\ufffd"
    assert [len(line) for line in found[1:]] == [LINE, 2, LINE, LINE, 3]


@virtual
async def test_why_there_is_no_log_is_the_server_s_sentence(clock: VirtualClock) -> None:
    told = 'container "web" in pod "web-1" is waiting to start: trying and failing to pull image'
    with pytest.raises(NoLog, match="is waiting to start: trying and failing to pull image"):
        await lines(served(status(400, told)), clock)
