"""Real Git: repositories made by the command line, and a smart-HTTP server that wants a password."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kedge import process
from kedge.sources.address import Allowed
from kedge.sources.git import GitSource, Limits

from .web import Prefixed, Site

LOCAL = Allowed(local=True, plain=True, loopback=True)
CANARY = "canary-7f3a-secret"


class Repository:
    """A bare repository and a working tree that pushes to it."""

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "shop.git"
        self.work = folder / "work"
        subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", str(self.bare)], check=True)
        subprocess.run(["git", "init", "-q", "--initial-branch=main", str(self.work)], check=True)
        self.git("remote", "add", "origin", str(self.bare))

    @property
    def url(self) -> str:
        return str(self.bare)

    def git(self, *arguments: str) -> str:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.work.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _MONA.items()},
        }
        done = subprocess.run(
            ["git", "-C", str(self.work), *arguments], env=env, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for path, content in files.items():
            place = self.work / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: Mapping[str, str | bytes], subject: str = "a change", *, push: bool = True) -> str:
        """Write, commit and push everything; answers the commit's id."""
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        if push:
            self.push()
        return self.git("rev-parse", "HEAD")

    def push(self, *more: str) -> None:
        self.git("push", "-q", "--force", "origin", "HEAD", *more)


_MONA = {"NAME": "Mona", "EMAIL": "mona@example.com", "DATE": "1700000000 +0000"}


class Vault:
    """`kedge.ports.Secrets` that answers the same for every URL it is asked for."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = dict(values or {})
        self.asked: list[str] = []

    async def credential(self, url: str) -> Mapping[str, str]:
        self.asked.append(url)
        return self.values


class Recorder:
    """`kedge.process.run` that remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], dict[str, str]]] = []

    async def __call__(self, argv: Sequence[str], *, env: Mapping[str, str], **more: Any) -> process.Completed:
        self.calls.append((list(argv), dict(env)))
        return await process.run(argv, env=env, **more)

    def verbs(self, verb: str) -> int:
        return sum(verb in argv for argv, _ in self.calls)


class WebServer:
    """git http-backend on loopback. With `password` set it wants Basic authentication; `redirect` sends elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.password = ""
        self.redirect = ""
        self.status = 0
        self.authorizations: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                return

            def do_GET(self) -> None:
                server.answer(self, folder, b"")

            def do_POST(self) -> None:
                server.answer(self, folder, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: BaseHTTPRequestHandler, folder: Path, body: bytes) -> None:
        given = request.headers.get("Authorization", "")
        self.authorizations.append(given)
        if self.redirect:
            request.send_response(302)
            request.send_header("Location", self.redirect + request.path)
            request.end_headers()
            return
        wanted = "Basic " + base64.b64encode(f"mona:{self.password}".encode()).decode()
        if self.status or (self.password and given != wanted):
            request.send_response(self.status or 401)
            request.send_header("WWW-Authenticate", 'Basic realm="git"')
            request.end_headers()
            return
        url = urlsplit(request.path)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": request.command,
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        request.send_response(next((int(v.split()[0]) for k, v in headers if k.lower() == "status"), 200))
        for key, value in headers:
            if key.lower() != "status":
                request.send_header(key, value)
        request.end_headers()
        request.wfile.write(rest)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    folder = tmp_path / "served"
    folder.mkdir()
    return Repository(folder)


@pytest.fixture
def web(repository: Repository) -> Iterator[WebServer]:
    server = WebServer(repository.bare.parent)
    yield server
    server.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def source(tmp_path: Path, vault: Vault, recorder: Recorder) -> GitSource:
    return GitSource(
        tmp_path / "data",
        vault,
        run=recorder,
        search=os.environ["PATH"],
        allowed=LOCAL,
        limits=Limits(file=1_000_000, mirror=100_000_000),
    )


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


@pytest.fixture
def prefixed() -> Prefixed:
    return Prefixed()
