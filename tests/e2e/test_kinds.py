"""Everyday objects on a server that writes into them: each is applied once, and then left alone."""

from __future__ import annotations

import pytest
from tests.e2e.stories import DEFINITION, PROJECT, SICK, application, config, folder_of, reported
from tests.e2e.world import World, standing

from kedge.control.shift.queue import Lane
from kedge.model.dossier import Dossier
from kedge.model.ref import UnitName

pytestmark = pytest.mark.e2e

SPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"
POD = """
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1
        ports: [{containerPort: 80, name: http}]
        env: [{name: A, value: b}, {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory}}}]
        resources: {requests: {cpu: "0.5", memory: 128Mi}, limits: {memory: 1024Mi}}
        livenessProbe: {httpGet: {path: /, port: http}}
        volumeMounts: [{name: settings, mountPath: /settings}]
      volumes: [{name: settings, configMap: {name: web}}, {name: scratch, emptyDir: {sizeLimit: 1024Mi}}]
"""
ONCE = "metadata: {}, spec: {restartPolicy: Never, containers: [{name: once, image: busybox}]}"
WORKLOADS = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template: {POD}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  serviceName: headless
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template: {POD}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: agent}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template: {POD}
---
apiVersion: batch/v1
kind: Job
metadata: {{name: once}}
spec: {{template: {{{ONCE}}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: nightly}}
spec: {{schedule: "0 3 * * *", jobTemplate: {{spec: {{template: {{{ONCE}}}}}}}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: web}}
spec: {{minAvailable: 0, selector: {{matchLabels: {{app: web}}}}}}
"""
NETWORK = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]}
"""
RIGHTS = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: web}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}
subjects: [{kind: ServiceAccount, name: web, namespace: web}]
"""
BOUNDS = """
apiVersion: v1
kind: LimitRange
metadata: {name: web}
spec: {limits: [{type: Container, max: {cpu: 4}}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: web}
spec: {hard: {pods: "100"}}
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {password: secret}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {greeting: hello}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: web}
value: 10
"""
THING = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: one}\nspec: {size: s}\n"


def web(**files: str) -> dict[str, str | None]:
    inner = {f"apps/web/{name}.yaml": text for name, text in {"namespace": SPACE, **files}.items()}
    return {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web"), **inner}


async def quiet(world: World, number: int) -> None:
    """A look at everything, and a commit that changes another object, find nothing else to do, nor anything that the
    cluster would make otherwise than Git states."""
    turns = world.house.shift.turns
    taken = turns.taken

    async def looked() -> bool:
        return (
            turns.taken > taken and (await world.house.doors.store.load(UnitName("shop", "web"))).shown.sync == "Synced"
        )

    turns.ring("shop/web", Lane.SWEEP)
    await world.eventually(looked)
    world.repository.write({"apps/web/other.yaml": config("x", "other")})
    dossier = await world.synced("shop/web", world.pushed("another object"))
    runs = await world.house.doors.store.operations("shop/web")
    assert [(run.number, run.cause) for run in runs if run.number > number] == [(number + 1, "commit")]
    assert [str(outcome.step) for outcome in dossier.last.outcomes] == ["Sync:/ConfigMap/web/other"]
    assert dossier.overruled == ()


async def test_every_common_kind_is_applied_once_and_left_alone(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write(web(workloads=WORKLOADS, network=NETWORK, rights=RIGHTS, bounds=BOUNDS))
        dossier = await world.synced("shop/web", world.pushed("begin"))
        assert len(dossier.inventory) == 18
        await quiet(world, 1)


async def test_a_definition_and_an_object_of_its_kind_come_in_one_commit(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write(web(thing=THING, definition=DEFINITION))
        begun = world.pushed("begin")
        await reported(world, "/apis/example.com/v1/namespaces/web/things/one")
        await world.synced("shop/web", begun)
        live = await world.call("GET", "/apis/example.com/v1/namespaces/web/things/one")
        assert live["spec"] == {"replicas": 1, "size": "s"}
        await quiet(world, 1)


MISTAKES = {
    "unknown": (config("half", "unknown").replace("data: {g", "dada: {g"), ".dada: field not declared"),
    "type": (config("{a: b}", "type"), ".data.greeting: expected string"),
    "port": (
        "apiVersion: v1\nkind: Service\nmetadata: {name: port}\nspec: {ports: [{port: 99999}]}\n",
        "between 1 and 65535",
    ),
    "quantity": (
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: quantity}\n"
        "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: lots}}}\n",
        "quantities must match",
    ),
    # What a server says about a Secret may quote it.
    "secret": ("apiVersion: v1\nkind: Secret\nmetadata: {name: secret}\ndata: {a: no base64!}\n", "(not shown"),
}


async def test_every_mistake_in_a_manifest_is_refused_at_once_with_the_servers_sentence(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write(web(config=config("hello")))
        await world.synced("shop/web", world.pushed("begin"))
        world.repository.write({f"apps/web/{name}.yaml": text for name, (text, _) in MISTAKES.items()})
        world.repository.write({"apps/web/config.yaml": config("goodbye")})
        world.pushed("mistakes")
        await world.until("shop/web", lambda d: d.plan is not None and len(d.plan.blocked) == len(MISTAKES))
        shown = await world.said("port", "diff", "web")
        assert [sentence for _, sentence in MISTAKES.values() if sentence not in shown] == [], shown
        assert await world.greeting("web") == "hello"
        world.repository.write(dict.fromkeys(f"apps/web/{name}.yaml" for name in MISTAKES))
        await world.synced("shop/web", world.pushed("mended"))
        assert await world.greeting("web") == "goodbye"


async def test_a_namespace_that_somebody_deletes_comes_back_with_what_was_in_it(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write(web(config=config("hello"), rights=RIGHTS))
        await world.synced("shop/web", world.pushed("begin"))
        before = await world.call("GET", "/api/v1/namespaces/web")
        await world.call("DELETE", "/api/v1/namespaces/web")

        def back(dossier: Dossier) -> bool:
            return dossier.last is not None and dossier.last.cause == "drift" and dossier.shown.sync == "Synced"

        await world.until("shop/web", back)
        await world.synced("shop/web")
        after = await world.call("GET", "/api/v1/namespaces/web")
        assert before["metadata"]["uid"] != after["metadata"]["uid"]
        assert await world.greeting("web") == "hello"


async def test_a_pod_is_made_in_a_namespace_of_the_same_commit(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        pod = f"apiVersion: v1\nkind: Pod{POD}".replace("\n    ", "\n").replace("labels:", "name: alone, labels:")
        world.repository.write(web(pod=pod, config=config("hello")))
        dossier = await world.synced("shop/web", world.pushed("begin"))
        assert ("Pod", "alone") in {(entry.ref.kind, entry.ref.name) for entry in dossier.inventory}
        await quiet(world, 1)


async def test_what_kubectl_applied_becomes_kedge_s_and_loses_what_git_does_not_state(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write(
            {".kedge/shop.yaml": PROJECT, ".kedge/sick.yaml": application("sick"), **folder_of("sick", "ours")}
        )
        await world.call("POST", "/api/v1/namespaces?fieldManager=kubectl-create", {"metadata": {"name": "sick"}})
        body = {"metadata": {"name": "web"}, "data": {"greeting": "theirs", "more": "x"}}
        path = "/api/v1/namespaces/sick/configmaps"
        await world.call("POST", f"{path}?fieldManager=kubectl-client-side-apply", body)
        world.pushed("begin")
        await world.synced("shop/sick")
        live = await world.call("GET", f"{path}/web")
        assert live["data"] == {"greeting": "ours"}
        assert [entry["manager"] for entry in live["metadata"]["managedFields"]] == ["kedge"]
        assert (await world.house.doors.store.load(SICK)).approvals == ()
