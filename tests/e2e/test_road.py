"""From `git push` over HTTP to Healthy, and everything that may come after."""

from __future__ import annotations

import pytest
from tests.e2e.world import standing

from kedge.model.person import Person
from kedge.model.ref import UnitName

pytestmark = pytest.mark.e2e

MONA = Person("mona", ("sre",))
WEB = UnitName("shop", "web")


def application(name: str, path: str, namespace: str, more: str = "") -> str:
    return f"""
apiVersion: kedge.dev/v1alpha1
kind: Application
metadata: {{name: {name}, project: shop}}
spec:
  source: {{path: {path}}}
  target: {{namespace: {namespace}}}
{more}
"""


PROJECT = "apiVersion: kedge.dev/v1alpha1\nkind: Project\nmetadata: {name: shop}\n"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"


def config(greeting: str, name: str = "web") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{greeting: {greeting}}}\n"


def deployment(replicas: int, image: str = "nginx:1") -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: "{image}"}}]}}
"""


def first() -> dict[str, str | None]:
    return {
        ".kedge/shop.yaml": PROJECT,
        ".kedge/web.yaml": application("web", "apps/web", "web"),
        "apps/web/namespace.yaml": NAMESPACE,
        "apps/web/config.yaml": config("hello"),
        "apps/web/deployment.yaml": deployment(2),
    }


async def test_a_commit_is_applied_changed_drifted_healed_rolled_back_and_removed(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write(first())
        begun = world.pushed("begin the shop")
        dossier = await world.synced("shop/web", begun)
        assert {entry.ref.kind for entry in dossier.inventory} == {"Namespace", "ConfigMap", "Deployment"}

        world.repository.write({"apps/web/config.yaml": config("goodbye"), "apps/web/extra.yaml": config("x", "extra")})
        changed = world.pushed("say goodbye")
        await world.synced("shop/web", changed)
        live = await world.call("GET", "/api/v1/namespaces/web/configmaps/web")
        assert live["data"] == {"greeting": "goodbye"}
        assert live["metadata"]["annotations"]["kedge.dev/owner"].endswith(":shop/web")

        scale = {"spec": {"replicas": 7}}
        path = "/apis/apps/v1/namespaces/web/deployments/web"
        await world.call("PATCH", f"{path}?fieldManager=kubectl-edit", scale, "application/merge-patch+json")
        healed = await world.until("shop/web", lambda d: d.operation is None and d.last.cause == "drift")
        assert healed.last.result == "Succeeded"
        assert (await world.call("GET", path))["spec"]["replicas"] == 2

        world.repository.write({"apps/web/extra.yaml": None})
        pruned = world.pushed("no extra")
        await world.synced("shop/web", pruned)
        assert await world.call("GET", "/api/v1/namespaces/web/configmaps/extra") is None

        pin, proposal = await world.house.commands.preview(MONA, WEB, "1", "back to hello")
        assert [str(change.ref) for change in proposal.plan.changes] == ["ConfigMap web/web"]
        await world.retried(lambda: world.house.commands.rollback(MONA, WEB, "1", "back to hello"))
        back = await world.until("shop/web", lambda d: d.operation is None and d.last.cause == "rollback")
        assert back.pin is not None
        assert pin.rendered == back.last.rendered
        live = await world.call("GET", "/api/v1/namespaces/web/configmaps/web")
        assert live["data"] == {"greeting": "hello"}
        await world.retried(lambda: world.house.commands.resume(MONA, WEB, "it was not the release"))
        assert (await world.synced("shop/web", pruned)).pin is None

        world.repository.write({".kedge/web.yaml": None})
        world.pushed("the shop closes")
        held = await world.until("shop/web", lambda d: d.plan is not None and d.plan.removal)
        assert held.plan.needs is not None
        assert await world.call("GET", path) is not None
        await world.retried(lambda: world.house.commands.approve(MONA, WEB, held.plan.effects[:12], "closing"))
        await world.gone("shop/web")
        assert await world.call("GET", path) is None

        events = await world.house.doors.store.latest("shop/web", limit=100)
        kinds = {event.kind for event in events}
        assert {"operation.started", "operation.finished", "unit.pinned", "plan.approved"} <= kinds
        report = await world.house.doors.store.verify_chain()
        assert (report.broken, report.why) == (0, "")


async def test_a_bad_change_is_refused_whole_and_the_next_good_one_gets_through(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write(first())
        await world.synced("shop/web", world.pushed("begin"))
        selector = deployment(2).replace("matchLabels: {app: web}", "matchLabels: {app: other}")
        world.repository.write({"apps/web/deployment.yaml": selector, "apps/web/config.yaml": config("half")})
        world.pushed("an immutable field")
        blocked = await world.until("shop/web", lambda d: d.plan is not None and bool(d.plan.blocked))
        assert "refuses" in blocked.shown.why
        live = await world.call("GET", "/api/v1/namespaces/web/configmaps/web")
        assert live["data"] == {"greeting": "hello"}
        world.repository.write({"apps/web/deployment.yaml": deployment(2)})
        await world.synced("shop/web", world.pushed("mended"))
