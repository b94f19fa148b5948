"""Helm charts from repositories over HTTP: the index says which archive, the archive becomes a tree of its own.

An index is asked for once for all who want it at the same time, and only comes again when it has changed. An archive is
fetched once: it is kept under its digest, or under what the index says of it where that names none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import urljoin

from kedge.model import version as versions
from kedge.model.errors import Invalid, KedgeError, Unavailable
from kedge.model.origin import chart_of
from kedge.model.source import Revision
from kedge.ports import Secrets
from kedge.sources import index
from kedge.sources.address import Allowed
from kedge.sources.content import OnShelf, Shelf
from kedge.sources.mirror import folder_of
from kedge.sources.tarball import LIMITS, File, files, fit
from kedge.sources.web import Ask, Web, judge

_STANDARD = Allowed()


@dataclass(slots=True)
class _Place:
    """What is known of one repository: `mark` and `digest` of its index, which is on disk, and what was chosen from
    it."""

    file: Path
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: int = 0
    trouble: KedgeError | None = None
    mark: str = ""
    digest: str = ""
    chosen: dict[tuple[str, str], index.Chosen] = field(default_factory=dict)


class ChartSource(OnShelf):
    """`kedge.ports.Source` over chart repositories. A chart's files are below a folder of its name."""

    def __init__(self, data: Path, secrets: Secrets, *, allowed: Allowed = _STANDARD) -> None:
        super().__init__(Shelf(data))
        self._data = data
        self._allowed = allowed
        self._web = Web(secrets, allowed)
        self._places: dict[str, _Place] = {}

    async def fetch(self, repository: str, ref: str) -> Revision:
        """As `kedge.ports.Source.fetch`, for refs that `kedge.model.origin.of_chart` makes."""
        asked = chart_of(ref)
        if asked is None:
            raise Invalid("a chart repository is asked for charts", hint="write source.chart")
        judge(repository, self._allowed)
        chosen = await self._choose(repository, *asked)
        content = self._shelf.content(repository)
        key = f"sha256:{chosen.digest}" if chosen.digest else f"{chosen.urls} {chosen.version} {chosen.created}"
        async with content.lock:
            commit = content.find(key) or await self._bring(repository, chosen, key)
            digest = content.label(commit).rpartition(" ")[2]
        return Revision(
            repository,
            ref,
            commit,
            subject=f"chart {chosen.name} {chosen.version}",
            time=chosen.created,
            version=chosen.version,
            digest=f"sha256:{digest}",
        )

    async def _choose(self, repository: str, name: str, wanted: str) -> index.Chosen:
        place = self._places.setdefault(repository, _Place(folder_of(self._data, repository).with_suffix(".yaml")))
        asked = place.asked
        async with place.lock:
            if place.asked <= asked + 1:  # whoever came while another's question was under way asks once more, for all
                await self._ask(repository, place)
            if place.trouble is not None:
                raise place.trouble
            chosen = place.chosen.get((name, wanted))
            if chosen is None:
                chosen = index.choose(place.file.read_bytes(), name, versions.parse(wanted))
                place.chosen[name, wanted] = chosen
        return chosen

    async def _ask(self, repository: str, place: _Place) -> None:
        place.trouble = None
        try:
            await self._index(repository, place)
        except KedgeError as error:
            place.trouble = error
        place.asked += 1

    async def _index(self, repository: str, place: _Place) -> None:
        """Have the newest index on disk."""
        url = repository.rstrip("/") + "/index.yaml"
        known = place.mark if place.digest and place.file.is_file() else ""
        answer = await self._web.ask(Ask(url, repository, limit=index.SIZE_LIMIT, known=known))
        if answer.status == 304:
            return
        digest = sha256(answer.body).hexdigest()
        if digest != place.digest or not place.file.is_file():
            _write(place.file, answer.body)
            place.chosen.clear()
        place.digest, place.mark = digest, answer.mark

    async def _bring(self, repository: str, chosen: index.Chosen, key: str) -> str:
        """Fetch an archive, from the first of its URLs that answers, and keep what is in it; answers the commit."""
        raw = await self._download(repository, chosen)
        digest = sha256(raw).hexdigest()
        if chosen.digest and digest != chosen.digest:
            raise Invalid(
                f"the archive of chart {chosen.name} {chosen.version} has sha256 {digest}, and the index of "
                f"{repository} says {chosen.digest}",
                hint="it was changed on the way or since: ask who keeps the repository",
            )
        content = self._shelf.content(repository)
        return await content.keep(key, f"{chosen.name} {chosen.version} {digest}", of_chart(raw, chosen.name))

    async def _download(self, repository: str, chosen: index.Chosen) -> bytes:
        trouble: KedgeError | None = None
        for written in chosen.urls:
            url = urljoin(repository.rstrip("/") + "/", written)
            try:
                answer = await self._web.ask(Ask(url, repository, limit=LIMITS.packed))
            except KedgeError as error:  # the next one is a mirror of it
                trouble = trouble or error
                continue
            return answer.body
        raise trouble or Invalid(f"chart {chosen.name} {chosen.version} has no URL in the index")


def of_chart(raw: bytes, name: str) -> Iterator[File]:
    """A chart's files below a folder of its name, whatever the archive calls it, one by one. Raises Invalid for another
    archive, at the latest at its end."""
    fit(name)
    is_chart = False
    for file in files(raw):
        inner = file.path.partition("/")[2]
        is_chart = is_chart or inner == "Chart.yaml"
        if inner:
            yield File(f"{name}/{inner}", file.data, file.executable)
    if not is_chart:
        raise Invalid(f"the archive of chart {name} holds no Chart.yaml")


def _write(file: Path, body: bytes) -> None:
    """Whole or not at all."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(body)
        fresh.rename(file)
    except OSError as error:
        raise Unavailable(f"an index can not be kept: {error.strerror}", hint="look at the disk") from None
