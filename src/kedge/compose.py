"""The only file that knows every room, and the only reader of settings and environment."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kedge.clock import SystemClock, SystemEntropy
from kedge.model.action import Action
from kedge.model.declaration import Cluster, Credential, SecretFrom
from kedge.model.errors import Invalid, Unavailable
from kedge.model.installation import Installation
from kedge.model.rule import HealthRule
from kedge.ports import Clock, Entropy, Seal, Store

if TYPE_CHECKING:
    from kedge.control.road.enlist import AdminRoot
    from kedge.engine.health import Rulebook
    from kedge.executions.job import Place
    from kedge.executions.local import LocalExec
    from kedge.executions.remote import JobExec
    from kedge.executions.tools import Tools
    from kedge.house import House
    from kedge.kube.kubeconfig import Access
    from kedge.kube.opening import Openings
    from kedge.renderers.render import Kept, WorkerRenderer
    from kedge.sources.address import Allowed
    from kedge.sources.secrets import DeclaredSecrets
    from kedge.spawn import Spawner
    from kedge.store.stating import Keep

WORKER = Path(__file__).parent / "bin" / "kedge-worker"
DEFAULT_CLUSTER = "default"
COLLECTED = (20_000, 20, 20)
"""How many objects come to be between two searches for garbage in cycles. There is little of it, and Python's own 700
cost a sixth of all processor time when every application changes (`bench objects`)."""
REPO_TOKEN = "KEDGE_REPO_TOKEN"  # noqa: S105 - the variable's name
REPO_SSH_KEY = "KEDGE_REPO_SSH_KEY"
REPO_KNOWN_HOSTS = "KEDGE_REPO_KNOWN_HOSTS"
TOOLS = "KEDGE_TOOLS"
PROVIDER_MIRROR = "KEDGE_PROVIDER_MIRROR"
PROVIDER_CACHE = "KEDGE_PROVIDER_CACHE"
TOOL_CONFIG = "KEDGE_TOOL_CONFIG"
RUNS_AT_ONCE = "KEDGE_RUNS_AT_ONCE"
# All of the first three, or none of them.
JOBS_IMAGE = "KEDGE_JOBS_IMAGE"
JOBS_NAMESPACE = "KEDGE_JOBS_NAMESPACE"
JOBS_ADDRESS = "KEDGE_JOBS_ADDRESS"
JOBS_CLUSTER = "KEDGE_JOBS_CLUSTER"
WAYS_OUT = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""All that executions of tools get of the environment: how to reach the outside."""
WEBHOOK_SECRET = "KEDGE_WEBHOOK_SECRET"  # noqa: S105 - the variable's name
STATE_VERSIONS = "KEDGE_STATE_VERSIONS"
STATE_DAYS = "KEDGE_STATE_DAYS"
IDENTITY = "installation"
"""The file in the data directory that outlives the database."""
POLL = 60.0
_DAY = 24 * 3600.0
_MOST_KEPT = 100_000


def environment() -> Mapping[str, str]:
    """The process's environment, for those who are handed a part of it."""
    return os.environ


@dataclass(frozen=True, slots=True)
class Parts:
    """What a house is made of. `access` wins over `kubeconfig`; `poll` is in seconds.
    `address` answers the URL of the house's own server, "" while there is none."""

    data: Path
    environ: Mapping[str, str] = field(repr=False)
    kubeconfig: Path | None = None
    context: str = ""
    access: Access | None = None
    poll: float = POLL
    address: Callable[[], str] = lambda: ""
    clock: Clock = field(default_factory=SystemClock)
    entropy: Entropy = field(default_factory=SystemEntropy)

    @property
    def webhook_secret(self) -> str:
        return self.environ.get(WEBHOOK_SECRET, "")


@dataclass(frozen=True, slots=True)
class Keys:
    """What is of this installation alone: its name and tokens, and what it encrypts with."""

    installation: Installation
    seal: Seal


@asynccontextmanager
async def open_house(parts: Parts, admin: AdminRoot) -> AsyncIterator[House]:
    """Every room over its real adapter; closed in reverse order. Raises Invalid and Unavailable."""
    import gc

    from kedge.control.road.doors import Doors, RenderedSets
    from kedge.control.states.backend import StateBackend
    from kedge.house import build
    from kedge.sources.every import EverySource
    from kedge.sources.secrets import DeclaredSecrets
    from kedge.spawn import Spawner
    from kedge.store.identity import remember_name, remembered_name
    from kedge.store.keys import load_or_create_key
    from kedge.store.sql import Opening, open_store
    from kedge.store.vault import Vault
    from kedge.targets.every import EveryTarget
    from kedge.targets.kubernetes import KubernetesTarget
    from kedge.targets.kubernetes.judging import Judging
    from kedge.targets.opentofu import OpenTofuTarget

    gc.set_threshold(*COLLECTED)
    spawner = Spawner(report_bug)
    name, key = parts.data / IDENTITY, load_or_create_key(parts.data / "key", parts.entropy)
    store = open_store(
        Opening(
            path=parts.data / "kedge.db",
            key=key,
            clock=parts.clock,
            entropy=parts.entropy,
            name=remembered_name(name),
            states=states_kept(parts.environ),
        )
    )
    installation = await store.installation()
    remember_name(name, installation.id)
    renderer = worker_renderer(kept=store.kept)
    house: House | None = None
    remembered = tuple(await store.credentials())

    def declared() -> Sequence[Credential]:
        current = house.shift.credentials() if house is not None else None
        return (*admin_credential(admin, parts.environ), *(remembered if current is None else current))

    secrets = DeclaredSecrets(declared, parts.environ, store.kept)
    source = EverySource(parts.data / "sources", secrets, allowed=transports(admin))
    openings = connecting(parts, store, secrets)
    judging = Judging(rulebook)
    target = KubernetesTarget(
        openings.open,
        parts.clock,
        parts.entropy,
        spawner,
        reach=openings.access,
        judging=judging,
        brought=shipped_actions,
    )
    place, seal = jobs_place(parts.environ), Vault(key, parts.entropy)
    jobs = job_executions(parts, place, openings, spawner, Keys(installation, seal)) if place is not None else None
    executions = jobs or local_executions(parts, seal)
    await executions.adopt()

    def over(execution: str) -> bool:
        report = executions.report(execution)
        return report is not None and report.ending is not None

    address = parts.address if place is None else lambda: place.address
    states = StateBackend(store.states, installation, parts.clock, address, over)
    stacks = OpenTofuTarget(executions, states, parts.clock, parts.entropy, secrets.environment)
    doors = Doors(
        clock=parts.clock,
        entropy=parts.entropy,
        store=store,
        source=source,
        renderer=renderer,
        target=EveryTarget(target, stacks),
        installation=installation,
        rendered=RenderedSets(store),
    )
    house = build(doors, spawner, admin, parts.poll, states, jobs)
    try:
        yield house
    finally:
        await house.close()
        await executions.close()
        await renderer.close()


def states_kept(environ: Mapping[str, str]) -> Keep:
    """How many versions of a stack's state are kept, and for how long: every one for ever, where nothing is set. Raises
    Invalid."""
    from kedge.store.stating import Keep

    days = _whole(environ, STATE_DAYS)
    return Keep(_whole(environ, STATE_VERSIONS), None if days is None else days * _DAY)


def _whole(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text[:9]) <= _MOST_KEPT:
        raise Invalid(f"{name} is “{text[:40]}”: a whole number from 1 to {_MOST_KEPT} is wanted")
    return int(text[:9])


async def held_states(data: Path) -> Mapping[str, tuple[str, ...]]:
    """Which units' states in a data directory still hold resources that exist elsewhere, and which. Raises Invalid and
    Unavailable where that can not be told."""
    from kedge.engine.statefile import real
    from kedge.store.keys import load_or_create_key
    from kedge.store.sql import Opening, open_store

    path = data / "kedge.db"
    if not path.exists():
        return {}
    clock, entropy = SystemClock(), SystemEntropy()
    store = open_store(Opening(path, load_or_create_key(data / "key", entropy), clock, entropy, threads=False))
    try:
        found: dict[str, tuple[str, ...]] = {}
        for line in await store.states.everything():
            head = await store.states.head(line.newest.unit) if line.newest.resources else None
            if head is not None and real(head[1].resources):
                found[line.newest.unit] = real(head[1].resources)
        return found
    finally:
        await store.close()


def local_executions(parts: Parts, seal: Seal | None = None) -> LocalExec:
    """Executions of this machine's own tools: those on the PATH, and in the folders that the operator names. With
    `seal`, what they leave is encrypted."""
    from kedge.executions.local import LocalExec, Supply

    environ = parts.environ
    supply = Supply(
        mirror=environ.get(PROVIDER_MIRROR, ""),
        cache=environ.get(PROVIDER_CACHE, ""),
        cli_config=environ.get(TOOL_CONFIG, ""),
        environment=tuple((name, environ[name]) for name in WAYS_OUT if environ.get(name)),
        room=_room(environ),
    )
    return LocalExec(parts.data / "executions", tools_of(environ), parts.clock, parts.entropy, supply, seal)


def _room(environ: Mapping[str, str]) -> int:
    room = environ.get(RUNS_AT_ONCE, "0")
    if not room.isdecimal() or len(room) > 6:
        raise Invalid(f"{RUNS_AT_ONCE} is how many runs of tools work at once, not “{room[:20]}”")
    return int(room)


def jobs_place(environ: Mapping[str, str]) -> Place | None:
    """Where executions run as Jobs, None where they are processes of this machine. Raises Invalid where only a part of
    it is set."""
    from kedge.executions.job import Place

    needed = (JOBS_IMAGE, JOBS_NAMESPACE, JOBS_ADDRESS)
    given = [name for name in (*needed, JOBS_CLUSTER) if environ.get(name)]
    if not given:
        return None
    missing = [name for name in needed if name not in given]
    if missing:
        hint = f"set it as well, or not {given[0]}: then runs are processes of this machine"
        raise Invalid(f"runs of stacks can not be Jobs, not set: {', '.join(missing)}", hint=hint)
    address = environ[JOBS_ADDRESS].rstrip("/")
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname or url.username or url.query or url.fragment:
        raise Invalid(f"{JOBS_ADDRESS} is no URL of Kedge's own server, such as http://kedge.kedge.svc:7420")
    namespace, cluster = environ[JOBS_NAMESPACE], environ.get(JOBS_CLUSTER, DEFAULT_CLUSTER)
    found = Place(cluster, namespace, environ[JOBS_IMAGE], address)
    room = _room(environ)
    return replace(found, room=room) if room else found


def job_executions(parts: Parts, place: Place, openings: Openings, spawner: Spawner, keys: Keys) -> JobExec:
    """Executions as Jobs of a cluster."""
    from kedge.executions.cluster import Jobs
    from kedge.executions.remote import JobExec, Means
    from kedge.kube.client import Client

    async def reach() -> Jobs:
        client = Client(await openings.open(place.cluster), parts.clock, parts.entropy)
        return Jobs(client, place, keys.installation.id)

    means = Means(reach, keys.installation, parts.clock, parts.entropy, spawner, keys.seal)
    return JobExec(parts.data / "executions", place, means)


def tools_of(environ: Mapping[str, str]) -> Tools:
    """The programs of OpenTofu and Terraform that are here."""
    from kedge.executions.tools import Tools

    folders = [Path(place) for place in environ.get(TOOLS, "").split(os.pathsep) if place]
    return Tools(environ.get("PATH", os.defpath), folders)


def transports(admin: AdminRoot) -> Allowed:
    """Beside https and ssh, units may use only what the operator chose for the admin root: local paths, plain http."""
    from kedge.sources.address import Allowed

    url = urlsplit(admin.repository)
    local = url.scheme in ("", "file")
    return Allowed(
        local=local, plain=url.scheme == "http", loopback=local or url.hostname in ("localhost", "127.0.0.1")
    )


def report_bug(name: str, error: BaseException) -> None:
    """An error that escaped a task is a bug of ours: it is said, whole, where a service manager keeps it."""
    import traceback

    lines = "".join(traceback.format_exception(error))
    print(f"kedge: bug in the task “{name}”; please report it:\n{lines}", file=sys.stderr, flush=True)  # noqa: T201


def admin_credential(admin: AdminRoot, environ: Mapping[str, str]) -> tuple[Credential, ...]:
    """The admin root's own credential, which no declaration can bring: a token, or files of a key and host keys."""
    key, hosts = environ.get(REPO_SSH_KEY, ""), environ.get(REPO_KNOWN_HOSTS, "")
    if key or hosts:
        opener, hosts_known = SecretFrom(file=key), SecretFrom(file=hosts)
        return (Credential("admin-root", admin.repository, sshKey=opener, knownHosts=hosts_known),)
    if environ.get(REPO_TOKEN):
        return (Credential("admin-root", admin.repository, "kedge", password=SecretFrom(env=REPO_TOKEN)),)
    return ()


def connecting(parts: Parts, store: Store, secrets: DeclaredSecrets) -> Openings:
    """How a target opens a cluster: the default one as `parts` say, others as the admin root declares them."""
    from kedge.kube.oidc import Providers
    from kedge.kube.opening import Openings, Pinned, Ways
    from kedge.model.event import Event
    from kedge.model.person import AUTOMATION

    async def replaced(name: str, value: str) -> None:
        text = f"secret {name}: the provider handed out another refresh token"
        await store.keep(name, value, Event("secret.kept", parts.clock.now(), AUTOMATION.name, message=text))

    providers = Providers(parts.clock, replaced)
    given, pinned = parts.access, Pinned(lambda context: read_access(parts, context))

    async def values(cluster: Cluster) -> Mapping[str, str]:
        if cluster.credential:
            return await secrets.named(cluster.credential, cluster.server)
        return await secrets.credential(cluster.server)

    return Openings(
        Ways(
            clusters=store.clusters,
            values=values,
            own=lambda: given or pinned(),
            pod=lambda: pod_access(parts),
            parse=parse_kubeconfig,
            token=providers.token,
        )
    )


def read_access(parts: Parts, context: str = "") -> Access:
    """How to reach the default cluster: the kubeconfig given, else the one of `KUBECONFIG`, else the pod's own.
    `context` is chosen where the parts choose none."""
    from kedge.kube.kubeconfig import SERVICE_ACCOUNT, Files, read_kubeconfig

    home = Path(parts.environ.get("HOME", "/")) / ".kube" / "config"
    given = parts.kubeconfig or Path(parts.environ.get("KUBECONFIG", "") or home)
    if not parts.kubeconfig and not given.exists() and Path(SERVICE_ACCOUNT).exists():
        return pod_access(parts)
    try:
        raw = given.read_bytes()
    except OSError as error:
        raise Invalid(f"there is no kubeconfig at {given}: {error.strerror}", hint="--kubeconfig FILE") from error
    files = Files(str(given.resolve().parent), _read)
    return read_kubeconfig(parse_kubeconfig(raw, str(given)), context=parts.context or context, files=files)


def pod_access(parts: Parts) -> Access:
    """How the pod that this process runs in reaches its own cluster. Raises Invalid outside of one."""
    from kedge.kube.kubeconfig import in_cluster

    host, port = parts.environ.get("KUBERNETES_SERVICE_HOST", ""), parts.environ.get("KUBERNETES_SERVICE_PORT", "")
    return in_cluster(host, port, _read)


def parse_kubeconfig(text: bytes | str, name: str) -> Mapping[str, Any]:
    """Raises Invalid where the text is not one YAML document that is a mapping; `name` says whose it is."""
    from kedge.dialects import loader

    stream = loader.read(text.encode() if isinstance(text, str) else text, name)
    if stream.problems or len(stream.documents) != 1 or not isinstance(stream.documents[0].value, dict):
        raise Invalid(f"{name} is not a kubeconfig", problems=stream.problems)
    return stream.documents[0].value


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


@asynccontextmanager
async def sandbox(folder: Path, clock: Clock, entropy: Entropy, port: int = 0) -> AsyncIterator[Access]:
    """A sandbox cluster on loopback whose state is kept in `folder`, with a kubeconfig beside it."""
    from kedge.certificate import server_context
    from kedge.kube.kubeconfig import Access
    from kedge.renderers.fieldmanager import Ask, FieldManager
    from kedge.sandbox.core import Sandbox
    from kedge.sandbox.fields import ManagedBy
    from kedge.sandbox.http import Front, kubeconfig, serve

    manager = FieldManager(str(built_worker()))
    kept = folder / "sandbox.json"
    snapshot = kept.read_bytes() if kept.exists() else None
    core = Sandbox(ManagedBy(manager, Ask), clock.now, entropy.token, snapshot=snapshot)
    token = entropy.token(24)
    context, authority = server_context(folder, clock.now())
    served = await serve(core, Front(port=port, token=token, tls=context, state=kept))
    place = folder / "kubeconfig"
    place.unlink(missing_ok=True)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(kubeconfig(served.url, token, authority))
    try:
        yield Access(served.url, ca=authority.decode(), token=token)
    finally:
        await served.close()
        manager.close()


def built_worker() -> Path:
    """Raises Unavailable when the native worker is not there."""
    if not WORKER.exists():
        raise Unavailable(f"the native worker {WORKER} is not built", hint="make setup")
    return WORKER


def rulebook(declared: Sequence[HealthRule] = ()) -> Rulebook:
    """Health rules: those that are declared, then those of `kinds`, each read when the first object of its kind is
    seen. Raises Invalid for a declared one that does not compile."""
    from kedge.engine.health import Rulebook

    return Rulebook(declared, shipped_rule)


def shipped_rule(group: str, kind: str) -> HealthRule | None:
    """The rule that Kedge brings for a kind. Raises Invalid for one that can not be read: a bug of ours."""
    from kedge import kinds
    from kedge.dialects.kedge import read

    raw = kinds.find(group, kind, kinds.RULE)
    if raw is None:
        return None
    reading = read(raw, f"kinds/{group}/{kind}/{kinds.RULE}")
    if reading.problems:
        raise Invalid("", problems=reading.problems)
    (found,) = reading.declarations
    return found if isinstance(found, HealthRule) and found.covers(group, kind) else None


@lru_cache(maxsize=1_000)
def shipped_actions(group: str, kind: str) -> tuple[Action, ...]:
    """What can be done to objects of a kind beside Git. Raises Invalid for a file that can not be read: a bug."""
    from kedge import kinds
    from kedge.dialects.actions import read_actions

    raw = kinds.find(group, kind, kinds.ACTIONS)
    return read_actions(raw, f"kinds/{group}/{kind}/{kinds.ACTIONS}") if raw is not None else ()


def worker_renderer(size: int = 2, kept: Kept | None = None) -> WorkerRenderer:
    """The renderer over native workers; `kept` answers secrets by name. Raises Unavailable when the worker is not
    built."""
    from kedge.process import spawn
    from kedge.renderers.render import WorkerRenderer, version_of
    from kedge.renderers.worker import Pool

    program = built_worker()
    pool = Pool(str(program), spawn, size=size)
    return WorkerRenderer(pool, version_of(program), kept=kept)
