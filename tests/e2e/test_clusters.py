"""Several clusters: opened by what is declared, kept up with while that changes, none harmed by another's trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.e2e.stories import PROJECT, application, folder_of, hasten
from tests.e2e.world import MONA, PATIENCE, Cluster, World, clustered, standing
from tests.parts.api import Api, Refused

from kedge.certificate import server_context
from kedge.kube.ask import Asker
from kedge.kube.kubeconfig import Access
from kedge.model.event import Event
from kedge.sandbox.faults import Outcome
from kedge.sandbox.http import kubeconfig
from kedge.sandbox.problems import Problem
from kedge.sandbox.wire import Request, Response, answer

pytestmark = pytest.mark.e2e

NAMES = (x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")))


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setattr("kedge.targets.kubernetes.sites.RENEW", 0.2)
    monkeypatch.setitem(Asker.__init__.__kwdefaults__, "deadline", 2.0)


def documents(name: str, access: Access, credential: str, *, ca: str | None = None, server: str = "") -> str:
    """A Cluster, and the Credential that opens it with `credential` (YAML of the fields)."""
    pem = "".join(f"    {line}\n" for line in (access.ca if ca is None else ca).splitlines())
    authority = f"  caData: |\n{pem}" if pem else ""
    return f"""
apiVersion: kedge.dev/v1alpha1
kind: Credential
metadata: {{name: {name}}}
spec: {{prefix: "{server or access.server}", {credential}}}
---
apiVersion: kedge.dev/v1alpha1
kind: Cluster
metadata: {{name: {name}}}
spec:
  server: {server or access.server}
{authority}"""


def unit(name: str, greeting: str = "hello") -> dict[str, str | None]:
    """The application `shop/NAME` on the cluster NAME."""
    declared = application(name).replace("target: {", f"target: {{cluster: {name}, ")
    return {f".kedge/{name}.yaml": declared, **folder_of(name, greeting)}


def said_in(cluster: Side, name: str) -> str | None:
    answer = cluster.core.handle(Request.of("GET", f"/api/v1/namespaces/{name}/configmaps/web"))
    return answer.json()["data"]["greeting"] if answer.status == 200 else None


class Foreign:
    """A cluster that no test runs, asked in the words of one that does."""

    def __init__(self, access: Access) -> None:
        self.core = self
        self.api = Api(access)

    def handle(self, request: Request) -> Response:
        try:
            return answer(self.api.call(request.method, request.path))
        except Refused as refused:
            return Problem(refused.code, "", str(refused)).response()


Side = Cluster | Foreign


@dataclass
class Fleet:
    """The world, and two more clusters: `sick`, which may be a real one, and `well`."""

    world: World
    sick: Any
    well: Cluster
    environ: dict[str, str]
    access: dict[str, Access]
    places: dict[str, str] = field(default_factory=dict)

    def declare(self, name: str, credential: str, **more: Any) -> None:
        self.world.repository.write(
            {f".kedge/cluster-{name}.yaml": documents(name, self.access[name], credential, **more)}
        )

    def crowd(self) -> None:
        """Many more units on `sick`, not yet pushed."""
        for number in range(120):
            name = f"many{number}"
            declared = application(name).replace("target: {", "target: {cluster: sick, ")
            self.world.repository.write({f".kedge/{name}.yaml": declared, **folder_of(name, "hello")})

    async def ailing(self, name: str, sentence: str) -> dict[str, Any]:
        """Until `kedge get cluster` says it of the cluster; answers the row."""
        await self.world.said(sentence, "get", "cluster")
        rows = (await self.world.kedge("get", "cluster", "-o", "json")).json["items"]
        return next(row for row in rows if row["name"] == name)

    async def unharmed(self) -> None:
        """A change on the other cluster gets through, whatever is wrong here."""
        greeting = f"hello again {len(self.places)}"
        self.places[greeting] = ""
        self.world.repository.write(folder_of("well", greeting))
        await self.world.synced("shop/well", self.world.pushed("meanwhile"))
        assert said_in(self.well, "well") == greeting

    async def recovered(self, greeting: str = "hello", cluster: Side | None = None) -> None:
        """By itself: nobody says anything to Kedge."""
        async with asyncio.timeout(PATIENCE):
            while said_in(cluster or self.sick, "sick") != greeting:
                await asyncio.sleep(0.05)
            while any(row["reason"] for row in (await self.world.kedge("get", "cluster", "-o", "json")).json["items"]):
                await asyncio.sleep(0.05)
        await self.world.synced("shop/sick")


@asynccontextmanager
async def fleet(folder: Path, access: Access | None = None) -> AsyncIterator[Fleet]:
    environ: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        if access is None:
            sick, there = await stack.enter_async_context(clustered(folder / "sick"))
        else:
            sick, there = Foreign(access), access
            stack.callback(sick.api.close)
        well, here = await stack.enter_async_context(clustered(folder / "well"))
        environ["SICK"], environ["WELL"] = there.token, here.token
        world = await stack.enter_async_context(standing(folder, environ=environ))
        made = Fleet(world, sick, well, environ, {"sick": there, "well": here})
        made.declare("sick", "token: {env: SICK}")
        made.declare("well", "token: {env: WELL}")
        world.repository.write({".kedge/shop.yaml": PROJECT, **unit("sick"), **unit("well")})
        yield made


@asynccontextmanager
async def running(folder: Path, access: Access | None = None) -> AsyncIterator[Fleet]:
    """Both units synced."""
    async with fleet(folder, access) as found:
        begun = found.world.pushed("begin")
        await found.world.synced("shop/sick", begun)
        await found.world.synced("shop/well", begun)
        yield found


async def restart(cluster: Cluster, **front: Any) -> None:
    """The same API under the same address, served differently."""
    await cluster.down()
    cluster.front = replace(cluster.front, **front)
    await cluster.up()


async def test_a_token_in_a_file_is_read_again_when_it_rotates(tmp_path: Path) -> None:
    place = tmp_path / "token"
    async with fleet(tmp_path) as found:
        place.write_text(found.environ.pop("SICK") + "\n")
        found.declare("sick", f"token: {{file: {place}}}")
        await found.world.synced("shop/sick", found.world.pushed("begin"))
        await restart(found.sick, token="another-token")
        row = await found.ailing("sick", "the credential is not accepted")
        assert row["reasonAge"] < 60
        await found.unharmed()
        found.world.repository.write(folder_of("sick", "goodbye"))
        found.world.pushed("goodbye")
        assert "renew it" in await found.world.said("Unauthorized", "get", "sick")
        assert said_in(found.sick, "sick") == "hello"
        # As kubelet does: a new file, put in the place of the old one.
        (tmp_path / "new").write_text("another-token\n")
        (tmp_path / "new").replace(place)
        await found.recovered("goodbye")


async def test_a_token_in_the_store_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    async with fleet(tmp_path) as found:
        found.declare("sick", "token: {store: sick}")
        found.world.pushed("begin")
        row = await found.ailing("sick", "the store's secret sick is not set")
        assert "kedge create secret sick" in row["reason"]
        await found.unharmed()
        await keep(found.world, "sick", "a-wrong-one")
        await found.ailing("sick", "the credential is not accepted")
        await keep(found.world, "sick", found.environ["SICK"])
        await found.recovered()
        await keep(found.world, "sick", None)
        await found.ailing("sick", "the store's secret sick is not set")
        await found.unharmed()
        await keep(found.world, "sick", found.environ["SICK"])
        await found.recovered()


async def keep(world: World, name: str, value: str | None) -> None:
    await world.house.doors.store.keep(name, value, Event("secret.kept", 0.0, MONA.name, message=name))


async def test_credentials_that_leave_git_are_not_used_any_more(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        documents_of = {name: f".kedge/cluster-{name}.yaml" for name in ("sick", "well")}
        for place in documents_of.values():
            text = (found.world.repository.work / place).read_text()
            found.world.repository.write({place: text.split("---")[1]})
        found.world.pushed("no credentials")
        for name in ("sick", "well"):
            row = await found.ailing(name, f"no credential opens {found.access[name].server}")
            assert row["reason"]
        found.declare("sick", "token: {env: SICK}")
        found.declare("well", "token: {env: WELL}")
        found.world.pushed("credentials")
        await found.recovered()
        await found.unharmed()


async def test_a_kubeconfig_from_the_store_opens_a_cluster_and_a_hostile_one_does_not(tmp_path: Path) -> None:
    async with fleet(tmp_path) as found:
        access = found.access["sick"]
        honest = kubeconfig(access.server, access.token, access.ca.encode())
        found.declare("sick", "kubeconfig: {store: sick}", ca="")
        await keep(found.world, "sick", honest.replace(f"token: {access.token}", "exec: {command: touch}"))
        found.world.pushed("begin")
        assert "kubectl create token" in (await found.ailing("sick", "user.exec is refused"))["reason"]
        await keep(found.world, "sick", honest.replace(access.server, "https://203.0.113.1:6443"))
        await found.ailing("sick", "its kubeconfig is for https://203.0.113.1:6443")
        await found.unharmed()
        await keep(found.world, "sick", honest)
        await found.recovered()


async def test_the_wrong_authority_is_told_and_mended_in_git(tmp_path: Path) -> None:
    async with fleet(tmp_path) as found:
        found.declare("sick", "token: {env: SICK}", ca=found.access["well"].ca)
        found.world.pushed("begin")
        row = await found.ailing("sick", "the server's certificate")
        assert "authority" in row["reason"]
        await found.unharmed()
        assert said_in(found.sick, "sick") is None
        found.declare("sick", "token: {env: SICK}")
        found.world.pushed("mend")
        await found.recovered()


async def test_a_declared_authority_that_is_no_certificate_is_told(tmp_path: Path) -> None:
    async with fleet(tmp_path) as found:
        found.declare("sick", "token: {env: SICK}", ca="not a certificate")
        found.world.pushed("begin")
        row = await found.ailing("sick", "the CA is not a PEM certificate")
        assert "the CA is not a PEM certificate" in row["reason"]
        await found.unharmed()
        found.declare("sick", "token: {env: SICK}")
        found.world.pushed("mend")
        await found.recovered()


async def test_an_expired_certificate_is_told_and_passes_with_a_new_one(tmp_path: Path) -> None:
    async with fleet(tmp_path) as found:
        authority = Authority()
        (tmp_path / "tls").mkdir()
        found.declare("sick", "token: {env: SICK}", ca=authority.pem)
        await restart(found.sick, tls=authority.context(tmp_path, timedelta(days=-1)))
        found.world.pushed("begin")
        await found.ailing("sick", "the server's certificate has expired")
        assert "renew the server's certificate" in await found.world.said("has expired", "get", "sick")
        await found.unharmed()
        await restart(found.sick, tls=authority.context(tmp_path, timedelta(days=1)))
        await found.recovered()


class Authority:
    """A certificate authority for loopback, whose certificates last as long as a test wants."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
        self.certificate = self._made(self.name, self.key, timedelta(days=2), authority=True)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _made(
        self,
        name: x509.Name,
        key: Any,
        lasting: timedelta,
        *,
        authority: bool = False,
        begun: timedelta = timedelta(days=-5),
        names: Sequence[x509.GeneralName] = NAMES,
    ) -> x509.Certificate:
        moment = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment + begun)
            .not_valid_after(moment + lasting)
            .add_extension(x509.SubjectAlternativeName(names), False)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
        )
        return builder.sign(self.key, hashes.SHA256())

    def chain(self, folder: Path, lasting: timedelta, **more: Any) -> Path:
        """A server's certificate and key, in a file of its own."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")])
        certificate = self._made(name, key, lasting, **more)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        place = folder / f"{certificate.serial_number}.pem"
        place.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
        return place

    def context(self, folder: Path, lasting: timedelta) -> Any:
        context, _ = server_context(folder / "tls", 1_700_000_000.0)
        context.load_cert_chain(self.chain(folder / "tls", lasting))
        return context


Fate = Callable[[Request], Outcome | None]


def silent(request: Request) -> Outcome | None:
    """Connected, and then nothing: what a firewall leaves of a connection."""
    return Outcome(Problem(500, "", "late").response(), 600.0)


def nonsense(request: Request) -> Outcome | None:
    return Outcome(answer([1, 2, 3]))


def patient(request: Request) -> Outcome | None:
    return Outcome(Problem(429, "TooManyRequests", "go away", {}, {"retry-after": "3000"}).response())


LYING: dict[str, tuple[Fate, str]] = {
    "is half-open": (silent, "no answer within 2 s"),
    "talks nonsense": (nonsense, "is no JSON object"),
    "wants to be left alone for an hour": (patient, "asked"),
}


@pytest.mark.parametrize("how", LYING)
async def test_many_units_of_a_bad_cluster_take_no_turns_from_another(tmp_path: Path, how: str) -> None:
    meet, sentence = LYING[how]
    async with running(tmp_path) as found:
        found.sick.meet = meet
        found.crowd()
        found.world.repository.write(folder_of("sick", "goodbye"))
        found.world.pushed("many")
        await found.world.said(sentence, "get", "many119")
        await found.ailing("sick", sentence if how != "wants to be left alone for an hour" else "go away")
        for _ in range(3):
            await found.unharmed()
        assert sentence in await found.world.said(sentence, "get", "sick")
        found.sick.meet = None


async def test_a_cluster_that_takes_its_time_takes_no_turns_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each answer takes long enough for the crowd to be at work when its neighbour is through, and none is late.
    monkeypatch.setitem(Asker.__init__.__kwdefaults__, "deadline", 30.0)
    async with running(tmp_path) as found:
        found.sick.meet = lambda request: Outcome(found.sick.core.handle(request), 3.0)
        found.crowd()
        found.world.pushed("many")
        await found.world.said("run 1", "get", "many0")
        for _ in range(3):
            await found.unharmed()
        assert any(said_in(found.sick, f"many{number}") is None for number in range(120))
        found.sick.meet = None
        for number in range(120):
            await found.world.synced(f"shop/many{number}")
