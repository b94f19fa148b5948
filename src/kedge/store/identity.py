"""The file that names the installation, beside the key: with it, a new database goes on as the one that was lost.

Every object in every cluster carries this name. A house under another one would find its own objects to be somebody
else's. The database has the last word for as long as there is one; the file is what outlives it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from kedge.model.errors import Invalid, Unavailable

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def remembered_name(path: Path) -> str:
    """The name in the file, "" where there is none. Raises Invalid for what is no name, Unavailable when unreadable."""
    try:
        with path.open("rb") as file:
            text = file.read(256).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Unavailable(f"the file {path} cannot be read: {error.strerror}") from error
    if not _NAME.fullmatch(text):
        raise Invalid(
            f"the file {path} does not name an installation",
            hint="it holds what stands before the colon of the annotation kedge.dev/owner on any object of Kedge's",
        )
    return text


def remember_name(path: Path, name: str) -> None:
    """Write it, whole or not at all, where it is not there yet. Raises Unavailable."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w") as file:
            file.write(f"{name}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise Unavailable(f"the file {path} cannot be written: {error.strerror}") from error
