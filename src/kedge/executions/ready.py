"""The process that is ready to become runners: `python -m kedge.executions.ready`.

It has imported what a runner needs, which costs as much as a small plan, and forks one for each folder whose path is a
line of its stdin; the answer is the runner's process id. It ends with its stdin. Its runners lead sessions of their own
and go on.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

from kedge.executions import runner
from kedge.executions.folder import Folder


def become(path: str) -> int:
    """Run one execution, in this process. What it says goes to its log."""
    os.setsid()
    log = os.open(Folder(Path(path)).log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd, place in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
        os.dup2(place, fd)
    try:
        return runner.main([sys.argv[0], path])
    except BaseException:  # noqa: BLE001 - said, whole, where whoever finds the execution lost looks
        traceback.print_exc()
        sys.stderr.flush()
        return 1


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while line := sys.stdin.buffer.readline():
        pid = os.fork()
        if not pid:
            os._exit(become(line.decode().rstrip("\n")))
        os.write(1, f"{pid}\n".encode())


if __name__ == "__main__":
    main()
