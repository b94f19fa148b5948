"""What one cluster trusts: a certificate, a key for service accounts, and a token for each who calls."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kedge.certificate import self_signed

CALLERS = ("admin", "controllers", "scheduler", "kwok")
"""Each has a token and a kubeconfig of its own, so that the audit and managedFields tell them apart."""


def private(path: Path, content: bytes | str) -> Path:
    """Written for the owner alone."""
    path.touch(mode=0o600)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@dataclass
class Authority:
    """Files below `folder`, none of which is used twice. All callers are administrators (`system:masters`)."""

    folder: Path
    tokens: dict[str, str] = field(default_factory=lambda: {name: secrets.token_urlsafe(24) for name in CALLERS})

    def write(self, server: str) -> None:
        """`server` is the URL that the kubeconfigs name."""
        certificate, key = self_signed(time.time())
        private(self.certificate, certificate)
        private(self.folder / "tls.key", key)
        account = ec.generate_private_key(ec.SECP256R1())
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private(self.folder / "accounts.key", account.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        public = account.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        private(self.folder / "accounts.pub", public)
        lines = [f'{token},{name},{name},"system:masters"\n' for name, token in self.tokens.items()]
        private(self.folder / "tokens.csv", "".join(lines))
        for name, token in self.tokens.items():
            private(self.kubeconfig(name), json.dumps(kubeconfig(server, certificate, name, token), indent=2))

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.crt"

    def kubeconfig(self, name: str = "admin") -> Path:
        return self.folder / f"{name}.kubeconfig"


def kubeconfig(server: str, authority: bytes, name: str, token: str) -> dict[str, object]:
    """Everything inline: Kedge refuses references to files outside of the kubeconfig's folder."""
    ca = base64.b64encode(authority).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        "current-context": "test",
    }
