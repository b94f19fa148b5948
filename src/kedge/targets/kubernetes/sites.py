"""The clusters that are in use: opened when they are needed, looked after, and replaced when they are reached anew.

How a cluster is reached is looked up again every `RENEW` seconds: a declaration, a secret or a mounted token that
changed takes effect without a restart. A new token is sent by the connection that is there; anything else (another
server, authority or client certificate) makes a new site, whose watches begin from nothing, for it may be another
cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from kedge.kube.client import Client
from kedge.kube.kubeconfig import Access
from kedge.kube.pulse import Ailing
from kedge.kube.transport import Transport
from kedge.model.dossier import Home
from kedge.model.errors import Denied, Invalid, KedgeError, Unavailable
from kedge.model.health import Ailment, Sickness
from kedge.model.rule import HealthRule
from kedge.ports import Clock, Entropy
from kedge.spawn import Spawner
from kedge.targets.kubernetes.explain import Explainer
from kedge.targets.kubernetes.index import Index
from kedge.targets.kubernetes.judging import PLAIN, Judging, concerns
from kedge.targets.kubernetes.replicas import Autoscalers
from kedge.targets.kubernetes.site import Site
from kedge.targets.kubernetes.slot import Slot

RENEW = 10.0
"""Seconds between two looks at how each cluster in use is reached."""

MOST_UNITS = 20_000
"""Units of one cluster that are remembered, those that asked last: nobody tells us which of them are gone."""

Connect = Callable[[str], Awaitable[Transport]]
Reach = Callable[[str, str], Awaitable[Access]]
"""How a cluster is reached, given a token that it has refused ("": none)."""


@dataclass(frozen=True, slots=True)
class Means:
    """What sites are made of. `reach` None: how a cluster is reached never changes."""

    connect: Connect
    reach: Reach | None
    clock: Clock
    entropy: Entropy
    spawner: Spawner
    judging: Judging = PLAIN


@dataclass(slots=True)
class Post:
    """What is known of a cluster, while it has a site and while it has none.

    `access` is what the site was opened with, `home` which cluster answered it. `units` have asked for the
    cluster; for those of `failed`, something went wrong the last time."""

    name: str
    site: Site | None = None
    access: Access | None = None
    ailing: Ailing | None = None
    units: dict[str, None] = field(default_factory=dict)
    failed: dict[str, None] = field(default_factory=dict)
    explaining: asyncio.Task[None] | None = None
    probing: asyncio.Task[None] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    home: Home | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def refused(self) -> str:
        """The token that the cluster does not accept, "" while it is not known to refuse one."""
        ailment = self.site.client.asker.pulse.ailment if self.site is not None else None
        refuses = ailment is not None and ailment.kind is Sickness.REFUSED
        return self.access.token if refuses and self.access is not None else ""


class Minding:
    """Remembers at a post whether what a unit asked of it went wrong."""

    __slots__ = ("_post", "_unit")

    def __init__(self, post: Post, unit: str) -> None:
        self._post, self._unit = post, unit

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _where: object) -> None:
        if error is None:
            self._post.failed.pop(self._unit, None)
        elif isinstance(error, KedgeError):
            self._post.failed[self._unit] = None


class Sites:
    """Sites by cluster. `heard(slot, what)` is rung by watches, `again(cluster, unit)` where a unit may get on now."""

    def __init__(self, means: Means, heard: Callable[[Slot, str], None], again: Callable[[str, str], None]) -> None:
        self._means = means
        self._heard = heard
        self._again = again
        self._posts: dict[str, Post] = {}
        self._minder: asyncio.Task[None] | None = None

    def get(self, cluster: str) -> Site | None:
        post = self._posts.get(cluster)
        return post.site if post is not None else None

    def judge_by(self, rules: Sequence[HealthRule]) -> None:
        """Judge by these rules from now on, and what they concern at once. Raises Invalid."""
        moved = self._means.judging.replace(rules)
        for post in self._posts.values():
            index = post.site.index if post.site is not None and moved else None
            for slot in list(index.slots()) if index is not None else ():
                if index is not None and concerns(moved, slot.ref):
                    index.rejudge(slot)

    def ailment(self, cluster: str) -> Ailment | None:
        """Why a cluster can not be opened, or does not answer; None while nothing is known to be wrong."""
        post = self._posts.get(cluster)
        if post is None:
            return None
        if post.site is not None:
            return post.site.client.asker.pulse.ailment
        return post.ailing.told(self._means.clock) if post.ailing is not None else None

    def minding(self, cluster: str, unit: str) -> Minding:
        """Around whatever a unit asks of a cluster: when it went wrong, the unit is rung as soon as the cluster is well
        again."""
        post = self._post(cluster)
        post.units.pop(unit, None)
        post.units[unit] = None
        if len(post.units) > MOST_UNITS:
            del post.units[next(iter(post.units))]
        return Minding(post, unit)

    async def open(self, cluster: str) -> Site:
        """The cluster's site. Raises what `connect` does: Invalid, Denied and Unavailable."""
        post = self._post(cluster)
        async with post.lock:
            return post.site or await self._opened(post)

    async def home(self, cluster: str) -> Home:
        """Which cluster it is, asked of it once while it has a site. Raises what `open` and a read do."""
        post = self._post(cluster)
        if post.site is not None and post.home is not None:
            return post.home
        site = await self.open(cluster)
        async with post.asking:
            if post.home is None or post.site is not site:
                server = post.access.server if post.access is not None else ""
                found = Home(server, await site.identity())
                if post.site is not site:
                    return found
                post.home = found
            return post.home

    async def close(self) -> None:
        for post in list(self._posts.values()):
            await self._closed(post)

    def _post(self, cluster: str) -> Post:
        found = self._posts.get(cluster)
        if found is None:
            found = self._posts[cluster] = Post(cluster)
            if self._minder is None and self._means.reach is not None:
                self._minder = self._means.spawner.start(self._mind(), "clusters")
        return found

    async def _opened(self, post: Post) -> Site:
        means = self._means
        try:
            # Looked up first: what changes in between makes one site too many, never one that is not renewed.
            access = await means.reach(post.name, "") if means.reach is not None else None
            client = Client(await means.connect(post.name), means.clock, means.entropy)
        except KedgeError as error:
            since = post.ailing.since if post.ailing is not None else means.clock.monotonic()
            post.ailing = Ailing(str(error), since)
            raise
        client.asker.pulse.recovered = lambda: self._ring(post, post.failed)
        index = Index(post.name, client, means.spawner, self._heard, means.judging)
        post.explaining = means.spawner.start(Explainer(client, index).run(), f"explain {post.name}")
        post.access, post.ailing = access, None
        post.site = Site(post.name, client, index, Autoscalers(client))
        return post.site

    async def _closed(self, post: Post) -> None:
        site, post.site, post.access, post.home = post.site, None, None, None
        if post.explaining is not None:
            post.explaining.cancel()
        if site is not None:
            site.index.close()
            await site.client.close()

    async def _mind(self) -> None:
        while True:
            await self._means.clock.sleep(RENEW)
            for post in list(self._posts.values()):
                async with post.lock:
                    await self._renew(post)
                    await self._look_for_awaited(post)
                self._probe(post)

    async def _renew(self, post: Post) -> None:
        """Take up what has changed since the site was opened, or could not be."""
        if self._means.reach is None:
            return
        try:
            if post.site is None:
                if post.failed or post.ailing is not None:
                    await self._opened(post)
                    self._ring(post, post.failed)
                return
            access = await self._means.reach(post.name, post.refused)
        except Unavailable:
            return
        except (Invalid, Denied) as error:
            if post.site is not None:
                await self._closed(post)
                post.ailing = Ailing(str(error), self._means.clock.monotonic())
                self._ring(post, post.units)
            return
        await self._compared(post, post.site, access)

    def _probe(self, post: Post) -> None:
        """Ask a cluster in trouble whether that is over: at rest nobody does, and its watches try ever more seldom.
        Beside the round, for one that is silent must not hold up the others."""
        site = post.site
        if site is None or site.client.asker.pulse.ailment is None or (post.probing and not post.probing.done()):
            return
        post.probing = self._means.spawner.start(_probed(site), f"probe {post.name}")

    async def _look_for_awaited(self, post: Post) -> None:
        site = post.site
        if site is None:
            return
        for look in (site.awaited.arrived(site.client.discovery), site.awaited.appeared(site.has_namespace)):
            try:
                arrived = await look
            except (Unavailable, Denied):
                continue  # whoever waits is still waiting
            self._ring(post, dict.fromkeys(arrived))

    async def _compared(self, post: Post, site: Site, access: Access) -> None:
        before, post.access = post.access, access
        if before is None or before == access:
            return
        if replace(before, token="") == replace(access, token=""):
            site.index.nudge()
            self._ring(post, post.failed)
            return
        await self._closed(post)
        self._ring(post, post.units)

    def _ring(self, post: Post, units: dict[str, None]) -> None:
        """Those whose trouble is not over come back to `units` by themselves."""
        ringing = list(units)
        units.clear()
        for unit in ringing:
            self._again(post.name, unit)


async def _probed(site: Site) -> None:
    try:
        await site.client.version()
    except (Unavailable, Denied):
        return  # the pulse has heard why
    site.index.nudge()
