"""Encryption of what may hold secrets: AES-256-GCM, a fresh nonce for each text, bound to its name.

A text is authenticated together with its name (a blob's digest), so that one blob cannot be passed off as another. The
key's id is stored with each text: after a rotation, older texts name the older key.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kedge.model.errors import Invalid, Unavailable
from kedge.ports import Entropy
from kedge.store.keys import SIZE

LARGEST = 256 * 1024 * 1024
"""Bytes of a rendered set, unpacked."""

_LEVEL = 1
"""Of compression: a fifth larger than usual, at a fifth of the time."""
_NONCE = 12
_KEY_ID = 8
"""Bytes of a key's id, which is written as hex."""


@dataclass(frozen=True, slots=True)
class Sealed:
    key_id: str
    nonce: bytes
    data: bytes


def key_id(key: bytes) -> str:
    return sha256(b"kedge key id\0" + key).hexdigest()[: 2 * _KEY_ID]


class Vault:
    """Encrypts with `key`; decrypts with it and the `older` ones."""

    def __init__(self, key: bytes, entropy: Entropy, older: tuple[bytes, ...] = ()) -> None:
        if any(len(each) != SIZE for each in (key, *older)):
            raise Invalid(f"an encryption key has {SIZE} bytes")
        self.key_id = key_id(key)
        self._entropy = entropy
        self._ciphers = {key_id(each): AESGCM(each) for each in (*older, key)}

    def seal(self, name: str, text: bytes) -> Sealed:
        nonce = bytes.fromhex(self._entropy.token(_NONCE))
        return Sealed(self.key_id, nonce, self._ciphers[self.key_id].encrypt(nonce, text, name.encode()))

    def open(self, name: str, sealed: Sealed) -> bytes:
        """Raises Invalid when its key was not given, Unavailable when the text was tampered with or damaged."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise Invalid(
                f"{name} was encrypted with key {sealed.key_id}, which was not given",
                hint="give the database the key file it was made with",
            )
        try:
            return cipher.decrypt(sealed.nonce, sealed.data, name.encode())
        except InvalidTag as error:
            raise Unavailable(
                f"{name} does not decrypt: it was damaged or changed", hint="restore the database from a backup"
            ) from error

    def seal_file(self, name: str, text: bytes) -> bytes:
        """As one piece: the key's id, the nonce, what is encrypted."""
        sealed = self.seal(name, text)
        return sealed.key_id.encode() + sealed.nonce + sealed.data

    def open_file(self, name: str, raw: bytes) -> bytes:
        """Raises as `open`."""
        key, nonce = raw[: 2 * _KEY_ID], raw[2 * _KEY_ID :][:_NONCE]
        return self.open(name, Sealed(key.decode("ascii", "replace"), nonce, raw[2 * _KEY_ID + _NONCE :]))

    def seal_packed(self, name: str, text: bytes) -> Sealed:
        """Compressed first: what is encrypted no longer compresses."""
        return self.seal(name, _packed(text))

    def open_packed(self, name: str, sealed: Sealed) -> bytes:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(self.open(name, sealed), LARGEST)
        if unpacker.unconsumed_tail:
            raise Invalid(f"{name} unpacks to more than {LARGEST} bytes")
        return text


def _packed(text: bytes) -> bytes:
    """With a window no larger than the text, which zlib clears and gives back each time: most texts are small, and its
    usual 256 KiB cost six times what packing them does."""
    window = min(zlib.MAX_WBITS, max(10, len(text).bit_length()))
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, window, window - 7)
    return packer.compress(text) + packer.flush()
