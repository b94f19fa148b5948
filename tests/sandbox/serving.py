"""A front on loopback with a certificate of its own, for tests that speak HTTP."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from secrets import token_hex

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.sandbox.standin import StandIn

from kedge.sandbox import Options, Sandbox
from kedge.sandbox.http import Front, Server, serve


def certificate(folder: Path) -> tuple[ssl.SSLContext, bytes]:
    """A server's context for 127.0.0.1, and the certificate it is to be trusted by."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "tls.crt").write_bytes(public)
    (folder / "tls.key").write_bytes(private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context, public


@asynccontextmanager
async def running(front: Front, options: Options | None = None, snapshot: bytes | None = None) -> AsyncIterator[Server]:
    """A sandbox behind HTTP, by the real clock."""
    async with serving(Sandbox(StandIn(), time.time, token_hex, options, snapshot), front) as server:
        yield server


@asynccontextmanager
async def serving(sandbox: Sandbox, front: Front) -> AsyncIterator[Server]:
    """A front over a sandbox that the test made itself."""
    server = await serve(sandbox, front)
    try:
        yield server
    finally:
        await server.close()
