from tests import builders
from tests.server.driver import Fakes, running, synced

from kedge.model.declaration import Cluster
from kedge.model.enlistment import Head, RootState
from kedge.model.errors import Problem, Where
from kedge.model.event import Event
from kedge.model.health import Ailment


async def test_a_source_shows_its_problem_and_how_old_its_head_is():
    fakes = Fakes()
    fakes.store.known_heads = [
        Head("https://a:secret@git.example.com/good", "main", builders.revision(), 999_940.0),
        Head("file:///bad", "main", None, 999_000.0, "cannot be reached"),
    ]
    async with running(fakes) as client:
        answer = await client.get("/api/v1/sources")
    bad, good = answer.json["items"]
    assert (bad["problem"], bad["age"]) == ("cannot be reached", 1000.0)
    assert (good["repository"], good["age"]) == ("https://git.example.com/good", 60.0)
    assert b"secret" not in answer.body


async def test_a_root_shows_what_is_wrong_with_it_and_where():
    problem = Problem("there is no field “spce”", Where("x.yaml", 3), "spec")
    fakes = Fakes()
    fakes.store.known_roots = [RootState("admin", None, False, (problem,), 5.0)]
    async with running(fakes) as client:
        root = (await client.get("/api/v1/roots")).json["items"][0]
    assert (root["complete"], root["problems"][0]["where"]) == (False, "x.yaml, line 3")


async def test_a_cluster_that_is_not_watched_says_so():
    fakes = Fakes(fresh={"default": 999_999.0})
    fakes.put(builders.dossier(**synced()))
    async with running(fakes) as client:
        found = (await client.get("/api/v1/clusters")).json["items"]
        well = {"server": "", "reason": "", "reasonAge": None}
        assert found == [{"name": "default", "fresh": 999_999.0, "age": 1.0, "units": 1, **well}]
        fakes.fresh.clear()
        assert (await client.get("/api/v1/clusters")).json["items"][0]["fresh"] is None


async def test_the_record_is_read_from_either_end():
    fakes = Fakes()
    for number in range(5):
        fakes.store.seal(Event("unit.sync", float(number), "admin", unit="shop/web" if number % 2 else "shop/api"))
    async with running(fakes) as client:
        newest = (await client.get("/api/v1/events?limit=2")).json
        assert ([event["id"] for event in newest["items"]], newest["next"]) == ([5, 4], 4)
        oldest = (await client.get("/api/v1/events?after=0&limit=2")).json
        assert ([event["id"] for event in oldest["items"]], oldest["next"]) == ([1, 2], 2)
        one = (await client.get("/api/v1/events?unit=shop/web")).json
        assert [event["id"] for event in one["items"]] == [4, 2]


async def test_a_declared_cluster_in_trouble_comes_first_and_says_why_and_since_when():
    fakes = Fakes(fresh={"default": 999_999.0}, ailing={"prod": Ailment("its certificate has expired", 999_940.0)})
    fakes.put(builders.dossier(**synced()))
    fakes.store.known_clusters = (Cluster("prod", "https://prod.example.com"), Cluster("idle", "https://idle"))
    async with running(fakes) as client:
        found = (await client.get("/api/v1/clusters")).json["items"]
    assert [row["name"] for row in found] == ["prod", "default", "idle"]
    trouble = {"reason": "its certificate has expired", "reasonAge": 60.0}
    here = {"name": "prod", "server": "https://prod.example.com", "units": 0, "fresh": None, "age": None}
    assert found[0] == here | trouble
