"""Watches tell the same of the same story: every event, in its order and form, while it is told and afterwards.

And pages and versions that the server has forgotten are refused alike: etcd is compacted, as it is every five minutes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import pytest
from tests.conformance.catalog import definition, widget
from tests.conformance.compare import Difference, Made, parted, reduced
from tests.conformance.generate import CRDS, PARTIAL, TABLE
from tests.conformance.program import APPLY, END, JSON, MERGE, Program, Step
from tests.conformance.servers import AGENT, Answer, Boxed, QuietPlane, Real, access_to, parsed, run
from tests.parts.api import Api
from tests.parts.etcd import Etcd

from kedge.sandbox import Fields, Request, Watch

SPACE = "watched"
MAPS = f"/api/v1/namespaces/{SPACE}/configmaps"
ALL = "/api/v1/configmaps"
INITIAL = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
OPENED = (
    (f"{MAPS}?watch=1&resourceVersion=SINCE", JSON),
    (f"{MAPS}?watch=1&resourceVersion=SINCE&labelSelector=tier%3Da", JSON),
    (f"{MAPS}?watch=1&resourceVersion=SINCE&labelSelector=tier!%3Da,!absent", JSON),
    (f"{MAPS}?watch=1&resourceVersion=SINCE&labelSelector=tier+in+(a,b)&allowWatchBookmarks=true", JSON),
    (f"{MAPS}?watch=1&resourceVersion=SINCE&fieldSelector=metadata.name%3Dtwo", JSON),
    (f"{MAPS}?watch=1&resourceVersion=SINCE&fieldSelector=metadata.name!%3Dtwo", JSON),
    (f"{ALL}?watch=1&resourceVersion=SINCE&labelSelector=story%3Dwatched", JSON),
    (f"{ALL}?watch=1&resourceVersion=SINCE&fieldSelector=metadata.namespace%3D{SPACE}", JSON),
    (f"{MAPS}?watch=1&resourceVersion=SINCE", PARTIAL),
    (f"{MAPS}?watch=1&resourceVersion=SINCE", TABLE),
    (f"{MAPS}?watch=1&resourceVersion=SINCE&{INITIAL.partition('&')[0]}&resourceVersionMatch=NotOlderThan", JSON),
    (f"{MAPS}?watch=1&{INITIAL}", JSON),
    (f"{MAPS}?watch=1&{INITIAL}&labelSelector=tier%3Da", JSON),
    (f"{MAPS}?watch=1&{INITIAL}&resourceVersion=0", PARTIAL),
    (f"{MAPS}?watch=1&{INITIAL}", TABLE),
    (f"{MAPS}?watch=1&resourceVersion=0&fieldSelector=metadata.name%3Dbefore", JSON),
    (f"{MAPS}?watch=1&fieldSelector=metadata.name%3Dbefore", JSON),
)
"""Opened before the story; SINCE is the version of what stood before it."""


def config(name: str, **more: Any) -> dict[str, Any]:
    labels = {"story": "watched", **more.pop("labels", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, **more}


def labelled(name: str, tier: str | None) -> Step:
    return Step("PATCH", f"{MAPS}/{name}", {"metadata": {"labels": {"tier": tier}}}, MERGE)


STORY = (
    Step("POST", MAPS, config("one", data={"a": "1"}, labels={"tier": "a"})),
    Step("PATCH", f"{MAPS}/two?fieldManager=ann", config("two", labels={"tier": "b"}), APPLY),
    labelled("two", "a"),  # enters one selection
    labelled("one", "b"),  # leaves it
    labelled("one", None),  # leaves another
    Step("PATCH", f"{MAPS}/one", {"data": {"a": "2"}}, MERGE),
    Step("PATCH", f"{MAPS}/one", {"data": {"a": "2"}}, MERGE),  # nothing changes: no event
    Step("PATCH", f"{MAPS}/one?dryRun=All", {"data": {"a": "3"}}, MERGE),  # nor by a try
    Step("PATCH", f"{MAPS}/before", {"data": {"seen": "yes"}}, MERGE),
    Step("PATCH", f"{MAPS}/two", {"metadata": {"finalizers": ["example.com/wait"]}}, MERGE),
    Step("DELETE", f"{MAPS}/two"),  # is going: a change
    labelled("two", "b"),
    Step("PATCH", f"{MAPS}/two", {"metadata": {"finalizers": None}}, MERGE),  # is gone
    Step("POST", MAPS, config("two", data={"again": "x"})),
    Step("DELETE", f"{MAPS}/one"),
    Step("DELETE", f"{MAPS}?labelSelector=absent"),
    Step("POST", MAPS, config("three", labels={"tier": "a"})),
    Step("DELETE", f"{MAPS}?labelSelector=tier%3Da"),
    Step("PATCH", f"{MAPS}/before", {"data": {"seen": "again"}}, MERGE),
)
LAST = (labelled("before", "b"), Step("POST", MAPS, config(END, labels={"tier": "a"})), labelled(END, "b"))


@dataclass
class Reader:
    """A watch of the real server, opened and not read yet."""

    line: Api
    path: str
    accept: str

    def open(self) -> None:
        headers = {**self.line.headers, "Accept": self.accept, "User-Agent": AGENT}
        self.line.line.request("GET", f"{self.path}&timeoutSeconds=60", None, headers)
        self.answer = self.line.line.getresponse()

    def read(self, enough: int) -> list[Any]:
        """As many events as the other server told. Bookmarks come when the server likes, but for the one that ends what
        there was at first."""
        found: list[Any] = []
        for raw in self.answer:
            if b'"BOOKMARK"' in raw and b"initial-events-end" not in raw:
                continue
            found.append(parsed(raw))
            if len(found) >= enough:
                break
        return found


def opened(box: Boxed, path: str, accept: str) -> Watch:
    response = box.box.handle(Request.of("GET", path, None, {"accept": accept, "user-agent": AGENT}))
    assert isinstance(response.body, Watch), response.body
    return response.body


def begun(server: Real | Boxed) -> str:
    """The version of what stood before the story."""
    server.ask(Step("POST", "/api/v1/namespaces", {"metadata": {"name": SPACE}}))
    server.ask(Step("POST", f"/api/v1/namespaces/{SPACE}/serviceaccounts", {"metadata": {"name": "default"}}))
    return str(server.ask(Step("POST", MAPS, config("before"))).body["metadata"]["resourceVersion"])


def differing(path: str, accept: str, real: list[Any], boxed: list[Any]) -> Iterator[Difference]:
    """Event by event: type, object, version, and how many there are."""
    step, ours, theirs = Step("GET", path, accept=accept), Made(), Made()
    told = [f"{event['type']} {name_of(event)}" for event in real], [f"{e['type']} {name_of(e)}" for e in boxed]
    if told[0] != told[1]:
        yield Difference(0, step, "events", *told)
        return
    for number, (one, other) in enumerate(zip(real, boxed, strict=True)):
        left = reduced(step, Answer(200, one["object"]), theirs)
        right = reduced(step, Answer(200, other["object"]), ours)
        for where, here, there in parted(left, right, ""):
            yield Difference(number, step, where, here, there)


def name_of(event: Any) -> str:
    shown = event["object"]
    rows = shown.get("rows")
    return str((rows[0]["object"] if rows else shown).get("metadata", {}).get("name", ""))


@pytest.mark.slow
def test_every_event_of_a_story_is_told_alike_live_and_afterwards(plane: QuietPlane, fields: Fields) -> None:
    box = Boxed(fields, controllers=False)
    with ExitStack() as stack:
        real = stack.enter_context(closing(Real(access_to(plane))))
        since, boxed_since = begun(real), begun(box)

        def both(path: str, accept: str) -> tuple[Reader, Watch]:
            line = stack.enter_context(closing(Api(access_to(plane))))
            reader = Reader(line, path.replace("SINCE", since), accept)
            reader.open()
            return reader, opened(box, path.replace("SINCE", boxed_since), accept)

        live = [both(path, accept) for path, accept in OPENED]
        for step in (*STORY, *LAST):
            answers = real.ask(step), box.ask(step)
            assert answers[0].code == answers[1].code, step.told()
        late = [both(path, accept) for path, accept in OPENED if "resourceVersion=SINCE" in path]
        found: list[str] = []
        for name, pairs in (("live", live), ("afterwards", late)):
            for reader, watch in pairs:
                events = watch.events()
                assert events, reader.path
                real_events = reader.read(len(events))
                found += [
                    f"{name} {reader.path}: {one.line()}"
                    for one in differing(reader.path, reader.accept, real_events, events)
                ]
    assert not found, "\n".join(found[:30])


def aged(token: str, version: int) -> str:
    """A continue token as if its first page had been read at an earlier version."""
    content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return base64.urlsafe_b64encode(json.dumps({**content, "rv": version}).encode()).decode().rstrip("=")


@pytest.mark.slow
def test_what_the_server_has_forgotten_is_refused_alike(plane: QuietPlane, fields: Fields) -> None:
    """Of a kind that is new: of others the API server still has in memory what etcd has forgotten."""
    group = f"forgotten-{token_hex(2)}.example.com"
    space = group.partition(".")[0]
    path = f"/apis/{group}/v1/namespaces/{space}/widgets"
    box = Boxed(fields, controllers=True)
    with closing(Real(access_to(plane))) as real:
        answers: list[list[Any]] = []
        for server in (real, box):
            run(made(group, space, path), server)
            first = server.ask(Step("GET", f"{path}?limit=1"))
            version = first.body["metadata"]["resourceVersion"]
            if isinstance(server, Real):
                Etcd(plane.database).compact()
            else:
                server.box.cluster.store.forget()
            token = aged(first.body["metadata"]["continue"], 2)
            asked = [
                Step("GET", f"{path}?limit=1&continue={token}"),
                Step("GET", f"{path}?resourceVersion=2&resourceVersionMatch=Exact"),
                Step("GET", f"{path}?resourceVersion=2&resourceVersionMatch=NotOlderThan"),
                Step("GET", f"{path}?resourceVersion={version}"),
                Step("GET", f"{path}?watch=1&resourceVersion=1", watched=True),
                Step("GET", f"{path}?watch=1&resourceVersion=1&allowWatchBookmarks=true", watched=True),
            ]
            answers.append([told(server.ask(step)) for step in asked])
    assert answers[0] == answers[1]
    assert answers[0][0][:2] == (410, "Expired")
    assert answers[0][-1] == (200, [("ERROR", 410, "Expired")])


def made(group: str, space: str, path: str) -> Program:
    """A kind of its own, and three objects of it."""
    program = Program(0, custom=True)
    program.add(Step("POST", CRDS, definition(group)))
    program.add(Step("GET", f"{CRDS}/widgets.{group}", until="Established"))
    program.add(Step("POST", "/api/v1/namespaces", {"metadata": {"name": space}}))
    program.add(Step("GET", path, until="served"))
    for name in ("one", "two", "three"):
        program.add(Step("POST", path, widget(group).made(name)))
    return program


def told(answer: Answer) -> tuple[Any, ...]:
    if isinstance(answer.body, list):
        return answer.code, [(e["type"], e["object"].get("code"), e["object"].get("reason")) for e in answer.body]
    body = answer.body
    return (
        answer.code,
        body.get("reason"),
        len(body.get("items") or ()),
        bool((body.get("metadata") or {}).get("continue")),
    )
