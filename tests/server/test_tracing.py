import pytest
from tests import builders
from tests.server.driver import Fakes, running

from kedge.model.declaration import Cluster
from kedge.model.errors import Invalid, Unavailable
from kedge.model.family import Lineage
from kedge.model.ref import Ref

DEPLOYED = builders.ref("Deployment", "web")
SET = Ref("apps", "ReplicaSet", "web", "web-1")
POD = Ref("", "Pod", "web", "web-1-x")


@pytest.fixture
def fakes():
    fakes = Fakes()
    fakes.put(builders.dossier(applied=builders.revision("c" * 40)))
    fakes.store.claimed["default", DEPLOYED] = "shop/web"
    return fakes


async def test_an_object_is_traced_to_its_author_without_asking_the_cluster(fakes):
    fakes.live.broken = Unavailable("the cluster is gone")
    async with running(fakes) as client:
        found = (await client.get("/api/v1/trace?group=apps&kind=Deployment&namespace=web&name=web")).json
    assert (found["unit"], found["revision"]["author"], found["via"]) == ("shop/web", "Mona", [])


async def test_a_pod_is_traced_up_its_owners_and_no_further_than_the_unit_s_own(fakes):
    above = Ref("example.org", "Shop", "web", "all")
    fakes.live.lineages["default", "po", "web", "web-1-x"] = Lineage((POD, SET, DEPLOYED, above), "nobody")
    async with running(fakes) as client:
        found = (await client.get("/api/v1/trace?kind=po&namespace=web&name=web-1-x")).json
    assert (found["object"], found["unit"]) == ("Pod web/web-1-x", "shop/web")
    assert found["via"] == ["apps/ReplicaSet web/web-1", "apps/Deployment web/web"]


async def test_a_group_is_asked_for_as_kubectl_writes_it(fakes, monkeypatch):
    async def clusters():
        return (Cluster("prod"),)

    monkeypatch.setattr(fakes.store, "clusters", clusters)
    fakes.live.lineages["prod", "deploy.apps", "", "web"] = Lineage((DEPLOYED,), "nobody")
    fakes.store.claimed["prod", DEPLOYED] = "shop/web"
    async with running(fakes) as client:
        found = (await client.get("/api/v1/trace?group=apps&kind=deploy&name=web&cluster=prod")).json
        assert (found["unit"], found["cluster"]) == ("shop/web", "prod")
        other = await client.get("/api/v1/trace?group=apps&kind=deploy&name=web&cluster=nowhere")
    assert (other.status, other.error["what"]) == (404, "there is no cluster nowhere")


async def test_an_object_of_nobody_here_says_who_manages_it(fakes):
    stranger = Ref("apps", "Deployment", "web", "other")
    fakes.live.lineages["default", "po", "web", "x"] = Lineage((POD, SET, stranger), "Helm (release web/other)")
    async with running(fakes) as client:
        answer = await client.get("/api/v1/trace?kind=po&namespace=web&name=x")
    assert answer.status == 404
    assert answer.error["what"] == (
        "no unit owns Pod web/web-1-x, of apps/Deployment web/other, in cluster default:"
        " it is managed by Helm (release web/other)"
    )


async def test_what_is_not_there_what_is_no_kind_and_a_cluster_that_is_gone_are_three_answers(fakes):
    path = "/api/v1/trace?kind=cm&name=x"
    async with running(fakes) as client:
        missing = await client.get(path)
        assert (missing.status, missing.error["what"]) == (404, "there is no cm x in cluster default")
        fakes.live.broken = Invalid("this cluster serves no kind “cm”")
        assert (await client.get(path)).status == 422
        fakes.live.broken = Unavailable("no answer")
        gone = await client.get(path)
        assert gone.status == 503
        assert "can not be asked: no answer" in gone.error["what"]


async def test_a_unit_that_left_is_a_trace_without_end_and_not_a_crash(fakes):
    fakes.store.claimed["default", DEPLOYED] = "shop/gone"
    async with running(fakes) as client:
        answer = await client.get("/api/v1/trace?group=apps&kind=Deployment&namespace=web&name=web")
    assert answer.status == 404
