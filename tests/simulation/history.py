"""What people and bad luck do to the world, from a seed."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from tests.doors.memory_source import REPOSITORY
from tests.simulation.witness import CANARY
from tests.simulation.world import CLUSTERS, ROOTS, World

from kedge.model.declaration import ApproveSection, Heal, OnRemove, SyncSection, TargetSection, When
from kedge.model.errors import KedgeError
from kedge.model.person import Person
from kedge.model.ref import Ref, UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import Unit

PEOPLE = (Person("mona", ("sre",)), Person("omar", ("sre",)), Person("pia", ("dev",)))
VERSIONS = {"Deployment": "apps/v1", "Job": "batch/v1"}
PHASES = ("PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete")
BOTH = ("PreSync,PostSync", "PreSync,Sync", "PostSync,SyncFail", "PreDelete,PostDelete", "Sync,PreDelete")
POLICIES = ("", "HookSucceeded", "BeforeHookCreation", "HookFailed", "HookSucceeded,HookFailed")


class History:
    """Draws one action after the other; every choice comes from the seed."""

    def __init__(self, world: World, seed: int | str) -> None:
        self.world = world
        self.random = Random(f"history {seed}")
        self.count = 0

    def files_of(self, unit: str) -> str:
        return f"apps/{unit}"

    def unit(self, name: str, path: str) -> Unit:
        draw = self.random
        parsed = UnitName.parse(name)
        after = (UnitName("shop", "db"),) if name == "shop/web" and draw.random() < 0.4 else ()
        root = ROOTS[(parsed.project == "team") != (draw.random() < 0.1)]
        cluster = CLUSTERS[draw.random() < 0.25]
        return Unit(
            parsed,
            root,
            SourceSpec(REPOSITORY, "main", path),
            TargetSection(cluster, path.rpartition("/")[2]),
            sync=SyncSection(
                auto=draw.random() < 0.9,
                prune=draw.random() < 0.9,
                heal=Heal.ALWAYS if draw.random() < 0.85 else Heal.NEVER,
                timeout=120.0,
            ),
            approve=draw.choice(
                (
                    ApproveSection(),
                    ApproveSection(),
                    ApproveSection(When.ALWAYS, ("group:sre",), draw.choice((1, 2))),
                    ApproveSection(When.NEVER),
                )
            ),
            on_remove=draw.choice(tuple(OnRemove)),
            after=after,
            digest=str(draw.random()),
        )

    async def begin(self) -> None:
        """A repository with three units, each with a few objects."""
        files: dict[str, bytes] = {}
        units: dict[str, Unit] = {}
        for name in ("shop/web", "shop/db", "team/job"):
            path = self.files_of(name.partition("/")[2])
            units[name] = self.unit(name, path)
            for _ in range(self.random.randint(2, 5)):
                files.update([self.draw_file(path)])
        self.world.source.commit(files, time=self.world.clock.now())
        await self.world.enlist(units)

    def draw_file(self, path: str) -> tuple[str, bytes]:
        draw, self.count = self.random, self.count + 1
        kind = draw.choice(
            ("ConfigMap", "ConfigMap", "Deployment", "Secret", "PersistentVolumeClaim", "Job", "Namespace")
        )
        name = f"{kind.lower()}-{draw.randint(0, 4)}"
        meta: dict[str, Any] = {"name": name if kind != "Namespace" else f"{path.rpartition('/')[2]}-{name}"}
        if draw.random() < 0.3:
            meta["annotations"] = {"argocd.argoproj.io/sync-wave": str(draw.randint(-1, 2))}
        body: dict[str, Any] = {"apiVersion": VERSIONS.get(kind, "v1"), "kind": kind, "metadata": meta}
        if kind == "Secret":
            secret = f"{CANARY}-{self.count}"
            body["data"] = {"password": base64.b64encode(secret.encode()).decode()}
            body["stringData"] = {"plain": secret}
        elif kind == "Job":
            policy = draw.choice(POLICIES)
            notes = {"argocd.argoproj.io/hook": draw.choice(BOTH if draw.random() < 0.2 else PHASES)}
            if policy:
                notes["argocd.argoproj.io/hook-delete-policy"] = policy
            if draw.random() < 0.3:
                meta.pop("name")
                meta["generateName"] = f"{name}-"
            meta["annotations"] = {**meta.get("annotations", {}), **notes}
            body["spec"] = {"n": self.count, "seconds": draw.choice((0, 3, 30)), "sick": draw.random() < 0.1}
        else:
            seconds = draw.choice((0, 1, 20, 60, 400))
            body["spec"] = {"n": self.count, "seconds": seconds, "sick": draw.random() < 0.1}
        return f"{path}/{name}.json", json.dumps(body).encode()

    async def act(self) -> None:
        """One thing happens."""
        actions: tuple[tuple[int, Callable[[], Awaitable[None]]], ...] = (
            (8, self.commit),
            (2, self.force_push),
            (6, self.drift),
            (9, self.approve),
            (3, self.sync),
            (2, self.suspend),
            (3, self.resume),
            (2, self.rollback),
            (3, self.cancel),
            (2, self.cancel_amid),
            (2, self.roots),
            (2, self.fault),
            (2, self.crash),
        )
        chosen = self.random.choices([call for _, call in actions], [weight for weight, _ in actions])[0]
        await chosen()

    async def commit(self) -> None:
        draw, world = self.random, self.world
        files = world.source.files()
        for _ in range(draw.choice((1, 1, 2, 5))):
            unit = draw.choice(sorted(world.units) or ["shop/web"])
            path = world.units[unit].source.path if unit in world.units else "apps/web"
            mine = sorted(name for name in files if name.startswith(f"{path}/"))
            dice = draw.random()
            if mine and dice < 0.4:
                files.pop(draw.choice(mine))
            elif mine and dice < 0.43:
                files[draw.choice(mine)] = b"{"
            elif mine and dice < 0.46:
                files = {name: data for name, data in files.items() if name not in mine}
            else:
                files.update([self.draw_file(path)])
        self._push(files)

    def _push(self, files: dict[str, bytes], parent: str | None = None) -> None:
        revision = self.world.source.commit(files, time=self.world.clock.now(), parent=parent)
        self.world.tell(f"commit {revision.short}{' (forced)' if parent is not None else ''}: {len(files)} files")
        if self.world.house is not None and self.random.random() < 0.7:
            self.world.house.rounds.hint(lambda repository: True, "main")

    async def force_push(self) -> None:
        old = self.random.choice(sorted(self.world.source.commits))
        self._push(dict(self.world.source.commits[old].files), parent=old)

    async def drift(self) -> None:
        draw = self.random
        cluster = draw.choice(list(self.world.clusters.values()))
        refs = sorted(cluster.things)
        dice = draw.random()
        self.world.stir()
        if not refs or dice < 0.1:
            name = f"configmap-{draw.randint(0, 4)}"
            ref = Ref("", "ConfigMap", draw.choice(("web", "db", "job")), name)
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": ref.namespace}}
            if ref not in cluster.things:
                cluster.apply(ref, {**body, "spec": {"foreign": True}}, "kubectl")
            return
        ref = draw.choice(refs)
        if dice < 0.4:
            cluster.delete(ref, "kubectl")
            return
        body = json.loads(json.dumps(cluster.things[ref].body))
        if dice < 0.45:
            # The same once more: another object under the same name.
            run = cluster.things[ref].operation
            cluster.delete(ref, "kubectl")
            if ref not in cluster.things:
                cluster.apply(ref, body, "kubectl", operation=run)
            return
        if dice < 0.53:
            body["metadata"].pop("annotations", None)
            if draw.random() < 0.5:
                self._remove_from_git(ref)
        else:
            body["spec"] = {**(body.get("spec") or {}), "edited": draw.randint(0, 99)}
        if not cluster.things[ref].terminating:
            cluster.apply(ref, body, "kubectl", operation=cluster.things[ref].operation)

    def _remove_from_git(self, ref: Ref) -> None:
        """What somebody has just taken away from Kedge leaves Git, too: it has to stay."""
        files = self.world.source.files()
        path = f"apps/{ref.namespace}/{ref.name}.json"
        if files.pop(path, None) is not None:
            self._push(files)

    def _some_unit(self) -> UnitName:
        names = sorted(self.world.store.dossiers) or ["shop/web"]
        return UnitName.parse(self.random.choice(names))

    async def _ask(self, what: str, call: Awaitable[Any]) -> None:
        try:
            async with asyncio.timeout(60.0):
                await call
            self.world.tell(f"person: {what}")
        except TimeoutError:
            self.world.tell(f"person: {what}: no answer")
        except KedgeError as error:
            self.world.tell(f"person: {what}: refused, {str(error)[:80]}")

    async def approve(self) -> None:
        """Somebody looks at what waits, and agrees."""
        await self.approve_one(self._some_unit(), self.random.choice(PEOPLE))

    async def approve_one(self, name: UnitName, person: Person) -> None:
        dossier = await self.world.store.load(name)
        if dossier is not None and dossier.plan is not None and self.world.house is not None:
            effects = dossier.plan.effects
            await self._ask(
                f"{person.name} approves {name}", self.world.house.commands.approve(person, name, effects, "fine")
            )

    async def sync(self) -> None:
        name = self._some_unit()
        await self._ask(f"sync {name}", self._commands.sync(PEOPLE[0], name, "now"))

    async def suspend(self) -> None:
        name = self._some_unit()
        await self._ask(f"suspend {name}", self._commands.suspend(PEOPLE[0], name, "wait"))

    async def resume(self) -> None:
        name = self._some_unit()
        await self._ask(f"resume {name}", self._commands.resume(PEOPLE[0], name, "go"))

    async def cancel(self) -> None:
        """What is at work, where anything is."""
        dossiers = self.world.store.dossiers
        running = sorted(name for name, dossier in dossiers.items() if dossier.operation is not None)
        name = UnitName.parse(self.random.choice(running)) if running else self._some_unit()
        await self._ask(f"cancel {name}", self._commands.cancel(PEOPLE[0], name, "stop"))

    async def cancel_amid(self) -> None:
        """Somebody cancels whatever is at work when the next act has been done, and before anybody hears of it."""

        async def person() -> None:
            await self.cancel()

        self.world.amid = person

    async def rollback(self) -> None:
        name = self._some_unit()
        dossier = await self.world.store.load(name)
        to = "" if dossier is None or self.random.random() < 0.5 else str(self.random.randint(1, dossier.runs + 1))
        await self._ask(f"rollback {name} to “{to}”", self._commands.rollback(PEOPLE[1], name, to, "worse now"))

    @property
    def _commands(self) -> Any:
        assert self.world.house is not None
        return self.world.house.commands

    async def roots(self) -> None:
        """The root's declarations move: a unit goes, comes, gets another name or other rules."""
        draw, world = self.random, self.world
        units = dict(world.units)
        dice = draw.random()
        if units and dice < 0.35:
            units.pop(draw.choice(sorted(units)))
        elif units and dice < 0.5:
            old = units.pop(draw.choice(sorted(units)))
            new = f"{old.name.project}/{old.name.name}x"[:40]
            units[new] = self.unit(new, old.source.path)
        elif units and dice < 0.7:
            name = draw.choice(sorted(units))
            units[name] = self.unit(name, units[name].source.path)
        else:
            taken = {unit.source.path for unit in units.values()}
            for name in ("shop/web", "shop/db", "team/job"):
                path = self.files_of(name.partition("/")[2])
                if path not in taken:
                    units[name] = self.unit(name, path)
        await world.enlist(units)

    async def fault(self) -> None:
        draw, world = self.random, self.world
        dice = draw.random()
        if dice < 0.3:
            world.source.unreachable = not world.source.unreachable
            world.tell(f"git {'unreachable' if world.source.unreachable else 'is back'}")
        elif dice < 0.5:
            world.chaos.disk_full = not world.chaos.disk_full
            world.tell(f"disk {'full' if world.chaos.disk_full else 'has room'}")
        elif dice < 0.65:
            seconds = draw.choice((-3600.0, -30.0, 30.0, 3600.0))
            world.clock.jump(seconds)
            world.tell(f"clock jumps {seconds:+.0f} s")
        else:
            world.chaos.level = draw.choice((0.3, 1.0, 2.0))
            world.tell(f"weather {world.chaos.level}")

    async def crash(self) -> None:
        """The next doors but a few are the last ones of this life."""
        self.world.chaos.crash_at = self.random.randint(1, 12)

    async def pause(self) -> None:
        """Time goes by: mostly little, now and then a lot. After a crash the house is put up again."""
        for _ in range(self.random.choice((0, 1, 1, 2))):
            await asyncio.sleep(self.random.choice((0.05, 1.0, 7.0, 40.0, 130.0)))
            await self.world.revive()

    def mend(self) -> None:
        """A last commit in which nothing is broken and nothing falls ill."""
        world, files = self.world, {}
        for path, data in world.source.files().items():
            try:
                body = json.loads(data)
            except ValueError:
                continue
            if "spec" in body:
                body["spec"] = {**body["spec"], "sick": False, "seconds": min(30, body["spec"].get("seconds", 0))}
            files[path] = json.dumps(body).encode()
        for unit in world.units.values():
            plain = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "last"}, "spec": {"n": 0}}
            files[f"{unit.source.path}/last.json"] = json.dumps(plain).encode()
        world.source.commit(files, time=world.clock.now())
