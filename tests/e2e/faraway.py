"""Hosts of the wide world on loopback: one web server that has a certificate for each, behind a proxy that leads to it.

So declarations may name the places that people really use, and nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.parts.listener import ended, listening
from tests.sources.packing import indexed
from tests.sources.web import Reply, Site

OCI = "application/vnd.oci.image.manifest.v1+json"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


@dataclass
class Faraway:
    """`asked` are the hosts (`name:port`) that somebody wanted the proxy to lead to."""

    site: Site
    authority: str
    proxy: str = ""
    asked: list[str] = field(default_factory=list)

    def offer(self, path: str, name: str, versions: Mapping[str, bytes]) -> None:
        """A chart repository at `path`, of the versions of one chart."""
        held = {(name, version): (f"{name}-{version}.tgz", raw) for version, raw in versions.items()}
        self.site.pages[f"{path}/index.yaml"] = Reply(indexed(held))
        self.site.pages |= {f"{path}/{file}": raw for file, raw in held.values()}

    def push(self, name: str, tags: Mapping[str, bytes]) -> None:
        """A chart in a registry, under these tags."""
        pages = self.site.pages
        pages[f"/v2/{name}/tags/list?n=1000"] = orjson.dumps({"name": name, "tags": [*tags]})
        for tag, raw in tags.items():
            layer = {"mediaType": CHART, "digest": f"sha256:{sha256(raw).hexdigest()}", "size": len(raw)}
            manifest = orjson.dumps({"schemaVersion": 2, "mediaType": OCI, "layers": [layer]})
            digest = f"sha256:{sha256(manifest).hexdigest()}"
            reply = Reply(manifest, 200, {"Content-Type": OCI, "Docker-Content-Digest": digest})
            pages |= {f"/v2/{name}/manifests/{tag}": reply, f"/v2/{name}/manifests/{digest}": reply}
            pages[f"/v2/{name}/blobs/{layer['digest']}"] = raw

    async def lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of somebody who says CONNECT."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.split(" ")[1])
        there, back = await asyncio.open_connection("127.0.0.1", int(self.site.url.rpartition(":")[2]))
        async with ended(back):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(_passed_on(reader, back), _passed_on(there, writer))


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def faraway(folder: Path, hosts: Sequence[str]) -> AsyncIterator[Faraway]:
    context, authority = certified(folder, hosts)
    found = Faraway(Site(context), authority)
    with closing(found.site):
        async with listening(found.lead) as port:
            found.proxy = f"http://127.0.0.1:{port}"
            yield found


def certified(folder: Path, hosts: Sequence[str]) -> tuple[ssl.SSLContext, str]:
    """A server's context for all of the hosts, and the authority to trust it by (PEM)."""
    key, moment = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the wide world")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    plain = serialization.NoEncryption()
    place = folder / "faraway.pem"
    place.write_bytes(pem + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place)
    return context, pem.decode()
