"""Programs beside a test: none outlives it, and what a killed run left behind is removed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scripts.build_parts import KUBERNETES, MOTO
from tests.parts.cluster import FORGOTTEN, PREFIX, holding, sweep
from tests.parts.programs import Broken, Programs, missing

PATIENCE = 20.0
ROOT = Path(__file__).resolve().parents[2]
STARTED_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.parts.programs import Programs
Programs(Path(sys.argv[1])).start("one", ["sleep", "600"])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux kills children with their parent")
def test_a_program_dies_with_whoever_started_it_even_by_sigkill(tmp_path):
    done = subprocess.run([sys.executable, "-c", STARTED_AND_KILLED, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    try:
        ended = os.pidfd_open(int((tmp_path / "one.pid").read_text()))
    except ProcessLookupError:
        return  # dead, and forgotten by who inherited it
    assert select.select([ended], [], [], PATIENCE)[0], "it lives on"
    os.close(ended)


def test_a_program_that_ends_is_told_with_the_end_of_its_log(tmp_path):
    programs = Programs(tmp_path)
    programs.start("short", [sys.executable, "-c", "print('no room'); raise SystemExit(3)"])
    programs.running["short"].wait()
    with pytest.raises(Broken, match="short ended with 3:\nno room"):
        programs.check()
    programs.end()


def test_a_folder_that_nobody_holds_any_more_is_removed_and_one_in_use_is_not(tmp_path):
    left, used, fresh = (tmp_path / f"{PREFIX}{name}" for name in ("left", "used", "fresh"))
    for folder in (left, used, fresh):
        folder.mkdir()
        (folder / "data").write_text("x")
    with holding(used):
        for folder in (left, used):
            long_ago = folder.stat().st_mtime - 2 * FORGOTTEN
            os.utime(folder, (long_ago, long_ago))
        sweep(tmp_path)
        assert [folder.exists() for folder in (left, used, fresh)] == [False, True, True]


@pytest.mark.parametrize("part", [KUBERNETES, MOTO], ids=lambda part: part.name)
def test_what_is_not_built_is_named_with_how_to_build_it(part, tmp_path, monkeypatch):
    monkeypatch.setenv("KEDGE_CACHE", str(tmp_path))
    assert missing([part]) == f"{part.name} not built for this checkout: run `make parts`"
    part.program.parent.mkdir(parents=True)
    part.program.touch()
    assert missing([part]) == ""
