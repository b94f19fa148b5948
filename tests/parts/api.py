"""The API server, spoken to in the plainest way there is: by those who set a cluster up and clean it."""

from __future__ import annotations

import json
import ssl
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kedge.kube.kubeconfig import Access, read_kubeconfig

SECONDS = 30.0


class Refused(Exception):
    """An answer of 400 and above."""

    def __init__(self, code: int, body: bytes) -> None:
        super().__init__(f"{code}: {body[:500]!r}")
        self.code = code


def access_of(kubeconfig: Path) -> Access:
    return read_kubeconfig(json.loads(kubeconfig.read_text()))


class Api:
    """One connection, kept open from call to call. Close it."""

    def __init__(self, access: Access) -> None:
        place = urlsplit(access.server)
        tls = ssl.create_default_context(cadata=access.ca)
        self.headers = {"Authorization": f"Bearer {access.token}"}
        self.line = HTTPSConnection(place.hostname or "", place.port, timeout=SECONDS, context=tls)

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """The answer's JSON (text where it is none). Raises Refused; OSError or HTTPException where nobody answers."""
        content = None if body is None else json.dumps(body)
        kept = self.line.sock is not None
        try:
            answer, found = self.ask(method, path, content, kind)
        except (ConnectionError, ssl.SSLEOFError):
            if not kept:
                raise
            # The server had closed the line while nobody used it.
            answer, found = self.ask(method, path, content, kind)
        if answer.status >= 400:
            raise Refused(answer.status, found)
        return json.loads(found) if "json" in answer.headers.get("Content-Type", "") else found.decode()

    def ask(self, method: str, path: str, content: str | None, kind: str) -> tuple[HTTPResponse, bytes]:
        try:
            self.line.request(method, path, content, {**self.headers, "Content-Type": kind})
            answer = self.line.getresponse()
            return answer, answer.read()
        except (OSError, HTTPException):
            self.line.close()  # the next call opens it anew
            raise

    def there(self, path: str) -> bool:
        """Whether it is answered well by now."""
        try:
            self.call("GET", path)
        except (Refused, OSError, HTTPException):
            return False
        return True

    def close(self) -> None:
        self.line.close()
