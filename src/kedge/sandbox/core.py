"""The sandbox itself: one function from a request to a response, and ``tick`` for what the controllers still owe."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from kedge.sandbox import controllers, definitions, seeding
from kedge.sandbox.call import Call, call_of
from kedge.sandbox.cluster import Cluster, Options
from kedge.sandbox.deletes import delete, delete_collection
from kedge.sandbox.discovery import discover, version
from kedge.sandbox.fields import Fields
from kedge.sandbox.kinds import verbs_of
from kedge.sandbox.openapi import openapi
from kedge.sandbox.problems import Problem, method_not_allowed
from kedge.sandbox.reads import collection, get
from kedge.sandbox.routes import Target, route
from kedge.sandbox.store import Store
from kedge.sandbox.subresources import finalize, log, post, review, scale, scale_of
from kedge.sandbox.wire import Request, Response, answer
from kedge.sandbox.writes import create, patch, update

WHOLE = ("", "status", "ephemeralcontainers")  # these are read and written as the object itself
HEALTH = frozenset({"/healthz", "/readyz", "/livez"})


class Sandbox:
    """A Kubernetes API over nothing but memory.

    ``now`` answers epoch seconds, ``entropy(size)`` so many random bytes as hex; both are the caller's, so the same
    calls give the same answers. ``snapshot`` is what an earlier sandbox's ``save`` gave. Not for use from several
    threads.
    """

    def __init__(
        self,
        fields: Fields,
        now: Callable[[], float],
        entropy: Callable[[int], str],
        options: Options | None = None,
        snapshot: bytes | None = None,
    ) -> None:
        chosen = options or Options()
        self.cluster = Cluster(now, entropy, chosen, Store(keep=chosen.keep), fields)
        self._wake: Callable[[], None] | None = None
        if snapshot:
            self._load(snapshot)
        controllers.attach(self.cluster)
        if not snapshot:
            seeding.seed(self.cluster)

    def handle(self, request: Request) -> Response:
        """Answers one request. A refusal is a response, too; anything that is raised is a bug of the sandbox."""
        try:
            return self._answer(request)
        except Problem as problem:
            return problem.response()

    def tick(self) -> bool:
        """Does what is due by now: controllers, bookmarks, ends of watches. Answers whether anything was done."""
        worked = controllers.run(self.cluster) if self.cluster.options.controllers else False
        return controllers.run_watches(self.cluster) or worked

    def settle(self, limit: int = 1000) -> None:
        """Ticks until nothing is due now; later work stays for later."""
        for _ in range(limit):
            if not self.tick():
                return

    def due(self) -> float | None:
        """When ``tick`` will next have something to do (epoch seconds), or None when nothing waits."""
        return controllers.due(self.cluster)

    @property
    def version(self) -> int:
        """The newest resource version: changes whenever anything is written."""
        return self.cluster.store.rv

    def save(self) -> bytes:
        """Everything that survives a restart, as bytes for ``snapshot``."""
        return orjson.dumps(self.cluster.store.save())

    def _load(self, snapshot: bytes) -> None:
        cluster = self.cluster
        cluster.store.load(orjson.loads(snapshot))
        for stored in cluster.store.scan(definitions.KEY):
            if any(item["type"] == "Established" for item in (stored.obj.get("status") or {}).get("conditions") or ()):
                definitions.serve(cluster, stored.obj)
        for stored in cluster.store.scan("services."):
            meta = stored.meta
            cluster.addresses[stored.obj["spec"].get("clusterIP", "")] = cluster.store.uids[meta["uid"]]

    def _answer(self, request: Request) -> Response:
        path = request.path
        if not path.startswith(("/api/", "/apis/")) or path.count("/") < 3:
            found = self._around(request)
            if found is not None:
                return found
        found = discover(self.cluster, request) if path.count("/") <= 3 else None
        if found is not None:
            return found
        return self._resource(request, route(self.cluster, path))

    def _around(self, request: Request) -> Response | None:
        path = request.path.rstrip("/") or "/"
        if path in HEALTH or path.rpartition("/")[0] in HEALTH:
            return Response(200, {"content-type": "text/plain"}, b"ok")
        if path == "/version":
            return answer(version(self.cluster))
        if path.startswith("/openapi/"):
            return openapi(self.cluster, path)
        if path == "/":
            return answer(
                {"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]}
            )
        return None

    def _resource(self, request: Request, target: Target) -> Response:
        method = request.method
        if method == "GET":
            return self._read(request, target)
        call = call_of(self.cluster, request, target)
        if "virtual" in target.kind.subresources:
            if method != "POST":
                raise method_not_allowed()
            return review(call)
        if "readonly" in target.kind.subresources:
            raise method_not_allowed()
        if target.subresource == "scale" and method in ("PUT", "PATCH"):
            return scale(call)
        if method == "POST":
            return post(call) if target.subresource else create(call) if not target.name else _refuse()
        if method == "DELETE" and not target.subresource:
            return delete(call) if target.name else _collection_of(call)
        if not target.name or method not in ("PUT", "PATCH"):
            raise method_not_allowed()
        if target.subresource == "finalize" and method == "PUT":
            return finalize(call)
        if target.subresource not in WHOLE:
            raise method_not_allowed()
        return update(call) if method == "PUT" else patch(call)

    def _read(self, request: Request, target: Target) -> Response:
        if "virtual" in target.kind.subresources:
            raise method_not_allowed()
        if not target.name or request.watching:
            return collection(self.cluster, request, target)
        if target.subresource == "log":
            return log(self.cluster, request, target)
        if target.subresource not in (*WHOLE, "scale"):
            raise method_not_allowed()
        if target.subresource == "scale":
            stored = self.cluster.store.at(target.place)
            return answer(scale_of(target, stored)) if stored else get(self.cluster, request, target)
        return get(self.cluster, request, target)


def _collection_of(call: Call) -> Response:
    if "deletecollection" not in verbs_of(call.target.kind):
        raise method_not_allowed()
    return delete_collection(call)


def _refuse() -> Response:
    raise method_not_allowed()
