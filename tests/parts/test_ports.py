"""A port that is held is nobody else's, and is served as often as its owner comes back."""

from __future__ import annotations

import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tests.parts.ports import held_port, held_ports

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how a kernel gives ports is Linux's")


def test_it_is_served_again_and_again_and_refuses_whoever_knocks_in_between() -> None:
    with held_port() as port:
        for _ in range(3):
            with HTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler), socket.socket() as caller:
                caller.connect(("127.0.0.1", port))
            with pytest.raises(ConnectionRefusedError), socket.socket() as caller:
                caller.connect(("127.0.0.1", port))


def test_whoever_asks_for_any_port_gets_another() -> None:
    with held_ports(3) as mine, held_ports(300) as others:
        assert len({*mine, *others}) == 303
        with pytest.raises(OSError, match="in use"), socket.socket() as one:
            one.bind(("127.0.0.1", mine[0]))
