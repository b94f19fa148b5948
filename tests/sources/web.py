"""A web server on loopback that answers what a test tells it to, and remembers who asked with which credential."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    method: str
    path: str
    authorization: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Reply:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Site:
    """`pages` are answers by path; `rule` may answer before them."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Reply | bytes] = {}
        self.rule: Callable[[Asked], Reply | None] = lambda asked: None
        self.asked: list[Asked] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                return

            def do_GET(self) -> None:
                site.answer(self)

            def do_HEAD(self) -> None:
                site.answer(self)

            def do_POST(self) -> None:
                site.answer(self)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._scheme = "https" if tls else "http"
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._http.handle_error = lambda request, address: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}"

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        given, headers = request.headers.get("Authorization", ""), dict(request.headers.items())
        asked = Asked(request.command, request.path, given, headers, body)
        self.asked.append(asked)
        found = self.rule(asked) or self.pages.get(request.path) or Reply(b"nothing here", 404)
        reply = found if isinstance(found, Reply) else Reply(found)
        if reply.headers.get("ETag") and reply.headers["ETag"] == request.headers.get("If-None-Match"):
            reply = Reply(b"", 304, {"ETag": reply.headers["ETag"]})
        request.send_response(reply.status)
        for name, value in reply.headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(reply.body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(reply.body)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class Prefixed:
    """Credentials by the beginning of a URL, as declared ones."""

    def __init__(self) -> None:
        self.by_prefix: dict[str, Mapping[str, str]] = {}

    async def credential(self, url: str) -> Mapping[str, str]:
        fitting = [prefix for prefix in self.by_prefix if url.startswith(prefix)]
        return self.by_prefix[max(fitting, key=len)] if fitting else {}
