from tests.server.driver import Fakes, running

from kedge import __version__
from kedge.model.errors import Unavailable
from kedge.model.health import Ailment, Sickness


async def test_probes_and_version_need_no_token():
    async with running(Fakes()) as client:
        assert (await client.get("/healthz", token=None)).json == {"status": "ok"}
        assert (await client.get("/readyz", token=None)).json == {"status": "ready"}
        assert (await client.get("/version", token=None)).json["version"] == __version__


async def test_a_store_that_does_not_answer_makes_the_server_unready_but_alive():
    async def down():
        raise Unavailable("/secret/path is gone")

    fakes = Fakes()
    fakes.store.heads = down
    async with running(fakes) as client:
        answer = await client.get("/readyz", token=None)
        assert (answer.status, b"secret" in answer.body) == (503, False)
        assert (await client.get("/healthz", token=None)).status == 200


async def test_metrics_show_the_vitals_and_count_requests_by_status():
    async with running(Fakes()) as client:
        await client.get("/nothing")
        text = (await client.get("/metrics")).body.decode()
    assert "kedge_units 0.0" in text
    assert "kedge_turns_total 3.0" in text
    assert 'kedge_http_requests_total{status="4xx"} 1.0' in text


async def test_metrics_show_of_each_cluster_what_is_wrong_and_how_old_its_watches_are():
    away = Ailment("no answer", 999_940.0, Sickness.UNREACHABLE)
    async with running(Fakes(fresh={"default": 999_990.0}, ailing={"prod": away})) as client:
        text = (await client.get("/metrics")).body.decode()
    assert 'kedge_cluster_trouble{cluster="prod",kind="unreachable"} 1.0' in text
    assert 'kedge_cluster_trouble{cluster="prod",kind="throttled"} 0.0' in text
    assert 'kedge_cluster_trouble{cluster="default",kind="unreachable"} 0.0' in text
    assert 'kedge_cluster_trouble_seconds{cluster="prod"} 60.0' in text
    assert 'kedge_cluster_watch_age_seconds{cluster="default"} 10.0' in text
    assert 'kedge_cluster_watch_age_seconds{cluster="prod"}' not in text


async def test_the_description_names_every_path_and_its_answer():
    async with running(Fakes()) as client:
        described = (await client.get("/openapi.json")).json
    units = described["paths"]["/api/v1/units"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert units["$ref"].endswith("/Units")
    assert "/api/v1/units/{project}/{name}/rollback:preview" in described["paths"]


async def test_an_unknown_path_and_a_wrong_method_are_problems():
    async with running(Fakes()) as client:
        missing = await client.get("/api/v2/units")
        assert (missing.status, missing.headers["content-type"]) == (404, "application/problem+json")
        assert (await client.post("/api/v1/units", {})).status == 405
