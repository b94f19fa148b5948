"""What a cluster's own rules do to a plan: immutable fields, autoscalers, quotas, policies, finalizers."""

from __future__ import annotations

import pytest
from tests.e2e.stories import PROJECT, application, config
from tests.e2e.world import MONA, World, standing

from kedge.model.ref import UnitName

pytestmark = pytest.mark.e2e

WEB = UnitName("shop", "web")
SPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"
MERGE = "application/merge-patch+json"
DEPLOYMENTS = "/apis/apps/v1/namespaces/web/deployments"
MAPS = "/api/v1/namespaces/web/configmaps"


def job(image: str, more: str = "") -> str:
    return f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: once{more}}}
spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: once, image: "{image}"}}]}}}}}}
"""


def deployment(image: str) -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: "{image}", resources: {{requests: {{cpu: 100m}}}}}}]}}
"""


SCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  minReplicas: 2
  maxReplicas: 9
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
"""


def declared(**files: str) -> dict[str, str | None]:
    inner: dict[str, str | None] = {
        f"apps/web/{name}.yaml": text for name, text in {"namespace": SPACE, **files}.items()
    }
    return {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web"), **inner}


async def begun(world: World, **files: str) -> None:
    world.repository.write(declared(**files))
    await world.synced("shop/web", world.pushed("begin"))


async def applied(world: World, commit: str) -> None:
    """Synced, whatever its health: without a metrics server an autoscaler is never well."""
    await world.until("shop/web", lambda d: d.applied is not None and d.applied.commit == commit and not d.operation)


async def test_a_job_whose_template_changes_waits_until_git_and_a_person_say_that_it_may_be_replaced(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        await begun(world, job=job("busybox:1"), config=config("hello"))
        before = await world.call("GET", "/apis/batch/v1/namespaces/web/jobs/once")
        world.repository.write({"apps/web/job.yaml": job("busybox:2"), "apps/web/config.yaml": config("goodbye")})
        world.pushed("another image")
        blocked = await world.until("shop/web", lambda d: d.plan is not None and bool(d.plan.blocked))
        assert blocked.shown.why.endswith("field is immutable"), blocked.shown.why
        assert 'kedge.dev/replace: "true"' in await world.said("spec.template", "diff", "web")
        assert await world.greeting("web") == "hello"
        world.repository.write({"apps/web/job.yaml": job("busybox:2", ", annotations: {kedge.dev/replace: 'true'}")})
        commit = world.pushed("it may be replaced")
        held = await world.until("shop/web", lambda d: d.plan is not None and d.plan.needs is not None)
        assert await world.greeting("web") == "hello"
        await world.retried(lambda: world.house.commands.approve(MONA, WEB, held.plan.effects[:12], "run it again"))
        await world.synced("shop/web", commit)
        after = await world.call("GET", "/apis/batch/v1/namespaces/web/jobs/once")
        assert before["metadata"]["uid"] != after["metadata"]["uid"]
        assert await world.greeting("web") == "goodbye"


async def test_replicas_that_an_autoscaler_has_set_stay_through_the_next_commit(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write(declared(deployment=deployment("nginx:1"), scaler=SCALER))
        await applied(world, world.pushed("begin"))
        scale = f"{DEPLOYMENTS}/web/scale?fieldManager=kube-controller-manager"
        await world.call("PATCH", scale, {"spec": {"replicas": 5}}, MERGE)
        world.repository.write({"apps/web/deployment.yaml": deployment("nginx:2")})
        await applied(world, world.pushed("another image"))
        live = await world.call("GET", f"{DEPLOYMENTS}/web")
        assert live["spec"]["replicas"] == 5
        assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:2"


async def test_what_a_finalizer_holds_is_named_and_goes_when_it_lets_go(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        await begun(world, config=config("hello"), held=config("x", "held"))
        hold = {"metadata": {"finalizers": ["example.com/backup"]}}
        await world.call("PATCH", f"{MAPS}/held?fieldManager=backup", hold, MERGE)
        world.repository.write({"apps/web/held.yaml": None, "apps/web/config.yaml": config("goodbye")})
        commit = world.pushed("without it")
        await world.said("example.com/backup", "get", "web")
        free = {"metadata": {"finalizers": None}}
        await world.call("PATCH", f"{MAPS}/held?fieldManager=backup", free, MERGE)
        await world.synced("shop/web", commit)
        assert await world.call("GET", f"{MAPS}/held") is None
        assert await world.greeting("web") == "goodbye"


async def test_a_field_of_a_program_is_left_and_a_field_of_a_person_goes(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        await begun(world, config=config("hello"))
        await world.call("PATCH", f"{MAPS}/web?fieldManager=operator", {"data": {"theirs": "stays"}}, MERGE)
        await world.call("PATCH", f"{MAPS}/web?fieldManager=kubectl-edit", {"data": {"byhand": "goes"}}, MERGE)
        await world.until("shop/web", lambda d: d.last is not None and d.last.cause == "drift" and not d.operation)
        await world.synced("shop/web")
        live = await world.call("GET", f"{MAPS}/web")
        assert live["data"] == {"greeting": "hello", "theirs": "stays"}
        world.repository.write({"apps/web/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n"})
        await world.synced("shop/web", world.pushed("no greeting"))
        assert (await world.call("GET", f"{MAPS}/web"))["data"] == {"theirs": "stays"}


BROKEN_GROUP = {
    "metadata": {"name": "v1.metrics.example.com"},
    "spec": {
        "group": "metrics.example.com",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"name": "gone", "namespace": "default"},
    },
}


async def test_an_api_of_somebody_else_that_does_not_answer_stops_and_prunes_nothing(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        await world.call("POST", "/apis/apiregistration.k8s.io/v1/apiservices", BROKEN_GROUP)
        await begun(world, config=config("hello"), extra=config("x", "extra"))
        world.repository.write({"apps/web/extra.yaml": None, "apps/web/config.yaml": config("goodbye")})
        await world.synced("shop/web", world.pushed("without the extra"))
        assert await world.greeting("web") == "goodbye"
        assert await world.call("GET", f"{MAPS}/extra") is None
        world.repository.write({"apps/web/theirs.yaml": THEIRS})
        world.pushed("an object of the broken API")
        # The sandbox answers for no other API server: there, nothing defines the kind.
        await world.until("shop/web", lambda d: "metrics.example.com" in d.shown.why)
        assert await world.greeting("web") == "goodbye"


THEIRS = "apiVersion: metrics.example.com/v1\nkind: Gauge\nmetadata: {name: one}\n"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
DENIES = {
    "metadata": {"name": "no-half"},
    "spec": {
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}
            ]
        },
        "validations": [{"expression": "object.data.greeting != 'half'", "message": "nothing by halves"}],
    },
}


async def test_a_policy_of_the_cluster_says_no_before_anything_is_applied(tmp_path, real_cluster):
    async with standing(tmp_path, access=real_cluster.access) as world:
        binding = {"metadata": {"name": "no-half"}, "spec": {"policyName": "no-half", "validationActions": ["Deny"]}}
        await world.call("POST", POLICIES, DENIES)
        await world.call("POST", f"{POLICIES.removesuffix('ies')}ybindings", binding)
        await begun(world, config=config("hello"), other=config("x", "other"))

        async def in_force() -> bool:  # a little after it was made
            try:
                await world.call("PATCH", f"{MAPS}/web?dryRun=All", {"data": {"greeting": "half"}}, MERGE)
            except AssertionError:
                return True
            return False

        await world.eventually(in_force)
        world.repository.write({"apps/web/config.yaml": config("half"), "apps/web/other.yaml": config("z", "other")})
        world.pushed("half")
        blocked = await world.until("shop/web", lambda d: d.plan is not None and bool(d.plan.blocked))
        assert "nothing by halves" in blocked.shown.why
        assert await world.greeting("web", "other") == "x"
        world.repository.write({"apps/web/config.yaml": config("whole")})
        await world.synced("shop/web", world.pushed("whole"))
        assert await world.greeting("web", "other") == "z"
