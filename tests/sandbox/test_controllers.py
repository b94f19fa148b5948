"""What the cluster does by itself, in virtual time, and how it fails when asked to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.sandbox.conftest import DEPLOYMENTS, Lab, deployment

from kedge.sandbox import Options, Request

SPACE = "/api/v1/namespaces/default"
PODS, JOBS = f"{SPACE}/pods", "/apis/batch/v1/namespaces/default/jobs"
SETS = "/apis/apps/v1/namespaces/default/replicasets"
STATEFUL = "/apis/apps/v1/namespaces/default/statefulsets"


def _conditions(obj: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item.get("reason", "")) for item in obj["status"].get("conditions", [])}


def _job(**annotations: str) -> dict[str, Any]:
    marks = {"sandbox.kedge.dev/" + key: value for key, value in annotations.items()}
    spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a:1"}]}
    template = {"metadata": {"annotations": marks}, "spec": spec}
    return {"metadata": {"name": "once"}, "spec": {"template": template}}


def test_a_deployment_rolls_out_and_says_so(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment(replicas=3))
    lab.box.settle()
    begun = lab.get(f"{DEPLOYMENTS}/web")
    assert _conditions(begun)["Progressing"] == ("True", "ReplicaSetUpdated")
    assert _conditions(begun)["Available"] == ("False", "MinimumReplicasUnavailable")
    assert begun["status"]["unavailableReplicas"] == 3
    lab.pass_time(2)
    done = lab.get(f"{DEPLOYMENTS}/web")
    status = {key: value for key, value in done["status"].items() if key != "conditions"}
    ready = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
    assert status == {"observedGeneration": 1, "terminatingReplicas": 0, **ready}
    assert _conditions(done) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert done["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}


def test_a_settled_cluster_writes_nothing_more(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment(replicas=3))
    lab.pass_time(3)
    before = lab.box.version
    lab.pass_time(700, step=10)
    assert lab.box.version == before


def test_a_new_image_keeps_enough_pods_all_the_way(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment(replicas=4))
    lab.pass_time(2)
    lab.apply(f"{DEPLOYMENTS}/web", deployment(replicas=4, image="nginx:2"), force=True)
    for _ in range(60):
        lab.pass_time(0.05)
        status = lab.get(f"{DEPLOYMENTS}/web")["status"]
        assert status["availableReplicas"] >= 3
        assert status["replicas"] <= 5
    assert (status["updatedReplicas"], status["replicas"]) == (4, 4)
    assert {pod["spec"]["containers"][0]["image"] for pod in lab.get(PODS)["items"]} == {"nginx:2"}
    revisions = {
        item["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for item in lab.get(SETS)["items"]
    }
    assert revisions == {"1", "2"}


def test_going_back_takes_the_old_replica_set_again(lab: Lab) -> None:
    for image in ("nginx:1", "nginx:2", "nginx:1"):
        lab.apply(f"{DEPLOYMENTS}/web", deployment(image=image), force=True)
        lab.pass_time(3)
    assert len(lab.get(SETS)["items"]) == 2
    assert lab.get(f"{DEPLOYMENTS}/web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_recreate_lets_the_old_pods_go_first(lab: Lab) -> None:
    body = deployment()
    body["spec"]["strategy"] = {"type": "Recreate"}
    lab.apply(f"{DEPLOYMENTS}/web", body)
    lab.pass_time(2)
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
    lab.apply(f"{DEPLOYMENTS}/web", body)
    for _ in range(40):
        lab.pass_time(0.05)
        assert len({pod["spec"]["containers"][0]["image"] for pod in lab.get(PODS)["items"]}) <= 1
    assert lab.get(f"{DEPLOYMENTS}/web")["status"]["readyReplicas"] == 2


@pytest.mark.parametrize("mode", ["ImagePullBackOff", "CrashLoopBackOff"])
def test_a_pod_fails_as_its_annotation_says(lab: Lab, mode: str) -> None:
    lab.post(DEPLOYMENTS, deployment(fail=mode, replicas=1))
    lab.pass_time(2)
    pod = lab.get(PODS)["items"][0]
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == mode
    assert _conditions(pod)["Ready"] == ("False", "ContainersNotReady")
    assert "availableReplicas" not in lab.get(f"{DEPLOYMENTS}/web")["status"]


def test_a_broken_tag_cannot_be_pulled_and_the_rollout_times_out(lab: Lab) -> None:
    body = deployment(image="nginx:broken", replicas=1)
    body["spec"]["progressDeadlineSeconds"] = 30
    lab.post(DEPLOYMENTS, body)
    lab.pass_time(10, step=1)
    assert _conditions(lab.get(f"{DEPLOYMENTS}/web"))["Progressing"] == ("True", "ReplicaSetUpdated")
    lab.pass_time(30, step=1)
    assert _conditions(lab.get(f"{DEPLOYMENTS}/web"))["Progressing"] == ("False", "ProgressDeadlineExceeded")


def test_a_bad_rollout_leaves_the_old_pods_running(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment(replicas=4))
    lab.pass_time(2)
    lab.apply(f"{DEPLOYMENTS}/web", deployment(image="nginx:broken", replicas=4), force=True)
    lab.pass_time(5)
    assert lab.get(f"{DEPLOYMENTS}/web")["status"]["availableReplicas"] == 3
    lab.apply(f"{DEPLOYMENTS}/web", deployment(replicas=4), force=True)
    lab.pass_time(5)
    status = lab.get(f"{DEPLOYMENTS}/web")["status"]
    assert (status["availableReplicas"], status["replicas"]) == (4, 4)


def test_a_deadline_can_be_missed_on_request(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment(fail="ProgressDeadlineExceeded", replicas=1))
    lab.pass_time(3)
    assert _conditions(lab.get(f"{DEPLOYMENTS}/web"))["Progressing"] == ("False", "ProgressDeadlineExceeded")


def test_an_annotation_on_the_deployment_reaches_its_pods(lab: Lab) -> None:
    body = deployment(replicas=1)
    body["metadata"]["annotations"] = {"sandbox.kedge.dev/fail": "CrashLoopBackOff"}
    lab.post(DEPLOYMENTS, body)
    lab.pass_time(2)
    waiting = lab.get(PODS)["items"][0]["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "CrashLoopBackOff"


def test_a_pod_takes_as_long_as_it_is_told(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment(delay="20s", replicas=1))
    lab.pass_time(19, step=0.5)
    assert lab.get(PODS)["items"][0]["status"]["phase"] == "Pending"
    lab.pass_time(2, step=0.5)
    assert lab.get(PODS)["items"][0]["status"]["phase"] == "Running"


def test_a_stateful_set_comes_up_in_order_with_its_claims(lab: Lab) -> None:
    body = {**deployment("db", replicas=3), "kind": "StatefulSet"}
    wish = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    body["spec"] |= {"serviceName": "db", "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": wish}]}
    lab.post(STATEFUL, body)
    lab.pass_time(0.1)
    assert [pod["metadata"]["name"] for pod in lab.get(PODS)["items"]] == ["db-0"]
    lab.pass_time(3)
    assert [pod["metadata"]["name"] for pod in lab.get(PODS)["items"]] == ["db-0", "db-1", "db-2"]
    status = lab.get(f"{STATEFUL}/db")["status"]
    assert (status["readyReplicas"], status["currentRevision"]) == (3, status["updateRevision"])
    claims = lab.get(f"{SPACE}/persistentvolumeclaims")["items"]
    assert [(item["metadata"]["name"], item["status"]["phase"]) for item in claims] == [
        ("data-db-0", "Bound"),
        ("data-db-1", "Bound"),
        ("data-db-2", "Bound"),
    ]


def test_a_stateful_set_is_updated_from_the_last_to_the_first(lab: Lab) -> None:
    body = {**deployment("db", replicas=2), "kind": "StatefulSet"}
    lab.post(STATEFUL, body)
    lab.pass_time(3)
    change = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "nginx:2"}]}}}}
    lab.patch(f"{STATEFUL}/db", change)
    lab.pass_time(0.5)
    images = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in lab.get(PODS)["items"]}
    assert images["db-0"] == "nginx:1.27"
    lab.pass_time(4)
    status = lab.get(f"{STATEFUL}/db")["status"]
    assert (status["updatedReplicas"], status["currentRevision"]) == (2, status["updateRevision"])
    assert {pod["spec"]["containers"][0]["image"] for pod in lab.get(PODS)["items"]} == {"nginx:2"}


def test_a_daemon_set_has_one_pod_on_each_node_and_replaces_it(lab: Lab) -> None:
    sets = "/apis/apps/v1/namespaces/default/daemonsets"
    body = {**deployment("agent"), "kind": "DaemonSet"}
    del body["spec"]["replicas"]
    lab.post(sets, body)
    lab.pass_time(2)
    status = lab.get(f"{sets}/agent")["status"]
    assert (status["desiredNumberScheduled"], status["numberReady"], status["updatedNumberScheduled"]) == (1, 1, 1)
    lab.patch(f"{sets}/agent", {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "nginx:2"}]}}}})
    lab.pass_time(3)
    assert [pod["spec"]["containers"][0]["image"] for pod in lab.get(PODS)["items"]] == ["nginx:2"]
    status = lab.get(f"{sets}/agent")["status"]
    assert (status["observedGeneration"], status["numberAvailable"]) == (2, 1)


def test_a_job_completes(lab: Lab) -> None:
    lab.post(JOBS, _job())
    lab.pass_time(3)
    job = lab.get(f"{JOBS}/once")
    assert _conditions(job) == {
        "SuccessCriteriaMet": ("True", "CompletionsReached"),
        "Complete": ("True", "CompletionsReached"),
    }
    assert job["status"]["succeeded"] == 1
    assert job["status"]["completionTime"]
    pod = lab.get(PODS)["items"][0]
    assert pod["status"]["phase"] == "Succeeded"


def test_a_job_fails_on_request(lab: Lab) -> None:
    lab.post(JOBS, _job(fail="JobFailed"))
    lab.pass_time(3)
    job = lab.get(f"{JOBS}/once")
    assert _conditions(job)["Failed"] == ("True", "BackoffLimitExceeded")
    assert job["status"]["failed"] == 1


def test_a_job_runs_out_of_time_and_a_suspended_one_does_not_start(lab: Lab) -> None:
    body = _job(delay="10m")
    body["spec"]["activeDeadlineSeconds"] = 5
    lab.post(JOBS, body)
    lab.pass_time(8, step=1)
    assert _conditions(lab.get(f"{JOBS}/once"))["Failed"] == ("True", "DeadlineExceeded")
    idle = _job()
    idle["metadata"]["name"] = "idle"
    idle["spec"]["suspend"] = True
    lab.post(JOBS, idle)
    lab.pass_time(2)
    assert _conditions(lab.get(f"{JOBS}/idle"))["Suspended"] == ("True", "JobSuspended")
    lab.patch(f"{JOBS}/idle", {"spec": {"suspend": False}})
    lab.pass_time(3)
    assert "Complete" in _conditions(lab.get(f"{JOBS}/idle"))


def test_a_finished_job_goes_after_its_time_to_live(lab: Lab) -> None:
    body = _job()
    body["spec"]["ttlSecondsAfterFinished"] = 10
    lab.post(JOBS, body)
    lab.pass_time(5)
    lab.get(f"{JOBS}/once")
    assert lab.status == 200
    lab.pass_time(12, step=1)
    lab.get(f"{JOBS}/once")
    assert lab.status == 404
    assert lab.get(PODS)["items"] == []


def test_a_pod_that_ran_has_something_to_say(lab: Lab) -> None:
    lab.post(JOBS, _job())
    lab.box.settle()
    name = lab.get(PODS)["items"][0]["metadata"]["name"]
    lab.get(f"{PODS}/{name}/log")
    assert lab.status == 400
    lab.pass_time(3)
    log = lab.box.handle(Request.of("GET", f"{PODS}/{name}/log?tailLines=1"))
    assert (log.status, log.body) == (200, b"c is done\n")


def test_load_balancers_and_ingresses_get_an_address(lab: Lab) -> None:
    lab.post(
        f"{SPACE}/services", {"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}
    )
    backend = {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}
    path = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
    lab.post(path, {"metadata": {"name": "i"}, "spec": backend})
    lab.box.settle()
    assert lab.get(f"{SPACE}/services/s")["status"]["loadBalancer"]["ingress"][0]["ip"]
    assert lab.get(f"{path}/i")["status"]["loadBalancer"]["ingress"][0]["ip"]


def test_an_address_never_comes_where_it_should_not(lab: Lab) -> None:
    meta = {"name": "s", "annotations": {"sandbox.kedge.dev/fail": "Never"}}
    lab.post(f"{SPACE}/services", {"metadata": meta, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})
    lab.pass_time(60, step=5)
    assert lab.get(f"{SPACE}/services/s")["status"] == {"loadBalancer": {}}


def test_an_autoscaler_is_content_with_what_it_finds(lab: Lab) -> None:
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 4}
    lab.post(path, {"metadata": {"name": "web"}, "spec": spec})
    lab.box.settle()
    assert _conditions(lab.get(f"{path}/web"))["AbleToScale"][0] == "False"
    lab.post(DEPLOYMENTS, deployment())
    lab.pass_time(3)
    scaler = lab.get(f"{path}/web")
    assert (_conditions(scaler)["AbleToScale"][0], scaler["status"]["currentReplicas"]) == ("True", 2)


def test_a_budget_counts_its_pods(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment(replicas=3))
    path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    lab.post(path, {"metadata": {"name": "web"}, "spec": spec})
    lab.pass_time(4)
    status = lab.get(f"{path}/web")["status"]
    assert (status["currentHealthy"], status["desiredHealthy"], status["disruptionsAllowed"]) == (3, 2, 1)


def test_a_lost_pod_is_replaced(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment(replicas=2))
    lab.pass_time(2)
    lab.delete(f"{PODS}/{lab.get(PODS)['items'][0]['metadata']['name']}")
    lab.pass_time(2)
    assert len(lab.get(PODS)["items"]) == 2
    assert lab.get(f"{DEPLOYMENTS}/web")["status"]["readyReplicas"] == 2


def test_without_controllers_nothing_moves(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(Options(controllers=False))
    lab.post(DEPLOYMENTS, deployment())
    lab.pass_time(5)
    assert lab.get(PODS)["items"] == []


def test_the_same_calls_give_the_same_cluster(new_lab: Callable[..., Lab]) -> None:
    def run() -> bytes:
        lab = new_lab()
        lab.post(DEPLOYMENTS, deployment(replicas=3))
        lab.pass_time(2)
        lab.post(JOBS, _job())
        lab.pass_time(2)
        return lab.box.save()

    assert run() == run()
