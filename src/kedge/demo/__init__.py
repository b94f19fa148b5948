"""The demo's repository: a bare one to push to, and a clone to work in.

Law: imports nothing of the house but the errors; processes are started by what is handed in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "files"
STACK = Path(__file__).parent / "stack"
"""Laid over them where a tool is there: a stack, and an application that reads its output."""
TOOLS = ">=1.4"
"""Versions that the stack can be planned with."""
BRANCH = "main"
AUTHOR = {
    "GIT_AUTHOR_NAME": "Kedge demo",
    "GIT_AUTHOR_EMAIL": "demo@kedge.invalid",
    "GIT_COMMITTER_NAME": "Kedge demo",
    "GIT_COMMITTER_EMAIL": "demo@kedge.invalid",
}

Run = Callable[..., Awaitable[Any]]


async def make_repository(folder: Path, run: Run, environment: Mapping[str, str], tool: str = "") -> str:
    """Make `folder/repository.git` and `folder/work` unless they are there. Answers the bare repository's file URL.
    `tool` is what a stack is planned with, "" leaves it out.

    Raises Unavailable when git is missing or fails.
    """
    bare, work = folder / "repository.git", folder / "work"
    if not (bare / "HEAD").exists():
        work.mkdir(parents=True, exist_ok=True)
        _write(work, tool)
        env = {**environment, **AUTHOR}

        async def git(*words: str) -> None:
            await run(_argv(words), env=env, cwd=str(work), timeout=30.0)

        await git("init", "--quiet", f"--initial-branch={BRANCH}")
        await git("add", "--all")
        await git("commit", "--quiet", "--message", "say hello")
        await git("clone", "--quiet", "--bare", str(work), str(bare))
        await git("remote", "add", "origin", str(bare))
        await git("fetch", "--quiet", "origin")
        await git("branch", "--quiet", f"--set-upstream-to=origin/{BRANCH}")
    return bare.as_uri()


def _argv(words: Sequence[str]) -> list[str]:
    return ["git", "-c", "core.hooksPath=/dev/null", *words]


def _write(work: Path, tool: str) -> None:
    """`dot-kedge` stands for `.kedge`, which a package may not carry."""
    for source in (FILES, *([STACK] if tool else [])):
        for file in sorted(source.rglob("*")):
            if file.is_file():
                place = work / str(file.relative_to(source)).replace("dot-kedge", ".kedge")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(file.read_bytes().replace(b"TOOL", tool.encode()))
