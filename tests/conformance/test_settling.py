"""What is left of owners and owned, once all controllers have settled, is the same on both servers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import pytest
from tests.conformance.catalog import Object, template
from tests.conformance.program import JSON, MERGE, Step
from tests.conformance.servers import Answer, Real, encoded, parsed
from tests.parts.fixtures import RealCluster
from tests.parts.patience import until

from kedge.sandbox import Fields, Options, Request, Sandbox

PATIENCE = 90.0
DRAWN = re.compile(r"-([bcdfghjklmnpqrstvwxz2456789]{5,10})(?=-|$)")
CORE, APPS, BATCH = "/api/v1", "/apis/apps/v1", "/apis/batch/v1"
KINDS = ((APPS, "deployments"), (APPS, "replicasets"), (BATCH, "jobs"), (CORE, "pods"), (CORE, "configmaps"))
POLICIES: tuple[str | None, ...] = (None, "Background", "Foreground", "Orphan")
Left = list[tuple[Any, ...]]


@dataclass
class Live:
    """The sandbox with its controllers at work, by the real clock."""

    box: Sandbox

    def ask(self, step: Step) -> Answer:
        headers = {"content-type": step.content, "accept": step.accept, "user-agent": "story/1"}
        self.box.settle()
        response = self.box.handle(Request.of(step.method, step.path, encoded(step.body), headers))
        self.box.settle()
        assert isinstance(response.body, bytes)
        return Answer(response.status, parsed(response.body))


Ask = Callable[..., Answer]


def told(server: Real | Live) -> Ask:
    return lambda method, path, body=None, content=JSON: server.ask(Step(method, path, body, content))


def left(ask: Ask, space: str) -> Left:
    """(kind, name, names of its owners, finalizers, whether it is going) of all there is, without drawn names."""
    found = []
    for base, plural in KINDS:
        for item in ask("GET", f"{base}/namespaces/{space}/{plural}").body["items"]:
            meta = item["metadata"]
            owners = tuple((one["kind"], DRAWN.sub("-#", one["name"])) for one in meta.get("ownerReferences") or ())
            going = "deletionTimestamp" in meta
            found.append((plural, DRAWN.sub("-#", meta["name"]), owners, tuple(meta.get("finalizers") or ()), going))
    return sorted(found)


def agreed(both: tuple[Ask, Ask], space: str, enough: Callable[[Left], bool]) -> tuple[Left, Left]:
    """What is left on either, once that is the same and enough, or patience is over."""
    first, second = both
    return until(
        lambda: (left(first, space), left(second, space)),
        lambda seen: seen[0] == seen[1] and enough(seen[0]),
        PATIENCE,
    )


def owner(name: str) -> Object:
    return {"metadata": {"name": name}}


def owned(name: str, by: Object, **more: Any) -> Object:
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": by["metadata"]["name"], "uid": by["metadata"]["uid"]}
    return {"metadata": {"name": name, "ownerReferences": [{**reference, "blockOwnerDeletion": True}], **more}}


def furnished(ask: Ask, space: str) -> None:
    """A Deployment, a Job, and a ConfigMap that owns two others, of which one is held."""
    ask("POST", f"{CORE}/namespaces", {"metadata": {"name": space}})
    account = f"{CORE}/namespaces/{space}/serviceaccounts/default"
    until(lambda: ask("GET", account).code, lambda code: code == 200, PATIENCE)
    pods = template(terminationGracePeriodSeconds=0)
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": pods}
    ask("POST", f"{APPS}/namespaces/{space}/deployments", {"metadata": {"name": "web"}, "spec": spec})
    job = {"template": template("Never", terminationGracePeriodSeconds=0)}
    ask("POST", f"{BATCH}/namespaces/{space}/jobs", {"metadata": {"name": "once"}, "spec": job})
    maps = f"{CORE}/namespaces/{space}/configmaps"
    above = ask("POST", maps, owner("above")).body
    ask("POST", maps, owned("free", above))
    ask("POST", maps, owned("held", above, finalizers=["example.com/wait"]))


def taken_away(ask: Ask, space: str, policy: str | None) -> list[tuple[Any, ...]]:
    """Deletes the three owners; how each deletion is answered."""
    options = {"propagationPolicy": policy} if policy else None
    answers = []
    for base, path in ((APPS, "deployments/web"), (BATCH, "jobs/once"), (CORE, "configmaps/above")):
        answer = ask("DELETE", f"{base}/namespaces/{space}/{path}", options)
        meta = answer.body.get("metadata", {})
        answers.append((path, answer.code, answer.body.get("kind"), tuple(meta.get("finalizers") or ())))
    return answers


@pytest.fixture
def both(real_cluster: RealCluster, fields: Fields) -> Iterator[tuple[Ask, Ask]]:
    options = Options(start=0.05, work=0.05, grace=0.05)
    with closing(Real(real_cluster.access)) as real:
        yield told(real), told(Live(Sandbox(fields, time.time, token_hex, options)))


@pytest.mark.slow
def test_what_a_deletion_leaves_is_the_same_for_every_propagation(both: tuple[Ask, Ask]) -> None:
    spaces = {policy: f"gone-{str(policy).lower()}" for policy in POLICIES}
    for space in spaces.values():
        for ask in both:
            furnished(ask, space)
    for space in spaces.values():
        real, boxed = agreed(both, space, lambda found: sum(1 for one in found if one[0] == "pods") == 3)
        assert boxed == real, space
    for policy, space in spaces.items():
        real_said, boxed_said = (taken_away(ask, space, policy) for ask in both)
        assert boxed_said == real_said, policy
    left_over: dict[str | None, set[str]] = {
        "Orphan": {"replicasets", "pods", "configmaps"},
        None: {"pods", "configmaps"},  # a Job leaves its pods where nobody says otherwise
    }
    for policy, space in spaces.items():
        wanted = left_over.get(policy, {"configmaps"})
        real, boxed = agreed(both, space, lambda found, wanted=wanted: {one[0] for one in found} == wanted)
        assert boxed == real, policy
        assert {one[0] for one in real} == wanted, policy


@pytest.mark.slow
def test_a_finalizer_taken_off_lets_go_of_all_that_waited_for_it(both: tuple[Ask, Ask]) -> None:
    for ask in both:
        furnished(ask, "held")
        taken_away(ask, "held", "Foreground")
    waits = {"above", "held"}
    real, boxed = agreed(both, "held", lambda found: {one[1] for one in found if one[-1]} == waits)
    assert boxed == real
    for ask in both:
        ask("PATCH", f"{CORE}/namespaces/held/configmaps/held", {"metadata": {"finalizers": None}}, MERGE)
    real, boxed = agreed(both, "held", lambda found: [one[1] for one in found] == ["kube-root-ca.crt"])
    assert boxed == real == [("configmaps", "kube-root-ca.crt", (), (), False)]
