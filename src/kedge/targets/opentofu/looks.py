"""Looks for drift that are at work, and who waits for theirs: what `kedge.engine.budget` decides about."""

from __future__ import annotations

from kedge.engine.budget import GUESS, Looks, ahead, begins, comes, rest, resting


class Agenda:
    """Of all stacks. Kept in memory: what begins anew begins without rests."""

    def __init__(self) -> None:
        self._going: dict[str, float] = {}
        self._waiting: dict[str, float] = {}
        self._rests: tuple[float, ...] = ()
        self._took = GUESS

    def put_off(self, unit: str, places: int, now: float) -> float:
        """Until when a look that is due has to wait, 0.0 where it may begin."""
        looks = Looks(places, len(self._going), self._rests, self._took)
        at = begins(looks, ahead(self._waiting, unit, now), now)
        if at <= now:
            self.leave(unit)
            return 0.0
        self._waiting[unit] = at
        return at

    def leave(self, unit: str) -> None:
        """It is not due any more."""
        self._waiting.pop(unit, None)

    def begun(self, id: str, now: float) -> None:
        self._going[id] = now

    def going(self, id: str) -> bool:
        return id in self._going

    def ended(self, id: str, now: float) -> str:
        """The stack that is next, and has to be told so; "" for none."""
        begun = self._going.pop(id, None)
        if begun is None:
            return ""
        self._took = max(0.0, now - begun)
        self._rests = (*resting(self._rests, now), now + rest(self._took))
        self._waiting = {unit: told for unit, told in self._waiting.items() if comes(told, now)}
        return next(iter(self._waiting), "")
