"""Build hook: an installed wheel carries the native worker, and so is bound to its platform.

Editable installs are left alone: `make setup` builds the worker for them.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WorkerHook(BuildHookInterface):
    """Runs `scripts/build_native.py` and tags the wheel for this platform."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        script = Path(self.root) / "scripts" / "build_native.py"
        subprocess.run([sys.executable, str(script)], check=True, cwd=self.root)
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["pure_python"] = False
