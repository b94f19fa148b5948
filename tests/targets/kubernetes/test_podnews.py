"""What is news of Pods, and what becomes of those who may not watch them."""

from __future__ import annotations

from typing import Any

from tests.doors.kube_world import DEPLOYMENTS, WEB, World, deployment, staged

from kedge.kube.client import Client
from kedge.targets.kubernetes.podnews import LOOK_AGAIN, PodNews, runs_of


def pod(restarts: int = 0, state: str = "running") -> dict[str, Any]:
    return {"status": {"containerStatuses": [{"name": "web", "restartCount": restarts, "state": {state: {}}}]}}


def test_a_run_is_told_from_the_one_before_and_from_what_waits() -> None:
    assert runs_of(pod()) == runs_of(pod())
    assert len({runs_of(pod()), runs_of(pod(1)), runs_of(pod(state="waiting")), runs_of({})}) == 4


async def news_of(world: World) -> tuple[PodNews, Client]:
    client = (await world.target._site(WEB)).client
    return PodNews(client, ["web"]), client


@staged
async def test_there_is_no_news_until_a_pod_comes(world: World) -> None:
    news, _ = await news_of(world)
    hearing = world.spawner.start(news.hear("web"), "pods")
    await news.wait()  # what was there when the watch began
    waiting = world.spawner.start(news.wait(), "news")
    await world.clock.sleep(600)
    assert not waiting.done()
    world.call("POST", DEPLOYMENTS, deployment())
    await world.clock.sleep(1)
    assert waiting.done()
    hearing.cancel()


@staged
async def test_who_may_not_watch_pods_looks_every_few_seconds(world: World) -> None:
    news, _ = await news_of(world)
    handle = world.transport._handle

    def guarded(method: str, path: str, query: Any, headers: Any, body: Any) -> Any:
        if method == "GET" and path.endswith("/pods"):
            return handle("GET", "/api/v1/namespaces/web/pods/none/log", {}, headers, body)
        return handle(method, path, query, headers, body)

    world.transport._handle = guarded
    hearing = world.spawner.start(news.hear("web"), "pods")
    for _ in range(3):
        began = world.clock.monotonic()
        await news.wait()
        assert world.clock.monotonic() - began <= LOOK_AGAIN
    hearing.cancel()
