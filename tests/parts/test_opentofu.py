"""OpenTofu as a part: the program that stacks are tried with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path


def test_it_is_a_release_and_no_development_version(tofu: Path) -> None:
    said = subprocess.run([tofu, "version", "-json"], env={}, capture_output=True, check=True, timeout=60)
    version = json.loads(said.stdout)["terraform_version"]
    assert "-" not in version
    assert version.split(".")[0] == "1"
