"""The two servers that a program is run on: both are asked in the same words and answer in the same shape."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

from tests.conformance.program import END, Program, Step, quoted
from tests.parts.api import Api, access_of
from tests.parts.cluster import ControlPlane
from tests.parts.patience import until

from kedge.kube.kubeconfig import Access
from kedge.sandbox import Fields, Options, Request, Sandbox, Watch

UNKNOWN = re.compile(r'unknown field \\?"([^"\\]+)\\?"')
PATIENCE = 60.0
AGENT = "story/1"


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is parsed JSON; of a watch, the list of its events. `warned` are the fields that were warned of."""

    code: int
    body: Any
    warned: tuple[str, ...] = ()


class Server(Protocol):
    def ask(self, step: Step) -> Answer: ...


def run(program: Program, server: Server) -> list[Answer]:
    """What the server answers to each step."""
    answers: list[Answer] = []
    bodies: list[Any] = []
    for step in program.steps:
        resolved = Step(
            step.method,
            quoted(step.path, bodies),
            quoted(step.body, bodies),
            step.content,
            step.accept,
            step.watched,
            step.until,
        )
        answer = asked(server, resolved)
        answers.append(answer)
        bodies.append(answer.body)
    return answers


def asked(server: Server, step: Step) -> Answer:
    """The answer; where the step waits for something, the first that tells of it, or the last."""
    if not step.until:
        return server.ask(step)
    return until(lambda: server.ask(step), lambda answer: holds(answer.body, step.until), PATIENCE)


def holds(body: Any, condition: str) -> bool:
    """`gone`, `served`, or the type of a condition that is to be True."""
    if condition == "gone":
        return bool(body.get("reason") == "NotFound")
    if condition == "served":
        return body.get("kind", "Status") != "Status"
    conditions = (body.get("status") or {}).get("conditions") or ()
    return any(item["type"] == condition and item["status"] == "True" for item in conditions)


def ended(event: Any) -> bool:
    if event["type"] == "ERROR":
        return True
    meta = event["object"].get("metadata", {})
    return meta.get("name") == END or "k8s.io/initial-events-end" in (meta.get("annotations") or {})


def encoded(body: Any) -> bytes | None:
    if body is None:
        return None
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return {"text": raw.decode("utf-8", "replace")}


class Boxed:
    """The sandbox, without HTTP. Its controllers sleep unless the program brings kinds of its own."""

    def __init__(self, fields: Fields, controllers: bool) -> None:
        self.box = Sandbox(fields, time.time, token_hex, Options(controllers=controllers))
        self.box.settle()
        # The sandbox brings volumes for every claim; a bare API server has nobody who would.
        self.box.handle(Request.of("DELETE", "/apis/storage.k8s.io/v1/storageclasses/standard"))

    def ask(self, step: Step) -> Answer:
        headers = {"content-type": step.content, "accept": step.accept, "user-agent": AGENT}
        response = self.box.handle(Request.of(step.method, step.path, encoded(step.body), headers))
        if isinstance(response.body, Watch):
            events = response.body.events()
            response.body.close()
            last = next((at for at, event in enumerate(events) if ended(event)), len(events))
            return Answer(response.status, events[: last + 1])
        self.box.settle()
        assert isinstance(response.body, bytes)
        told = tuple(sorted(UNKNOWN.findall(response.headers.get("warning", ""))))
        return Answer(response.status, parsed(response.body), told)


@dataclass
class Real:
    """The API server. Close it."""

    access: Access
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.api = Api(self.access)

    def ask(self, step: Step) -> Answer:
        if step.watched:
            with closing(Api(self.access)) as line:
                return self.watch(line, step)
        headers = self.headers(step)
        try:
            self.api.line.request(step.method, step.path, encoded(step.body), headers)
            response = self.api.line.getresponse()
        except ConnectionError:  # closed while nobody used it, as after a request that was too large
            self.api.close()
            self.api.line.request(step.method, step.path, encoded(step.body), headers)
            response = self.api.line.getresponse()
        raw = response.read()
        told = tuple(sorted(UNKNOWN.findall(", ".join(response.headers.get_all("warning") or ()))))
        return Answer(response.status, parsed(raw), told)

    def headers(self, step: Step) -> dict[str, str]:
        return {**self.api.headers, "Content-Type": step.content, "Accept": step.accept, "User-Agent": AGENT}

    def watch(self, line: Api, step: Step) -> Answer:
        line.line.request(step.method, f"{step.path}&timeoutSeconds=5", None, self.headers(step))
        response = line.line.getresponse()
        if response.status != 200:
            return Answer(response.status, parsed(response.read()))
        return Answer(200, list(self.events(response)))

    def events(self, lines: Any) -> Iterator[Any]:
        for raw in lines:
            event = json.loads(raw)
            yield event
            if ended(event):
                return

    def close(self) -> None:
        self.api.close()


class QuietPlane(ControlPlane):
    """Nobody but the program writes: etcd and the API server alone."""

    def bring_up(self, api: Api) -> None:
        self.programs.start("etcd", self.etcd())
        self.programs.start("kube-apiserver", self.api_server())
        self.wait("the API server", lambda: api.there("/readyz"))
        self.wait("its first namespace", lambda: api.there("/api/v1/namespaces/default"))
        self.wait("its priorities", lambda: api.there(SYSTEM_PRIORITY))


SYSTEM_PRIORITY = "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical"


def quiet(folder: Path) -> QuietPlane:
    """A plane in this folder, up; end it."""
    plane = QuietPlane(folder)
    try:
        plane.start()
    except BaseException:
        plane.end()
        raise
    return plane


def access_to(plane: ControlPlane) -> Access:
    return access_of(plane.kubeconfig)
