"""The only file that knows every room, and the only reader of settings and environment."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kedge.model.declaration import TargetSection
from kedge.model.errors import Unavailable
from kedge.model.manifest import Desired
from kedge.model.ref import UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import RenderSpec, Unit
from kedge.ports import Renderer

WORKER = Path(__file__).parent / "bin" / "kedge-worker"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says; every one has a default.

    `data` is where everything is kept; `webhook_secret` "" leaves webhooks off; `poll` is in seconds.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 7420
    webhook_secret: str = ""


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read `KEDGE_DATA`, `KEDGE_HOST`, `KEDGE_PORT` and `KEDGE_WEBHOOK_SECRET`."""
    home = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME", "/")) / ".local" / "share")
    return Settings(
        data=Path(environ.get("KEDGE_DATA") or Path(home) / "kedge"),
        host=environ.get("KEDGE_HOST") or "127.0.0.1",
        port=int(environ.get("KEDGE_PORT") or 7420),
        webhook_secret=environ.get("KEDGE_WEBHOOK_SECRET", ""),
    )


def environment() -> Mapping[str, str]:
    """The process's environment, for those who are handed a part of it."""
    return os.environ


class Offline:
    """What works without a server: rendering a directory."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    async def render(
        self, directory: Path, spec: RenderSpec = RenderSpec(), *, name: str = "offline", namespace: str = "default"
    ) -> Desired:
        """The rendered set of `directory`, refs as written. Files beside it, up to the repository's root, can be
        referred to. Raises Invalid with file and line."""
        from kedge.sources.folder import FolderSnapshot

        root, path = located(directory)
        source = SourceSpec(root.as_uri(), "", path)
        unit = Unit(UnitName("offline", name), "offline", source, TargetSection("default", namespace), spec)
        return await self._renderer.render(FolderSnapshot(root), unit)


def located(directory: Path) -> tuple[Path, str]:
    """The nearest folder at or above `directory` that holds `.git` (else itself), and the path from there."""
    place = directory.resolve()
    root = next((folder for folder in (place, *place.parents) if (folder / ".git").exists()), place)
    path = place.relative_to(root).as_posix()
    return root, "" if path == "." else path


@asynccontextmanager
async def offline() -> AsyncIterator[Offline]:
    """A renderer over native workers, ended with the block. Raises Unavailable when the worker is not built."""
    from kedge.process import spawn
    from kedge.renderers.render import WorkerRenderer, version_of
    from kedge.renderers.worker import Pool

    if not WORKER.exists():
        raise Unavailable(f"the native worker {WORKER} is not built", hint="make setup")
    renderer = WorkerRenderer(Pool(str(WORKER), spawn, size=1), version_of(WORKER))
    try:
        yield Offline(renderer)
    finally:
        await renderer.close()
