"""A person looks at what runs, and touches it: from the command line to the cluster, and back to Git."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.e2e.stories import PROJECT, application
from tests.e2e.world import PATIENCE, World, standing

from kedge.kube.kubeconfig import Access

pytestmark = pytest.mark.e2e

SPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: main, image: "nginx:{tag}"}}]}}
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n"
DATABASE = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 1
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: "db:1"}]}
"""
NIGHTLY = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "* * * * *"
  suspend: true
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox}]}}}}
"""


def shop(tag: int = 1) -> dict[str, str | None]:
    return {
        ".kedge/shop.yaml": f"{PROJECT}---{application('web')}",
        "apps/web/space.yaml": SPACE,
        "apps/web/web.yaml": DEPLOYMENT.format(name="web", replicas="replicas: 2", tag=tag),
        "apps/web/free.yaml": DEPLOYMENT.format(name="free", replicas="minReadySeconds: 0", tag=tag),
        "apps/web/service.yaml": SERVICE,
        "apps/web/db.yaml": DATABASE,
        "apps/web/nightly.yaml": NIGHTLY,
    }


async def family(world: World) -> dict[str, list[dict[str, Any]]]:
    """Children by the `Kind/name` of their owner."""
    found = (await world.kedge("tree", "web", "-o", "json")).json
    assert found["notes"] == []
    below: dict[str, list[dict[str, Any]]] = {}
    for child in found["children"]:
        _, kind, _, name = child["owner"].split("/")
        below.setdefault(f"{kind}/{name}", []).append(child)
    return below


async def pods_of(world: World, name: str) -> list[str]:
    below = await family(world)
    sets = [child["name"] for child in below.get(f"Deployment/{name}", ())]
    return sorted(pod["name"] for one in sets for pod in below.get(f"ReplicaSet/{one}", ()))


async def deployment(world: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = await world.call("GET", f"/apis/apps/v1/namespaces/web/deployments/{name}")
    return found


async def runs(world: World) -> int:
    return len(await world.house.doors.store.operations("shop/web"))


async def test_a_tree_has_the_cluster_s_own_objects_and_each_leads_back_to_its_author(
    tmp_path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        world.repository.write(shop())
        commit = world.pushed("begin")
        await world.synced("shop/web", commit)
        below = await family(world)
        (replica_set,) = below["Deployment/web"]
        pods = below[f"ReplicaSet/{replica_set['name']}"]
        assert [(pod["kind"], pod["status"]) for pod in pods] == [("Pod", "Healthy")] * 2
        assert [pod["name"] for pod in below["StatefulSet/db"] if pod["kind"] == "Pod"] == ["db-0"]
        assert "Pod web/db-0" in (await world.kedge("tree", "web")).out
        for what in (f"pod/{pods[0]['name']}", "PO/db-0", "deploy/web", "deployments.apps/web"):
            traced = await world.kedge("trace", what, "-n", "web", "-o", "json")
            assert traced.code == 0, traced.err
            assert (traced.json["unit"], traced.json["revision"]["commit"]) == ("shop/web", commit)
            assert traced.json["revision"]["author"] == "Mona"
        stranger = await world.kedge("trace", "sa/default", "-n", "kube-system")
        assert stranger.code == 2
        assert "no unit owns ServiceAccount kube-system/default" in stranger.err


async def test_a_job_that_a_cron_job_began_and_a_volume_claim_of_a_stateful_set_are_found(
    tmp_path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        claims = "  volumeClaimTemplates:\n  - metadata: {name: data}\n    spec:\n      accessModes: [ReadWriteOnce]\n"
        claims += "      resources: {requests: {storage: 1Gi}}\n"
        world.repository.write({**shop(), "apps/web/db.yaml": DATABASE + claims})
        world.pushed("begin")
        dossier = await world.until("shop/web", lambda found: len(found.inventory) == 6)
        nightly = next(owned for owned in dossier.inventory if owned.ref.kind == "CronJob")
        async with asyncio.timeout(PATIENCE):
            while (live := await world.call("GET", "/apis/batch/v1/namespaces/web/cronjobs/nightly")) is None:
                await asyncio.sleep(0.1)
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": live["metadata"]["uid"]}
        job = {
            "metadata": {"name": "nightly-1", "ownerReferences": [{**owner, "controller": True}]},
            "spec": live["spec"]["jobTemplate"]["spec"],
        }
        await world.call("POST", "/apis/batch/v1/namespaces/web/jobs", job)
        async with asyncio.timeout(PATIENCE):
            while True:
                below = await family(world)
                found = {f"{one['kind']}/{one['name']}" for one in below.get("StatefulSet/db", ())}
                if {"PersistentVolumeClaim/data-db-0"} <= found and below.get("Job/nightly-1"):
                    break
                await asyncio.sleep(0.2)
        assert [one["name"] for one in below[f"CronJob/{nightly.ref.name}"]] == ["nightly-1"]
        traced = await world.kedge("trace", "pvc/data-db-0", "-n", "web", "-o", "name")
        assert traced.out == "shop/web\n", traced.err


async def test_a_restart_is_on_record_and_no_sync_undoes_it(tmp_path, access: Access | None) -> None:
    async with standing(tmp_path, access=access) as world:
        world.repository.write(shop())
        await world.synced("shop/web", world.pushed("begin"))
        before, count = await pods_of(world, "web"), await runs(world)
        done = await world.kedge("restart", "web", "deploy/web", "-y", "--reason", "it forgot")
        assert done.code == 0, done.err
        async with asyncio.timeout(PATIENCE):
            while set(before) & set(after := await pods_of(world, "web")) or len(after) != 2:
                await asyncio.sleep(0.2)
        await world.synced("shop/web")
        assert await runs(world) == count, "a restart is no drift"
        told = (await world.kedge("get", "event", "web")).out
        assert "restart of apps/Deployment web/web (it forgot)" in told
        await world.kedge("sync", "web", "-y")
        world.repository.write(shop(tag=2))
        await world.synced("shop/web", world.pushed("newer"))
        template = (await deployment(world, "web"))["spec"]["template"]
        assert template["spec"]["containers"][0]["image"] == "nginx:2"
        assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]


async def test_a_scale_stays_where_git_is_silent_and_goes_back_where_it_is_not(tmp_path, access: Access | None) -> None:
    async with standing(tmp_path, access=access) as world:
        world.repository.write(shop())
        await world.synced("shop/web", world.pushed("begin"))
        count = await runs(world)
        assert (await world.kedge("scale", "web", "deploy/free", "3", "-y")).code == 0
        refused = await world.kedge("scale", "web", "deploy/web", "3", "-y")
        assert refused.code == 2
        assert "Git states" in refused.err
        assert (await deployment(world, "web"))["spec"]["replicas"] == 2
        await world.synced("shop/web")
        assert await runs(world) == count, "a scale that Git does not speak of is no drift"
        assert (await world.kedge("scale", "web", "deploy/web", "3", "-y", "--force")).code == 0
        await world.until("shop/web", lambda found: found.runs > count)
        await world.synced("shop/web")
        assert (await deployment(world, "web"))["spec"]["replicas"] == 2
        assert (await deployment(world, "free"))["spec"]["replicas"] == 3
        world.repository.write(shop(tag=2))
        await world.synced("shop/web", world.pushed("newer"))
        assert (await deployment(world, "free"))["spec"]["replicas"] == 3


async def test_what_pods_write_and_what_the_cluster_says_of_them_is_shown(tmp_path, access: Access | None) -> None:
    async with standing(tmp_path, access=access) as world:
        world.repository.write(shop())
        await world.synced("shop/web", world.pushed("begin"))
        (pod, _) = await pods_of(world, "web")
        said = await world.kedge("logs", "web", f"pod/{pod}", "--tail", "5")
        assert said.code == 0, said.err
        if access is None:
            assert said.out.startswith("starting main (nginx:1)\n")
        else:
            # nothing runs on a simulated node: that is said, and is no error
            assert f"{pod}/main: " in said.err
        assert world.access.token not in said.out + said.err
        about = {"apiVersion": "v1", "kind": "Pod", "namespace": "web", "name": pod}
        event = {"involvedObject": about, "reason": "Odd", "message": "it smells", "type": "Warning"}
        body = {"metadata": {"name": "odd"}, **event, "lastTimestamp": "2036-01-01T00:00:00Z"}
        await world.call("POST", "/api/v1/namespaces/web/events", body)
        told = (await world.kedge("get", "event", "web", "--objects")).out.splitlines()
        assert told[-1].split()[2:] == ["Warning", "Pod", f"web/{pod}", "Odd", "it", "smells"]
        if access is not None:
            # The scheduler writes its own in its own time.
            await world.said("Scheduled", "get", "event", "web", "--objects")


async def test_a_job_is_run_now_and_a_schedule_that_git_states_is_left_to_git(tmp_path, access: Access | None) -> None:
    async with standing(tmp_path, access=access) as world:
        world.repository.write(shop())
        commit = world.pushed("begin")
        await world.until("shop/web", lambda found: found.applied is not None and found.applied.commit == commit)
        listed = await world.kedge("act", "web", "cronjob/nightly")
        assert "start a Job now" in listed.out
        done = await world.kedge("act", "web", "cronjob/nightly", "run", "-y", "--reason", "the report is missing")
        assert done.code == 0, done.err
        jobs = (await world.call("GET", "/apis/batch/v1/namespaces/web/jobs"))["items"]
        assert [job["metadata"]["ownerReferences"][0]["name"] for job in jobs] == ["nightly"]
        refused = await world.kedge("act", "web", "cronjob/nightly", "resume", "-y")
        assert refused.code == 2
        assert "Git states spec.suspend" in refused.err
        await world.kedge("act", "web", "deploy/free", "pause", "-y", "--reason", "a freeze")
        world.repository.write(shop(2))
        commit = world.pushed("another image")
        await world.until("shop/web", lambda found: found.applied is not None and found.applied.commit == commit)
        assert (await deployment(world, "free"))["spec"]["paused"] is True
        told = (await world.kedge("get", "event")).out
        assert "run of batch/CronJob web/nightly" in told


GREETING = {
    "apps/web/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {greeting: hello}\n",
}
ACTION = """apiVersion: kedge.dev/v1alpha1
kind: HealthRule
metadata: {name: greetings}
spec:
  kinds: [ConfigMap]
  actions:
    - name: greet
      does: greet whoever reads it
      when: "object.data.?mood.orValue('') != 'sad'"
      hindrance: it is in no mood
      patch: {data: {last: "${now} by ${actor}"}}
"""


async def test_an_action_that_is_declared_in_git_is_done_by_its_name(tmp_path, access: Access | None) -> None:
    async with standing(tmp_path, access=access) as world:
        files = {**shop(), ".kedge/rule.yaml": ACTION, **GREETING}
        world.repository.write(
            {**files, ".kedge/broken.yaml": ACTION.replace("greetings", "broken").replace("greet\n", "G !\n")}
        )
        commit = world.pushed("begin")
        await world.until("shop/web", lambda found: found.applied is not None and found.applied.commit == commit)
        await world.said("its name is a word of small letters", "get", "event")
        assert "greet whoever reads it" in (await world.kedge("act", "web", "configmap/web")).out
        done = await world.kedge("act", "web", "configmap/web", "greet", "-y", "--reason", "it is morning")
        assert done.code == 0, done.err
        data = (await world.call("GET", "/api/v1/namespaces/web/configmaps/web"))["data"]
        assert data["last"].endswith(" by mona")
        unknown = await world.kedge("act", "web", "configmap/web", "shout", "-y", "--reason", "x")
        assert "known are greet" in unknown.err
