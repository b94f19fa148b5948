"""Which units read which paths: so that a commit's cost follows the paths it changed, not the fleet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence


class Readers:
    """Units of one (repository, ref) by the paths their last render read, or looked for in vain.

    A folder's listing is a read too, so a new file under it finds its readers. A unit that has never rendered reads
    everything.
    """

    def __init__(self) -> None:
        self._units: dict[str, tuple[str, ...]] = {}
        self._paths: defaultdict[str, set[str]] = defaultdict(set)
        self._unread: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._units) + len(self._unread)

    def put(self, unit: str, paths: Sequence[str] | None) -> None:
        """Replace what `unit` reads; None: it has not rendered yet."""
        self.drop(unit)
        if paths is None:
            self._unread[unit] = None
            return
        self._units[unit] = tuple(paths)
        for path in paths:
            self._paths[path].add(unit)

    def drop(self, unit: str) -> None:
        self._unread.pop(unit, None)
        for path in self._units.pop(unit, ()):
            units = self._paths[path]
            units.discard(unit)
            if not units:
                del self._paths[path]

    def of(self, changed: Iterable[str]) -> tuple[str, ...]:
        """Units that read one of the changed paths, or a folder above it; ordered by name."""
        found = set(self._unread)
        for path in changed:
            found |= self._paths.get(path, set())
            while path:
                path = path.rpartition("/")[0]
                found |= self._paths.get(path, set())
        return tuple(sorted(found))

    def all(self) -> tuple[str, ...]:
        return tuple(sorted((*self._units, *self._unread)))
