"""The house: every room, put together. `compose` decides with what; nothing else makes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from kedge.control.road.commands import Commands
from kedge.control.road.doors import Doors
from kedge.control.road.enlist import AdminRoot
from kedge.control.shift.shift import Shift
from kedge.control.states.backend import StateBackend
from kedge.dialects.webhooks import Push, same_repository
from kedge.model.dossier import Dossier
from kedge.model.operation import Sight
from kedge.model.person import Person
from kedge.model.ref import Ref
from kedge.ports import Errands
from kedge.server.desk import Desk
from kedge.spawn import Spawner


@dataclass(frozen=True, slots=True)
class House:
    """A composed house. `start` begins to work; `close` ends everything in reverse order."""

    doors: Doors
    commands: Commands
    shift: Shift
    spawner: Spawner
    states: StateBackend | None = None
    errands: Errands | None = None

    async def start(self) -> None:
        await self.shift.start()

    async def close(self) -> None:
        await self.spawner.close()
        await self.doors.target.close()
        await self.doors.store.close()

    def desk(self, token: str, person: Person, webhook_secret: str) -> Desk:
        """What the server is given. `token` is the bearer token of `person`."""

        async def push(pushed: Push) -> int:
            return self.shift.push(lambda url: any(same_repository(url, other) for other in pushed.urls), pushed.ref)

        return Desk(
            store=self.doors.store,
            commands=self.commands,
            clock=self.doors.clock,
            fresh=self.doors.target.fresh,
            current=self.shift.vigil.current,
            ailment=self.doors.target.ailment,
            look=self._look,
            push=push,
            tokens={sha256(token.encode()).hexdigest(): person},
            webhook_secret=webhook_secret,
            vitals=self.shift.vitals,
            follow=self.shift.follow,
            asked=self.shift.rounds.asked,
            verified=self.shift.vigil.verified,
            late=self.shift.vigil.late,
            ailments=self.shift.vigil.ailments,
            secret_moved=self.shift.secret_moved,
            states=self.states,
            errands=self.errands,
        )

    async def _look(self, dossier: Dossier) -> Mapping[Ref, Sight]:
        refs = tuple(entry.ref for entry in dossier.inventory)
        return await self.doors.target.look(self.doors.scope(dossier.unit), refs)


def build(
    doors: Doors,
    spawner: Spawner,
    admin: AdminRoot,
    poll: float,
    states: StateBackend | None = None,
    errands: Errands | None = None,
) -> House:
    """Road and shift over the doors."""
    shift = Shift(doors, spawner, admin, poll)
    return House(doors, Commands(doors, shift.ring, shift.ask), shift, spawner, states, errands)
