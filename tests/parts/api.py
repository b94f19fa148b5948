"""The API server, spoken to in the plainest way there is: by those who set a cluster up and clean it."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kedge.kube.kubeconfig import Access, read_kubeconfig

SECONDS = 30.0


class Refused(Exception):
    """An answer of 400 and above."""

    def __init__(self, code: int, body: bytes) -> None:
        super().__init__(f"{code}: {body[:500]!r}")
        self.code = code


def access_of(kubeconfig: Path) -> Access:
    return read_kubeconfig(json.loads(kubeconfig.read_text()))


@dataclass(frozen=True)
class Api:
    access: Access

    @cached_property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.access.ca)

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """The answer's JSON (text where it is none). Raises Refused, or OSError while nobody answers."""
        request = urllib.request.Request(self.access.server + path, method=method)
        request.add_header("Authorization", f"Bearer {self.access.token}")
        request.add_header("Content-Type", kind)
        content = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, content, timeout=SECONDS, context=self.tls) as answer:
                found = answer.read()
                return json.loads(found) if "json" in answer.headers.get("Content-Type", "") else found.decode()
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, error.read()) from error

    def there(self, path: str) -> bool:
        """Whether it is answered well by now."""
        try:
            self.call("GET", path)
        except (Refused, OSError):
            return False
        return True
