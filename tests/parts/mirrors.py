"""Folders that mirror providers, as `tofu providers mirror` and `terraform providers mirror` make them.

The setting of Kedge's server names the one that the stories take a provider from which nobody can build here.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SETTING = "KEDGE_PROVIDER_MIRROR"
PATIENCE = 180
"""Seconds to lock a provider: one of hundreds of megabytes is read and hashed."""


def machine() -> str:
    """As providers name it."""
    processor = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{sys.platform}_{processor}"


def source_of(root: Path, provider: str) -> str:
    """Where code asks for `provider` ("hashicorp/aws") so that it comes from this mirror: the tool that made the mirror
    put its own registry's name above. "" where the mirror has none for this machine, unpacked or as an archive."""
    kind = provider.rpartition("/")[2]
    for home in sorted(root.glob(f"*/{provider}")):
        if any(home.glob(f"*/{machine()}/*")) or any(home.glob(f"terraform-provider-{kind}_*_{machine()}.zip")):
            return home.relative_to(root).as_posix()
    return ""


def lacking(environ: Mapping[str, str], provider: str) -> str:
    """Why stories with the provider can not be told here; "" when they can."""
    named = environ.get(SETTING, "")
    if not named:
        return f"no mirror of providers: {SETTING} names a folder with {provider}"
    if not source_of(Path(named), provider):
        return f"{SETTING}: {named} has no {provider} for {machine()}"
    return ""


def lock_of(program: Path, mirror: Path, folder: Path, code: str) -> str:
    """The lock file, with its hashes, that an author of the code makes with the tool and commits."""
    folder.mkdir()
    (folder / "main.tf").write_text(code)
    words = [program, "providers", "lock", f"-fs-mirror={mirror}", f"-platform={machine()}"]
    given = {"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1"}
    subprocess.run(words, cwd=folder, env=given, check=True, capture_output=True, timeout=PATIENCE)
    return (folder / ".terraform.lock.hcl").read_text()
