"""Where a tool keeps what is temporary: `tmp` in the execution's folder, which goes with it.

Providers listen on a socket there, and the kernel takes no long path for one: 107 bytes on Linux, 103 on macOS
(unix(7)). Where the folder's own path leaves no room for a socket's name, `tmp` is a link to a folder elsewhere.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from kedge.model.errors import Unavailable

_ROOM = 80
"""Bytes of a path that leave room for a socket's name (go-plugin's is `/plugin` and ten digits)."""
_PREFIX = "kedge-tmp-"


def make(folder: Path) -> Path:
    """What the tool is told as TMPDIR. Raises Unavailable where there is no room for a folder elsewhere."""
    own = folder / "tmp"
    if len(os.fsencode(own)) <= _ROOM:
        own.mkdir(exist_ok=True)
        return own
    try:
        short = Path(mkdtemp(prefix=_PREFIX))
    except OSError as error:
        told = f"{own} is too long for the sockets of providers, and there is no other folder: {error.strerror}"
        raise Unavailable(told, hint="use a shorter --data") from None
    own.symlink_to(short)
    return short


def remove(folder: Path) -> None:
    """All of it."""
    own = folder / "tmp"
    if not own.is_symlink():
        shutil.rmtree(own, ignore_errors=True)
        return
    short = own.readlink()
    own.unlink()
    if short.name.startswith(_PREFIX):  # what ran here may have put another link in its place
        shutil.rmtree(short, ignore_errors=True)
