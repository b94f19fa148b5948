"""What machines ask about the server itself: probes, version, metrics, the API's description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kedge import __version__
from kedge.model.errors import KedgeError
from kedge.model.health import Sickness
from kedge.server import answers
from kedge.server.access import Reader
from kedge.server.answers import answer
from kedge.server.desk import Desk
from kedge.server.hub import Hub
from kedge.server.problems import problem
from kedge.server.reading import desk_of

router = APIRouter(tags=["server"])


class Vitals(Collector):
    """Reads the gauges when they are asked for, so that nothing is counted twice."""

    def __init__(self, desk: Desk, hub: Hub) -> None:
        self._desk = desk
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        values: Mapping[str, float] = {**self._desk.vitals(), "stream_clients": float(len(self._hub))}
        for name, value in sorted(values.items()):
            text = name.replace("_", " ")
            if name.endswith("_total"):
                yield CounterMetricFamily(f"kedge_{name}", text, value=value)
            else:
                yield GaugeMetricFamily(f"kedge_{name}", text, value=value)
        yield from self._clusters()

    def _clusters(self) -> Iterator[Metric]:
        """One row a cluster and kind of trouble, 0 or 1, and the age of its watches: silence is no number."""
        trouble = GaugeMetricFamily(
            "kedge_cluster_trouble", "whether a cluster is in this kind of trouble", labels=["cluster", "kind"]
        )
        since = GaugeMetricFamily(
            "kedge_cluster_trouble_seconds", "for how long a cluster has been in trouble", labels=["cluster"]
        )
        watched = GaugeMetricFamily(
            "kedge_cluster_watch_age_seconds", "since when the watches of a cluster tell nothing", labels=["cluster"]
        )
        now = self._desk.clock.now()
        for name, ailment in sorted(self._desk.ailments().items()):
            for kind in Sickness:
                trouble.add_metric([name, kind.value], float(ailment is not None and ailment.kind is kind))
            since.add_metric([name], max(0.0, now - ailment.since) if ailment is not None else 0.0)
            if (fresh := self._desk.fresh(name)) is not None:
                watched.add_metric([name], max(0.0, now - fresh))
        yield from (trouble, since, watched)


class Meters:
    """A registry of the server's own: requests by status class, and the desk's vitals."""

    def __init__(self, desk: Desk, hub: Hub) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(Vitals(desk, hub))
        self._requests = Counter(
            "kedge_http_requests", "HTTP requests by status class", ["status"], registry=self.registry
        )

    def served(self, status: int) -> None:
        self._requests.labels(f"{status // 100}xx").inc()


@router.get("/healthz", response_model=answers.Probe)
async def healthz() -> Response:
    """The process is alive."""
    return answer(answers.Probe("ok"))


@router.get("/readyz", response_model=answers.Probe)
async def readyz(request: Request) -> Response:
    """The store answers."""
    try:
        await desk_of(request).store.heads()
    except KedgeError:
        return problem(503, "the store does not answer", hint="see the server's log", kind="Unavailable")
    return answer(answers.Probe("ready"))


@router.get("/version", response_model=answers.Version)
async def version() -> Response:
    return answer(answers.Version(__version__))


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, person: Reader) -> Response:
    """For Prometheus. Few labels: nothing here grows with the fleet, only with the clusters."""
    meters: Meters = request.app.state.meters
    return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/openapi.json", response_class=Response)
async def openapi(request: Request, person: Reader) -> Response:
    return answer(request.app.openapi())
