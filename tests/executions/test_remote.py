"""Executions as Jobs of a real API server: begun once, found again, stopped, lost; and what their pods bring home."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.executions.jobscene import JobScene, Runs, standing
from tests.executions.pretender import pretender
from tests.executions.scene import STACK, slow
from tests.executions.states import Backend
from tests.parts.kubelet import PULLED_NEVER
from tests.parts.ports import held_port

from kedge.clock import SystemEntropy
from kedge.executions import job
from kedge.executions.admission import MAKES_WAY
from kedge.executions.folder import Folder
from kedge.executions.local import LocalExec
from kedge.executions.tools import Tools
from kedge.kube.kubeconfig import Access
from kedge.model.errors import Conflict, Invalid
from kedge.model.execution import Ending, Execution, Report, StateAccess, Task, Word, Yield
from kedge.store.vault import Vault

pytestmark = pytest.mark.e2e


@pytest.fixture
async def scene(runs: Runs, tmp_path: Path) -> AsyncIterator[JobScene]:
    """With a program that pretends to be a tool."""
    async with standing(runs, tmp_path, pretender(tmp_path / "bin")) as one:
        yield one


@pytest.fixture
async def real(runs: Runs, tmp_path: Path, tofu: Path) -> AsyncIterator[JobScene]:
    """With OpenTofu."""
    async with standing(runs, tmp_path, tofu) as one:
        yield one


def gate(scene: JobScene, id: str) -> Path:
    return scene.root.parent / f"gate-{id}"


def work(scene: JobScene, id: str, wild: str = "", **more: Any) -> Execution:
    environment = (("GATE", str(gate(scene, id))), ("WILD", wild), ("PASSWORD", "hunter2-canary"))
    return scene.execution({"main.tf": ""}, id=id, environment=environment, **more)


async def at_work(scene: JobScene, id: str) -> None:
    await scene.until_told(id, "at work")


async def test_a_stack_is_planned_and_applied_by_jobs_and_all_comes_home(real: JobScene, backend: Backend) -> None:
    planned = real.execution({"main.tf": STACK}, backend.access)
    report, left = await real.run(planned)
    assert (report.ending, report.problems) == (Ending.SUCCEEDED, ())
    assert b"resource_changes" in left.shown
    done, _ = await real.applied(planned, left.plan, state=backend.access)
    assert (done.ending, done.problems) == (Ending.SUCCEEDED, ())
    assert b"small" in backend.saved[-1]
    assert "terraform_data.one" in real.lines(done.id)
    assert done.version == report.version != ""
    await real.until(
        "both Jobs are complete", lambda: [one["status"].get("succeeded") for one in real.objects("jobs")] == [1, 1]
    )


async def test_what_came_home_rests_encrypted(scene: JobScene) -> None:
    scene.seal = Vault(b"k" * 32, SystemEntropy())
    await scene.leave()
    await scene.open()
    gate(scene, "one").touch()
    _, left = await scene.run(work(scene, "one"))
    assert left.plan == b"the plan\n"
    assert not [place for place in scene.root.rglob("*") if place.is_file() and left.plan in place.read_bytes()]


async def test_a_state_that_could_not_be_sent_comes_home_from_its_pod(real: JobScene, backend: Backend) -> None:
    planned = real.execution({"main.tf": STACK}, backend.access)
    _, left = await real.run(planned)
    backend.refuses = True
    report, after = await real.applied(planned, left.plan, state=backend.access)
    assert report.ending is Ending.FAILED
    assert b"small" in after.errored


async def test_a_controller_that_comes_back_finds_its_job_again_at_work(scene: JobScene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    await scene.leave()
    await scene.open()
    (found,) = scene.exec.reports()
    assert (found.id, found.stage, found.ending) == ("one", "plan", None)
    gate(scene, "one").touch()
    assert (await scene.until_ended("one")).ending is Ending.SUCCEEDED
    assert (await scene.exec.result("one")).plan == b"the plan\n"
    assert len(scene.kubelet.started) == 1
    assert scene.lines("one").count("at work") == 1


async def test_what_ended_while_nobody_was_there_waits_in_its_pod_and_comes_home(scene: JobScene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    await scene.leave()
    (folder,) = [one.folder for one in scene.kubelet.running.values()]
    gate(scene, "one").touch()
    inside = Folder(folder / "executions" / "one")
    await scene.until("it has ended", lambda: (report := inside.report()) is not None and report.ending is not None)
    await scene.open()
    assert (await scene.until_ended("one")).ending is Ending.SUCCEEDED
    assert (await scene.exec.result("one")).plan == b"the plan\n"


async def test_a_controller_that_died_between_job_and_record_takes_its_job_up(scene: JobScene) -> None:
    scene.kubelet.deaf = True
    await scene.exec.start(work(scene, "one"))
    await scene.until("it is on record", lambda: (scene.root / "one" / "job.json").exists())
    await scene.leave()
    (scene.root / "one" / "job.json").unlink()
    await scene.open()
    scene.kubelet.deaf = False
    gate(scene, "one").touch()
    assert (await scene.until_ended("one")).ending is Ending.SUCCEEDED
    assert len(scene.objects("jobs")) == 1
    assert len(scene.kubelet.started) == 1


async def test_nothing_secret_is_in_a_job_and_what_a_pod_is_given_goes_with_it(scene: JobScene) -> None:
    await scene.exec.start(work(scene, "one", variables=b'{"password": "hunter2-canary"}'))
    await at_work(scene, "one")
    (made,), (pod,), (given,) = (scene.objects(what) for what in ("jobs", "pods", "secrets"))
    token = b64decode(given["data"]["token"]).decode()
    assert token == scene.exec.token("one")
    for shown in (str(made), str(pod)):
        assert "hunter2-canary" not in shown
        assert token not in shown
    assert "hunter2-canary" not in str([b64decode(value) for value in given["data"].values()])
    assert not (scene.root / "one" / "input.json").exists(), "the pod has it"
    (one,) = scene.kubelet.running.values()
    for place in (f"/proc/{one.first}/cmdline", f"/proc/{one.first}/environ"):
        assert token.encode() not in Path(place).read_bytes()
        assert b"hunter2-canary" not in Path(place).read_bytes()
    spec = pod["spec"]
    assert not [volume for volume in spec["volumes"] if "projected" in volume], "no token of the cluster is mounted"
    scene.api.call(
        "DELETE",
        scene.path("jobs", made),
        {"propagationPolicy": "Background"},
    )
    await scene.until("the Secret is gone", lambda: not scene.objects("secrets"))
    await scene.until_ended("one")


async def test_one_that_is_asked_to_end_ends_in_order_and_leaves_no_job(scene: JobScene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    await scene.exec.stop("one", "a newer commit supersedes it")
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.STOPPED, "a newer commit supersedes it")
    assert "lets go" in scene.lines("one")
    await scene.until("nothing is left", lambda: not any(scene.objects(what) for what in ("jobs", "pods", "secrets")))


async def test_a_pod_that_is_drained_ends_in_order(scene: JobScene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    (pod,) = scene.objects("pods")
    scene.api.call("DELETE", scene.path("pods", pod))
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.STOPPED, "its pod was asked to end")
    assert "lets go" in scene.lines("one")
    assert len(scene.kubelet.started) == 1, "it is not tried again"


async def test_a_job_that_is_deleted_by_hand_ends_in_order(scene: JobScene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    (made,) = scene.objects("jobs")
    path = scene.path("jobs", made)
    scene.api.call("DELETE", path, {"propagationPolicy": "Background"})
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.STOPPED, "its pod was asked to end")


async def test_a_pod_that_is_evicted_is_lost_with_the_words_of_the_cluster(scene: JobScene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    scene.kubelet.evict()
    report = await scene.until_ended("one")
    assert report.ending is Ending.LOST
    assert "Evicted: The node was low on resource: memory." in report.told


async def test_a_pod_whose_node_is_silent_is_lost_only_when_somebody_says_that_it_is_gone(scene: JobScene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    scene.kubelet.break_down()
    (made,), (pod,) = scene.objects("jobs"), scene.objects("pods")
    path = scene.path("jobs", made)
    scene.api.call("DELETE", path, {"propagationPolicy": "Background"})
    await scene.until("its pod is leaving", lambda: "deletionTimestamp" in scene.objects("pods")[0]["metadata"])
    await scene.exec._turn()
    report = scene.exec.report("one")
    assert report is not None
    assert report.ending is None, "its pod may still be at work"
    path = scene.path("pods", pod)
    scene.api.call("DELETE", path, {"gracePeriodSeconds": 0})
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.LOST, "its Job was deleted")


async def test_a_pod_that_can_not_begin_says_why_and_is_given_up(
    scene: JobScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.leave()
    scene.place = replace(scene.place, image=PULLED_NEVER)
    await scene.open()
    await scene.exec.start(work(scene, "one"))
    waits = f"its pod waits: ImagePullBackOff: Back-off pulling image {PULLED_NEVER}"
    await scene.until("it says why", lambda: (report := scene.exec.report("one")) is not None and report.told == waits)
    monkeypatch.setattr(job, "START", 0.1)
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.FAILED, f"its pod did not begin within 0 s: {waits}")
    await scene.until("nothing is left", lambda: not any(scene.objects(what) for what in ("jobs", "pods", "secrets")))


async def test_one_that_is_stopped_before_its_pod_begins_never_does(scene: JobScene) -> None:
    await scene.leave()
    scene.place = replace(scene.place, image=PULLED_NEVER)
    await scene.open()
    await scene.exec.start(work(scene, "one"))
    await scene.until("it has a pod", lambda: scene.objects("pods"))
    await scene.exec.stop("one", "a person")
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.STOPPED, "a person")
    assert scene.kubelet.started == []
    with pytest.raises(Conflict, match="is over"):
        await scene.exec.claim("one", "a pod that comes late")


async def test_what_the_cluster_refuses_fails_in_its_words(scene: JobScene) -> None:
    await scene.leave()
    scene.place = replace(scene.place, image="")
    await scene.open()
    report, _ = await scene.run(work(scene, "one"))
    assert report.ending is Ending.FAILED
    assert "spec.template.spec.containers[0].image: Required value" in report.told


async def test_while_the_cluster_is_away_nothing_is_judged_and_it_is_told(scene: JobScene) -> None:
    access = scene.access
    await scene.leave()
    with held_port() as nobody:
        scene.access = replace(access, server=f"https://127.0.0.1:{nobody}")
        await scene.open()
        await scene.exec.start(work(scene, "one"))
        await scene.until("it is told", lambda: "cluster default" in scene.exec.report("one").told)
    scene.access = access
    gate(scene, "one").touch()
    assert (await scene.until_ended("one")).ending is Ending.SUCCEEDED


async def test_a_pod_without_a_fitting_tool_says_what_it_has(scene: JobScene) -> None:
    report, _ = await scene.run(work(scene, "one", version="~1.99"))
    assert report.ending is Ending.FAILED
    assert "OpenTofu ~1.99 is wanted, and only 1.12.6" in report.told


async def test_no_more_jobs_at_once_than_there_is_room(scene: JobScene) -> None:
    await scene.leave()
    scene.place = replace(scene.place, room=1)
    await scene.open()
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    await scene.exec.start(work(scene, "two"))
    report = scene.exec.report("two")
    assert report is not None
    assert report.told == "waits for its turn: 1 of those that wait, 1 at a time"
    assert len(scene.objects("jobs")) == 1
    gate(scene, "one").touch()
    await at_work(scene, "two")
    await scene.exec.stop("two", "enough")
    await scene.until_ended("two")


async def test_a_plan_that_looks_for_drift_makes_way(scene: JobScene) -> None:
    await scene.leave()
    scene.place = replace(scene.place, room=1)
    await scene.open()
    await scene.exec.start(work(scene, "drift", drift=True))
    await at_work(scene, "drift")
    await scene.leave()
    await scene.open()
    gate(scene, "plan").touch()
    assert (await scene.run(work(scene, "plan")))[0].ending is Ending.SUCCEEDED
    report = scene.exec.report("drift")
    assert report is not None
    assert (report.ending, report.told) == (Ending.STOPPED, MAKES_WAY)


async def test_an_apply_whose_controller_is_killed_again_and_again_is_done_once(
    real: JobScene, backend: Backend, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    planned = real.execution({"main.tf": slow(go)}, backend.access)
    _, left = await real.run(planned)
    apply = real.applying(planned, left.plan, state=backend.access)
    await real.exec.start(apply)
    await real.until_told(apply.id, "slow")
    for _ in range(2):
        await real.leave()
        await real.open()
    go.touch()
    report = await real.until_ended(apply.id)
    assert (report.ending, report.problems) == (Ending.SUCCEEDED, ())
    assert len(real.kubelet.started) == 2, "one pod for the plan, one for the apply"
    assert backend.asked.count("LOCK") == 1
    assert backend.lock == b""


async def test_a_run_that_has_not_ended_as_a_process_is_not_taken_for_a_job(scene: JobScene, tmp_path: Path) -> None:
    await scene.leave()
    local = LocalExec(scene.root, Tools("", [scene.program.parent]), scene.exec._clock, scene.exec._means.entropy)
    await local.adopt()
    await local.start(work(scene, "one"))
    with pytest.raises(Invalid, match="run one is a process that has not ended"):
        await scene.exec.adopt()
    gate(scene, "one").touch()
    await scene.until("it has ended", lambda: local.report("one").ending is not None)
    await local.close()
    await scene.open()
    assert (await scene.exec.result("one")).plan == b"the plan\n", "what has ended is known to both"


async def test_a_pod_that_is_quicker_than_the_answer_of_the_cluster_is_on_record_as_begun(scene: JobScene) -> None:
    scene.exec._place = replace(scene.exec._place, room=0)
    await scene.exec.start(work(scene, "one"))
    await scene.exec.claim("one", "a pod")
    await scene.leave()
    await scene.open()
    assert scene.objects("jobs") == []
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.LOST, "its Job was deleted")


async def test_the_rights_that_the_guide_names_are_enough(scene: JobScene) -> None:
    access = limited(scene)
    await scene.leave()
    scene.access = access
    await scene.open()
    gate(scene, "one").touch()
    assert (await scene.run(work(scene, "one")))[0].ending is Ending.SUCCEEDED
    await scene.exec.start(work(scene, "two"))
    await at_work(scene, "two")
    await scene.exec.stop("two", "enough")
    assert (await scene.until_ended("two")).ending is Ending.STOPPED


def limited(scene: JobScene) -> Access:
    """As an account with the rights of `docs/guide/stacks.md`, and no others."""
    account = {"kind": "ServiceAccount", "name": "kedge", "namespace": scene.place.namespace}
    rules = [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "create", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
    ]
    core, rbac = f"/api/v1/namespaces/{scene.place.namespace}", "/apis/rbac.authorization.k8s.io/v1/namespaces"
    named = {"metadata": {"name": "kedge"}}
    scene.api.call("POST", f"{core}/serviceaccounts", named)
    scene.api.call("POST", f"{rbac}/{scene.place.namespace}/roles", {**named, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "kedge"}
    scene.api.call(
        "POST", f"{rbac}/{scene.place.namespace}/rolebindings", {**named, "roleRef": role, "subjects": [account]}
    )
    token = scene.api.call("POST", f"{core}/serviceaccounts/kedge/token", {"spec": {}})["status"]["token"]
    return replace(scene.access, token=token, certificate="", key="")


async def test_a_right_that_is_missing_is_told_and_taken_up_when_it_is_given(scene: JobScene) -> None:
    access = scene.access
    await scene.leave()
    account = scene.api.call(
        "POST", f"/api/v1/namespaces/{scene.place.namespace}/serviceaccounts", {"metadata": {"name": "nobody"}}
    )
    path = f"/api/v1/namespaces/{scene.place.namespace}/serviceaccounts/{account['metadata']['name']}/token"
    scene.access = replace(access, token=scene.api.call("POST", path, {"spec": {}})["status"]["token"])
    await scene.open()
    await scene.exec.start(work(scene, "one"))
    await scene.until("it is told", lambda: "cannot list resource" in scene.exec.report("one").told)
    scene.access = access
    gate(scene, "one").touch()
    assert (await scene.until_ended("one")).ending is Ending.SUCCEEDED


async def test_a_second_pod_of_one_execution_does_nothing(scene: JobScene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    with pytest.raises(Conflict, match="another pod runs"):
        await scene.exec.claim("one", "a second pod")
    gate(scene, "one").touch()
    assert (await scene.until_ended("one")).ending is Ending.SUCCEEDED


async def test_what_a_pod_says_of_others_is_not_believed(scene: JobScene) -> None:
    scene.exec._place = replace(scene.exec._place, room=0)
    await scene.exec.start(work(scene, "one"))
    told = Report("other", "shop/other", Task.APPLY, 5.0, told="x\x1b[31m" + "y" * 9_000, problems=("p",) * 99)
    await scene.exec.hear("one", Word(told, b"first\n"))
    await scene.exec.hear("one", Word(told, b"first\nsecond\n"))
    await scene.exec.hear("one", Word(told, b"far", at=999))
    report = scene.exec._open["one"].report
    assert (report.id, report.unit, report.task) == ("one", "shop/db", Task.PLAN)
    assert len(report.told) == 4_000
    assert "\x1b" not in report.told
    assert len(report.problems) == 50
    assert scene.lines("one") == "first\nsecond\n"
    with pytest.raises(Invalid, match="nothing of what it leaves"):
        await scene.exec.hear("one", Word(replace(told, ending=Ending.SUCCEEDED)))


async def test_a_state_that_only_a_person_can_bring_home_stays_readable_and_is_not_forgotten(scene: JobScene) -> None:
    scene.seal = Vault(b"k" * 32, SystemEntropy())
    await scene.leave()
    scene.place = replace(scene.place, room=0)
    await scene.open()
    for id, state in (("elsewhere", None), ("ours", StateAccess("http://127.0.0.1:1/state", "u", "t"))):
        await scene.exec.start(work(scene, id, task=Task.APPLY, plan=b"x", state=state))
        told = Report(id, "shop/db", Task.APPLY, 1.0, finished=2.0, ending=Ending.FAILED)
        await scene.exec.hear(id, Word(told, left=Yield(errored=b'{"version": 4}')))
        assert (await scene.exec.result(id)).errored == b'{"version": 4}'
    assert Folder(scene.root / "elsewhere").errored.exists()
    assert not Folder(scene.root / "ours").errored.exists()
    with pytest.raises(Conflict, match="kept nowhere else"):
        await scene.exec.forget("elsewhere")
    await scene.exec.forget("ours")
