"""The key file: 32 random bytes as hex, readable by its owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from kedge.model.errors import Invalid, Unavailable
from kedge.ports import Entropy

SIZE = 32


def load_or_create_key(path: Path, entropy: Entropy) -> bytes:
    """Read the key at `path`, or make one there (mode 0600, whole or not at all).

    Raises Invalid for a file that others may read or that holds no key, Unavailable when it cannot be read or made.
    """
    try:
        if not os.path.lexists(path):
            _create(path, entropy.token(SIZE))
        return _read(path)
    except OSError as error:
        raise Unavailable(f"the key file {path} cannot be used: {error.strerror}") from error


def _read(path: Path) -> bytes:
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Invalid(f"the key file {path} is not a regular file")
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Invalid(
                f"the key file {path} may be read by others (mode {stat.S_IMODE(status.st_mode):04o})",
                hint=f"chmod 600 {path}",
            )
        text = file.read(4 * SIZE)
    try:
        key = bytes.fromhex(text.decode().strip())
    except ValueError:
        key = b""
    if len(key) != SIZE:
        raise Invalid(
            f"the key file {path} does not hold a key of {SIZE} bytes in hex",
            hint="restore it from a backup: without it the rendered sets in the database cannot be read",
        )
    return key


def _create(path: Path, text: str) -> None:
    """Write a file beside it and link it into place: a reader sees all of it, and the first of two makers wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
