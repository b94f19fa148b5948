"""The rival of `objects`: a bare concurrent loop, in a process of its own, that does nothing with the answers.

As a program it reads a `Wish` from stdin, sends every object, and prints the seconds and CPU seconds that took. What it
sends is what Kedge sends: the same objects with marks of the same size (under other names: Kedge's watches must not see
them), through the same transport.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import yaml

from bench._fleet import FOUR
from kedge.kube.client import APPLY
from kedge.kube.http_transport import open_transport
from kedge.kube.kubeconfig import Access
from kedge.kube.transport import Transport
from kedge.kube.window import MOST
from kedge.targets.kubernetes import marks

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = int(MOST)
"""As many requests in flight as Kedge ever has."""
LOOK = 0.25
PLURALS = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """`files` of each of `names`, as they are after `number` changes; `tried`: each is dry-run before it is applied."""

    server: str
    ca: str
    token: str
    namespace: str
    names: tuple[str, ...]
    files: tuple[str, ...]
    number: int
    tried: bool


@dataclass(frozen=True, slots=True)
class Told:
    """Seconds from the first request to the last answer, and to when the controller has seen every Deployment (which a
    loop does not wait for, but whoever calls it verified does); CPU seconds of the client up to the last answer."""

    seconds: float
    cpu: float
    seen: float


def bodies(wish: Wish) -> list[tuple[str, bytes]]:
    """Path and body of every object."""
    found: list[tuple[str, bytes]] = []
    for name in wish.names:
        unit = f"bare/{name}"
        labels = {_other(marks.UNIT): marks.unit_label(unit), _other(marks.SHARD): marks.shard_of(unit)}
        for file in wish.files:
            value = yaml.safe_load(FOUR[file].format(name, wish.number))
            metadata = value["metadata"]
            metadata["namespace"] = wish.namespace
            metadata["labels"] |= labels
            metadata["annotations"] = {_other(marks.OWNER): marks.owner_text("0" * 16, unit)}
            found.append((f"{PLURALS[value['kind']].format(wish.namespace)}/{name}", orjson.dumps(value)))
    return found


def _other(mark: str) -> str:
    return mark.replace("kedge", "rival")


async def lane(transport: Transport, left: Iterator[tuple[str, bytes]], tried: bool) -> None:
    headers = {"content-type": APPLY, "accept": "application/json"}
    query = {"fieldManager": "kedge", "fieldValidation": "Warn", "force": "true"}
    for path, body in left:
        for asked in ({**query, "dryRun": "All"}, query) if tried else (query,):
            answer = await transport.request("PATCH", path, asked, headers, body)
            if answer.status not in (200, 201):
                raise SystemExit(f"PATCH {path}: {answer.status} {answer.body[:300]!r}")


async def send(wish: Wish) -> Told:
    transport = open_transport(Access(wish.server, ca=wish.ca, token=wish.token))
    left = iter(bodies(wish))
    started, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(lane(transport, left, wish.tried) for _ in range(AT_ONCE)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - spent
    while not await seen(transport, wish.namespace):
        await asyncio.sleep(LOOK)
    await transport.close()
    return Told(seconds, cpu, time.perf_counter() - started)


async def seen(transport: Transport, namespace: str) -> bool:
    """Whether the controller has seen the newest generation of every Deployment. Answered from the server's cache."""
    path, query = PLURALS["Deployment"].format(namespace), {"resourceVersion": "0"}
    answer = await transport.request("GET", path, query, {"accept": "application/json"}, b"")
    found = orjson.loads(answer.body)["items"]
    return all(one["metadata"]["generation"] == one["status"].get("observedGeneration") for one in found)


async def bare(wish: Wish) -> Told:
    """The same, in a process of its own. Ends the program where an object is refused."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench._bare"), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    said, _ = await child.communicate(orjson.dumps(asdict(wish)))
    if child.returncode:
        raise SystemExit("the bare loop failed")
    return Told(**orjson.loads(said))


def main() -> None:
    given = orjson.loads(sys.stdin.buffer.read())
    wish = Wish(**{**given, "names": tuple(given["names"]), "files": tuple(given["files"])})
    print(orjson.dumps(asdict(asyncio.run(send(wish)))).decode())


if __name__ == "__main__":
    main()
