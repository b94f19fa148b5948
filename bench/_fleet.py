"""A fleet in a Git repository of its own, and the house over it, as `kedge up` composes it."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import subprocess
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from kedge.compose import WEBHOOK_SECRET, Parts, open_house
from kedge.control.road.enlist import AdminRoot
from kedge.house import House
from kedge.kube.kubeconfig import Access
from kedge.model.fleet import UnitQuery
from kedge.model.health import Status
from kedge.model.person import Person
from kedge.server.app import build
from kedge.server.serve import Serving, listen

BRANCH = "main"
NAMESPACE = "bench"
PATIENCE = 900.0
FIRST_LOOK = 1.5
"""Seconds after which a new house has looked at its (empty) repository and may look again at once."""

SECRET = secrets.token_hex(16)

DECLARED = """apiVersion: kedge.dev/v1alpha1
kind: Application
metadata: {{name: {0}, project: default}}
spec:
  source: {{path: apps/{0}}}
  target: {{namespace: bench}}
"""

SERVICE_ACCOUNT = """apiVersion: v1
kind: ServiceAccount
metadata: {{name: {0}, labels: {{round: "{1}"}}}}
"""

SERVICE = """apiVersion: v1
kind: Service
metadata: {{name: {0}, labels: {{round: "{1}"}}}}
spec:
  selector: {{app: {0}}}
  ports: [{{name: http, port: 80, targetPort: 8080}}]
"""

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: {0}, labels: {{round: "{1}"}}}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: {0}}}}}
  template:
    metadata: {{labels: {{app: {0}}}}}
    spec:
      serviceAccountName: {0}
      containers:
      - name: web
        image: example/web:1.0
        ports: [{{containerPort: 8080, name: http}}]
        env: [{{name: ROUND, value: "{1}"}}]
        resources: {{requests: {{cpu: 100m, memory: 64Mi}}}}
"""

INGRESS = """apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {0}
  labels: {{round: "{1}"}}
  annotations: {{argocd.argoproj.io/ignore-healthcheck: "true"}}  # nobody here gives it an address
spec:
  rules:
  - host: {0}.example
    http:
      paths:
      - {{path: /, pathType: Prefix, backend: {{service: {{name: {0}, port: {{name: http}}}}}}}}
"""

CONFIG_MAP = """apiVersion: v1
kind: ConfigMap
metadata: {{name: {0}}}
data: {{round: "{1}", text: "what {0} is told"}}
"""

FOUR = {
    "account.yaml": SERVICE_ACCOUNT,
    "service.yaml": SERVICE,
    "deployment.yaml": DEPLOYMENT,
    "ingress.yaml": INGRESS,
}
ONE = {"config.yaml": CONFIG_MAP}


@dataclass(frozen=True, slots=True)
class Repository:
    """A working tree with `count` applications, each a folder with `files` (name → template of name and round)."""

    folder: Path
    count: int
    files: Mapping[str, str]

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def names(self) -> list[str]:
        return [f"a{number:04}" for number in range(self.count)]

    def begin(self) -> str:
        """A first commit with nothing in it."""
        self.folder.mkdir(parents=True)
        self._git("init", "--quiet", f"--initial-branch={BRANCH}")
        (self.folder / "README").write_text("a fleet\n")
        return self._commit("begin")

    def declare(self, first: int = 0) -> str:
        """One commit that declares every application, from the one with number `first` on."""
        place = self.folder / ".kedge"
        place.mkdir(exist_ok=True)
        for name in self.names()[first:]:
            (place / f"{name}.yaml").write_text(DECLARED.format(name))
            self._write(name, 0, self.files)
        return self._commit("declare them all")

    def change(self, number: int, *names: str, files: Collection[str] = ()) -> str:
        """One commit that changes the objects of `names` (all, when none are named): those in `files`, or all."""
        for name in names or self.names():
            self._write(name, number, files or self.files)
        return self._commit(f"change {number}", *(f"apps/{name}" for name in names))

    def _write(self, name: str, number: int, files: Iterable[str]) -> None:
        place = self.folder / "apps" / name
        place.mkdir(parents=True, exist_ok=True)
        for file in files:
            (place / file).write_text(self.files[file].format(name, number))

    def _commit(self, subject: str, *paths: str) -> str:
        self._git("add", "--all", *paths)
        self._git("commit", "--quiet", "-m", subject)
        return self._git("rev-parse", "HEAD")

    def _git(self, *words: str) -> str:
        who = {"GIT_AUTHOR_NAME": "Mona", "GIT_AUTHOR_EMAIL": "mona@example.com"}
        who |= {"GIT_COMMITTER_NAME": "Mona", "GIT_COMMITTER_EMAIL": "mona@example.com"}
        quiet = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
        argv = ["git", "-c", "gc.auto=0", "-c", "commit.gpgsign=false", *words]
        done = subprocess.run(argv, cwd=self.folder, env=quiet | who, check=True, capture_output=True)
        return done.stdout.decode().strip()


@dataclass(frozen=True, slots=True)
class Running:
    """A house at work, and the URL of its server."""

    house: House
    repository: Repository
    url: str

    async def push(self) -> None:
        """What a forge does after a push: a signed webhook to the server."""
        body = orjson.dumps({"repository": self.repository.url, "ref": f"refs/heads/{BRANCH}"})
        signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
        headers = {"x-kedge-signature": f"sha256={signature}", "content-type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/webhooks/push", data=body, headers=headers) as answer,
        ):
            if answer.status != 200 or not orjson.loads(await answer.read())["checked"]:
                raise SystemExit(f"the webhook was answered by {answer.status}: {await answer.text()}")


@asynccontextmanager
async def running(
    data: Path, repository: Repository, access: Access, more: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """A house at work on the repository, with its server; polling is off, so that only webhooks bring news. `more` is
    added to its environment."""
    data.mkdir(parents=True, exist_ok=True)
    environ = {"PATH": os.environ["PATH"], "HOME": str(data), WEBHOOK_SECRET: SECRET, **(more or {})}
    place = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{place.getsockname()[1]}"
    parts = Parts(data, environ, access=access, poll=3600.0, address=lambda: url)
    async with open_house(parts, AdminRoot(repository.url, BRANCH)) as house:
        app = build(house.desk(secrets.token_hex(16), Person("bench"), parts.webhook_secret))
        serving = Serving(app, place)
        task = house.spawner.start(serving.run(), "server")
        await house.start()
        yield Running(house, repository, url)
        app.state.hub.close()
        serving.stop()
        await asyncio.gather(task, return_exceptions=True)


class Followed:
    """The house's own record, read as it is sealed: how many units were settled at which commit, and when the last was
    (monotonic). Each unit is counted once."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._last = 0
        self._settled: defaultdict[str, set[str]] = defaultdict(set)
        self._latest: dict[str, float] = {}
        self._bell = asyncio.Event()
        house.spawner.start(self._follow(), "bench follows")

    async def _follow(self) -> None:
        async for newest in self._house.doors.store.sealed():
            while self._last < newest:
                for event in await self._house.doors.store.events(self._last, limit=1000):
                    self._last = event.id
                    if event.kind == "operation.finished" and event.unit not in self._settled[event.commit]:
                        self._settled[event.commit].add(event.unit)
                        self._latest[event.commit] = time.perf_counter()
                self._bell.set()

    async def until(self, commit: str, count: int, tell: Callable[[str], None] = lambda text: None) -> float:
        """When (monotonic) the last of `count` units was settled at a commit. Ends the program after PATIENCE."""
        await self._wait(lambda: len(self._settled[commit]), count, tell)
        return self._latest[commit]

    async def all(self, count: int, tell: Callable[[str], None] = lambda text: None) -> float:
        """The same of `count` units that are each settled once, at whatever commit."""
        await self._wait(lambda: sum(map(len, self._settled.values())), count, tell)
        return max(self._latest.values())

    async def _wait(self, settled: Callable[[], int], count: int, tell: Callable[[str], None]) -> None:
        began = told = time.perf_counter()
        while (done := settled()) < count:
            now = time.perf_counter()
            if now - began > PATIENCE:
                raise SystemExit(f"{done} of {count} units were settled after {PATIENCE:.0f} s")
            if now - told > 10:
                told = now
                tell(f"   … {done:,} of {count:,} after {now - began:.0f} s")
            self._bell.clear()
            try:
                async with asyncio.timeout(1.0):
                    await self._bell.wait()
            except TimeoutError:
                continue


async def quiet(house: House) -> float:
    """Wait until nobody is due and nobody is at work; answers since when (monotonic)."""
    calm, since = 0, time.perf_counter()
    while calm < 5:
        vitals = house.shift.vitals()
        if vitals["units_due"] + vitals["units_in_flight"]:
            calm = 0
        else:
            since = since if calm else time.perf_counter()
            calm += 1
        await asyncio.sleep(0.01)
    return since


async def good(house: House) -> int:
    """How many units are Synced and Healthy."""
    query = UnitQuery(sync="Synced", health=Status.HEALTHY.value, limit=1)
    return (await house.doors.store.units(query)).total
