"""Health judgements per second, beside what the index does with every object anyway: read it, and write it down again.

The limit is orjson: parsing an object's bytes and dumping it, as for each watch event. The ratio says what judging adds
to that. One process, one core; every object is judged anew each time.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from bench._machine import resident, sized
from kedge.compose import rulebook
from kedge.engine.health import Rulebook, judge

SECONDS = sized("BENCH_SECONDS", 2, 1)
NOW = 1_800_000_000.0


def condition(kind: str, status: str = "True", reason: str = "Fine") -> dict[str, Any]:
    told = {"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 3, "message": f"{kind} is {status}"}
    return {"type": kind, "status": status, "reason": reason, **told}


def thing(of: str, spec: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, Any]:
    version, _, kind = of.rpartition("/")
    labels = {f"app.kubernetes.io/label-{number}": "value" for number in range(6)}
    metadata = {"name": "web", "namespace": "web", "generation": 3, "uid": "u", "labels": labels}
    metadata |= {"creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "12345"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": dict(spec), "status": dict(status)}


def kinds() -> dict[str, dict[str, Any]]:
    """What is judged: by code, by conventions, by a rule in CEL; and objects as large as they come."""
    pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "web:1"}] * 3}}
    counts = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), 3)
    well = {**counts, "observedGeneration": 3, "conditions": [condition("Available"), condition("Progressing")]}
    ready = {"observedGeneration": 3, "conditions": [condition("Ready"), condition("Synced"), condition("Healthy")]}
    route = {"parents": [{"conditions": [condition("Accepted"), condition("ResolvedRefs")]} for _ in range(8)]}
    panels = {"panels": [{"title": f"panel {number}", "query": "x" * 300} for number in range(300)]}
    return {
        "by code: Deployment": thing("apps/v1/Deployment", {"replicas": 3, "template": pod}, well),
        "by conventions: ready": thing("example.org/v1/Thing", {"size": 3}, ready),
        "by conventions: 8 parents": thing("gateway.networking.k8s.io/v1/HTTPRoute", {"rules": []}, route),
        "by conventions: 100 KB": thing("example.org/v1/Board", panels, ready),
        "by a rule: Rollout": thing("argoproj.io/v1alpha1/Rollout", {"template": pod}, {**ready, "phase": "Healthy"}),
        "by a rule, then conventions": thing("kafka.strimzi.io/v1/KafkaTopic", {"partitions": 3}, {"x": "y"}),
    }


def rate(work: Callable[[], object]) -> float:
    """How often a second `work` is done."""
    work()
    started, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - started) < SECONDS:
        for _ in range(100):
            work()
        done += 100
    return done / spent


def agreement() -> None:
    """How many cases of other projects come out as those expect, with the rules that Kedge brings and without any."""
    place = Path(os.environ.get("KEDGE_SHARED") or Path(__file__).parents[2] / "shared") / "cases" / "health"
    cases = [case for file in sorted(place.rglob("*.yaml")) for case in yaml.safe_load(file.read_text("utf-8"))]
    if not cases:
        print("   the cases of other projects are not here: set KEDGE_SHARED")
        return
    rules, none = rulebook(), Rulebook()
    wanted = [(case["input"], case["expected"]["status"], case["expected"].get("message") or "") for case in cases]
    found = [judge(obj, rules=rules) for obj, _, _ in wanted]
    same = sum(health.status.value == status for health, (_, status, _) in zip(found, wanted, strict=True))
    bare = sum(judge(obj, rules=none).status.value == status for obj, status, _ in wanted)
    ill = [
        (health.message, text) for health, (_, status, text) in zip(found, wanted, strict=True) if status != "Healthy"
    ]
    alike = sum(len(words(text) & words(said)) * 3 >= len(words(text)) for said, text in ill if text)
    print(
        f"   cases of Argo CD's third-party kinds: {same} of {len(cases)} come out the same, {bare} without any rule;"
    )
    print(f"   of {len(ill)} that are not healthy {sum(bool(said) for said, _ in ill)} say why, {alike} in like words")


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]{3,}", text.lower()))


def main() -> None:
    before = resident()
    rules = rulebook()
    started = time.perf_counter()
    judge(kinds()["by a rule: Rollout"], NOW, rules)
    cold = time.perf_counter() - started
    print(
        f"   the first rule: {cold * 1000:.0f} ms and {resident() - before:.0f} MiB, the CEL library and YAML included"
    )
    print(f"   {'object':30}{'bytes':>8}{'judged/s':>12}{'read+written/s':>16}{'ratio':>8}")
    for name, obj in kinds().items():
        raw = orjson.dumps(obj)
        judged = rate(lambda obj=obj: judge(obj, NOW, rules))  # type: ignore[misc]
        limit = rate(lambda raw=raw: orjson.dumps(orjson.loads(raw)))  # type: ignore[misc]
        print(f"   {name:30}{len(raw):>8}{judged:>12,.0f}{limit:>16,.0f}{judged / limit:>8.2f}")
    agreement()


if __name__ == "__main__":
    main()
