"""Who is woken by a change, and whose turn it is."""

from __future__ import annotations

from collections.abc import Callable

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.controllers import batch, definition, garbage, pods, rollouts, sets, singles
from kedge.sandbox.controllers.making import event
from kedge.sandbox.problems import Problem
from kedge.sandbox.store import Happening, Place, Stored

UNREADABLE = "Unreadable"
Step = Callable[[Cluster, Place, Stored], None]

STEPS: dict[str, Step] = {
    "pods.": pods.step,
    "deployments.apps": rollouts.deployment,
    "replicasets.apps": rollouts.replica_set,
    "statefulsets.apps": sets.stateful_set,
    "daemonsets.apps": sets.daemon_set,
    "jobs.batch": batch.job,
    "services.": singles.service,
    "ingresses.networking.k8s.io": singles.ingress,
    "persistentvolumeclaims.": singles.claim,
    "horizontalpodautoscalers.autoscaling": singles.autoscaler,
    "poddisruptionbudgets.policy": singles.budget,
    "apiservices.apiregistration.k8s.io": singles.api_service,
    "namespaces.": garbage.namespace,
    definition.KEY: definition.step,
}


def attach(cluster: Cluster) -> None:
    """Lets every change wake whom it concerns; after a restart everything is looked at once."""
    cluster.store.listeners.append(lambda happening: _observe(cluster, happening))
    for key in STEPS:
        for stored in cluster.store.scan(key):
            cluster.wake(Place(key, stored.meta.get("namespace", ""), stored.meta["name"]))


def _observe(cluster: Cluster, happening: Happening) -> None:
    store, place, new = cluster.store, happening.place, happening.new
    if new is not None and (place.key in STEPS or garbage.concerned(cluster, new)):
        cluster.wake(place)
    seen = new or happening.old
    if seen is not None:
        _wake_owners(cluster, seen, further=new is None)
    if new is None and happening.old is not None:
        for child in store.children.get(happening.old.uid, {}):
            cluster.wake(child)
        cluster.instants.pop(happening.old.uid, None)
        if place.namespace:
            _wake_ending_namespace(cluster, place.namespace)
        if place.key not in STEPS:
            _wake_ending_definition(cluster, place.key)


def _wake_owners(cluster: Cluster, stored: Stored, further: bool) -> None:
    """A removal concerns the owner's owner, too: a Deployment waits for the pods of its old set to be gone."""
    for owner in stored.meta.get("ownerReferences") or ():
        place = cluster.store.uids.get(owner["uid"])
        if place is None:
            continue
        cluster.wake(place)
        parent = cluster.store.at(place)
        if further and parent is not None:
            _wake_owners(cluster, parent, further=False)


def _wake_ending_namespace(cluster: Cluster, name: str) -> None:
    space = cluster.store.get("namespaces.", "", name)
    if space is not None and space.meta.get("deletionTimestamp"):
        cluster.wake(Place("namespaces.", "", name))


def _wake_ending_definition(cluster: Cluster, key: str) -> None:
    stored = cluster.store.get(definition.KEY, "", key)
    if stored is not None and stored.meta.get("deletionTimestamp"):
        cluster.wake(Place(definition.KEY, "", key))


def run(cluster: Cluster) -> bool:
    """One turn of everything that is due. What it wakes has its turn in the next call."""
    ready = cluster.ready()
    for place in ready:
        stored = cluster.store.at(place)
        if stored is not None:
            _guarded(cluster, place, stored)
    return bool(ready)


def _guarded(cluster: Cluster, place: Place, stored: Stored) -> None:
    """One step; an object that no step can read, or that leads to what nobody could write, stays as it is until it
    changes, and an event says why: one odd object stops no controller."""
    step = STEPS.get(place.key)
    try:
        if not garbage.step(cluster, place, stored) and step is not None:
            step(cluster, place, stored)
    except Problem as problem:
        event(cluster, stored, "FailedCreate", f"Error creating: {problem.message}", warning=True)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        told = f"the sandbox cannot read this object and leaves it alone: {type(error).__name__}: {error}"
        event(cluster, stored, UNREADABLE, told[:1024], warning=True)


def run_watches(cluster: Cluster) -> bool:
    """Bookmarks that are due, and the end of watches whose time is over."""
    now, worked = cluster.now(), False
    for watch in cluster.watches.all():
        if watch.deadline is not None and now >= watch.deadline:
            if watch.bookmarks:
                watch.bookmark(cluster.store.rv)
            watch.close()
            worked = True
        elif watch.bookmarks and now >= watch.next_bookmark:
            watch.bookmark(cluster.store.rv)
            watch.next_bookmark = now + cluster.options.bookmark
            worked = True
    return worked


def due(cluster: Cluster) -> float | None:
    """The earliest moment at which a turn or a watch has something to do."""
    moments = [cluster.queue[0][0]] if cluster.queue and cluster.options.controllers else []
    for watch in cluster.watches.all():
        if watch.deadline is not None:
            moments.append(watch.deadline)
        if watch.bookmarks:
            moments.append(watch.next_bookmark)
    return min(moments, default=None)
