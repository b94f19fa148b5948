"""Stacks on the same road as applications: from one commit to all healthy, with a real OpenTofu."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.doors.iac import Stack
from tests.doors.statefiles import statefile
from tests.e2e.stories import application
from tests.e2e.world import World, standing

from kedge.model.dossier import Dossier

pytestmark = pytest.mark.e2e

PROJECT = """
apiVersion: kedge.dev/v1alpha1
kind: Project
metadata: {name: shop}
"""


def stack(name: str, *lines: str) -> str:
    """The declaration of a stack; `lines` go into its spec."""
    spec = "\n".join(f"  {line}" for line in (f"source: {{path: infra/{name}}}", *lines))
    return f"""
apiVersion: kedge.dev/v1alpha1
kind: Stack
metadata: {{name: {name}, project: shop}}
spec:
{spec}
"""


NET = """
variable "range" { default = "10.0.0.0/16" }
resource "terraform_data" "net" { input = var.range }
output "range" { value = terraform_data.net.output }
"""
UNATTENDED = "approve: {when: never}"


@pytest.fixture
async def world(tmp_path: Path, tofu: Path) -> AsyncIterator[World]:
    async with standing(tmp_path, environ={"KEDGE_TOOLS": str(tofu.parent)}) as found:
        yield found


async def test_a_stack_waits_for_an_approval_of_its_effects_and_is_applied_then(world: World) -> None:
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net"), "infra/net/main.tf": NET})
    commit = world.pushed("a net")
    held = await world.until("shop/net", lambda dossier: dossier.plan is not None)
    assert held.plan is not None
    assert [(str(change.ref), change.act) for change in held.plan.changes] == [
        ("output.range", "create"),
        ("terraform_data.net", "create"),
    ]
    assert "waits for 1 approval" in held.shown.why
    said = await world.kedge("approve", "shop/net", "-y", "--reason", "it is new")
    assert said.code == 0, said.err
    dossier = await world.synced("shop/net", commit)
    assert [(output.name, output.value) for output in dossier.outputs] == [("range", '"10.0.0.0/16"')]


async def test_values_flow_through_three_stacks_into_an_application_from_one_commit(world: World) -> None:
    db = """
variable "range" {}
resource "terraform_data" "db" { input = "db in ${var.range}" }
output "endpoint" { value = terraform_data.db.output }
output "password" {
  value     = "hunter2-${var.range}"
  sensitive = true
}
"""
    cache = """
variable "endpoint" {}
variable "password" { sensitive = true }
resource "terraform_data" "cache" { input = { from = var.endpoint, by = sha256(var.password) } }
output "told" { value = terraform_data.cache.output.from }
"""
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {greeting: '${told}'}\n"
    inputs = "inputs: {told: {from: stack/cache, output: told, type: string}}"
    web = f"  {inputs}\n  substitute: {{variables: {{told: {{$input: told}}}}}}"
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/net.yaml": stack("net", UNATTENDED),
            ".kedge/db.yaml": stack(
                "db",
                UNATTENDED,
                "inputs: {range: {from: stack/net, output: range}}",
                "variables: {range: {$input: range}}",
            ),
            ".kedge/cache.yaml": stack(
                "cache",
                UNATTENDED,
                "inputs:",
                "  endpoint: {from: stack/db, output: endpoint}",
                "  password: {from: stack/db, output: password}",
                "variables: {endpoint: {$input: endpoint}, password: {$input: password}}",
            ),
            ".kedge/web.yaml": application("web", web),
            "infra/net/main.tf": NET,
            "infra/db/main.tf": db,
            "infra/cache/main.tf": cache,
            "apps/web/config.yaml": config,
            "apps/web/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n",
        }
    )
    commit = world.pushed("all of it")
    await world.synced("shop/web", commit)
    assert await world.greeting("web") == "db in 10.0.0.0/16"
    for name in ("shop/net", "shop/db", "shop/cache"):
        await world.synced(name, commit)
    runs = {name: (await world.synced(name)).runs for name in ("shop/net", "shop/db", "shop/cache", "shop/web")}
    assert runs == {"shop/net": 1, "shop/db": 1, "shop/cache": 1, "shop/web": 1}

    world.repository.write({"infra/net/main.tf": NET.replace("10.0.0.0", "10.9.0.0")})
    world.pushed("another range")
    await world.eventually(lambda: _greets(world, "db in 10.9.0.0/16"))
    kept = await world.kedge("get", "event", "-o", "json")
    assert "hunter2" not in kept.out
    store = (world.data / "kedge.db").read_bytes()
    assert b"hunter2" not in store, "a sensitive output is encrypted wherever it rests"


def _pending(dossier: Dossier) -> str:
    """The commit whose plan waits for an approval."""
    plan = dossier.plan
    return plan.revision.commit if plan is not None and plan.needs is not None and plan.revision is not None else ""


async def _greets(world: World, text: str) -> bool:
    return await world.greeting("web") == text


async def test_only_the_readers_of_a_module_are_planned(world: World) -> None:
    shared = (
        'variable "name" {}\nresource "terraform_data" "a" { input = var.name }\noutput "id" { value = var.name }\n'
    )
    user = 'module "m" {\n  source = "../modules/m"\n  name = "x"\n}\n'
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/one.yaml": stack("one", UNATTENDED),
            ".kedge/two.yaml": stack("two", UNATTENDED),
            "infra/one/main.tf": user,
            "infra/two/main.tf": NET,
            "infra/modules/m/main.tf": shared,
        }
    )
    first = world.pushed("two stacks")
    for name in ("shop/one", "shop/two"):
        await world.synced(name, first)
    world.repository.write({"infra/modules/m/main.tf": shared.replace("= var.name }", '= "${var.name}!" }', 1)})
    second = world.pushed("the module")
    one = await world.synced("shop/one", second)
    two = await world.synced("shop/two")
    assert (one.runs, two.runs) == (2, 1)


async def test_what_may_hold_state_is_not_replaced_unattended_and_an_approval_is_of_exactly_what_was_shown(
    world: World,
) -> None:
    text = 'resource "terraform_data" "a" {\n  input = "1"\n  triggers_replace = "1"\n}\n'
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), "infra/net/main.tf": text}
    )
    await world.synced("shop/net", world.pushed("first"))
    world.repository.write({"infra/net/main.tf": text.replace('replace = "1"', 'replace = "2"')})
    world.pushed("replace it")
    held = await world.until("shop/net", lambda d: d.plan is not None and d.plan.needs is not None)
    assert held.plan is not None
    assert held.plan.needs is not None
    assert held.plan.needs.reasons == ("terraform_data.a is deleted and created anew",)
    shown = held.plan.effects

    world.repository.write({"infra/net/main.tf": text.replace('"1"', '"2"')})
    world.pushed("and change it")
    other = await world.until("shop/net", lambda d: d.plan is not None and d.plan.effects != shown)
    assert other.plan is not None
    refused = await world.kedge("approve", "shop/net", "-y", "--effects", shown[:12])
    assert refused.code != 0, "nobody agrees to what was not shown"
    said = await world.kedge("approve", "shop/net", "-y")
    assert said.code == 0, said.err
    await world.until("shop/net", lambda d: d.runs == 2 and d.operation is None and d.shown.sync == "Synced")


async def test_a_stack_that_leaves_git_is_destroyed_only_where_that_is_declared_and_approved(world: World) -> None:
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/net.yaml": stack("net", UNATTENDED, "onRemove: destroy"),
            ".kedge/kept.yaml": stack("kept", UNATTENDED),
            "infra/net/main.tf": NET,
            "infra/kept/main.tf": NET,
        }
    )
    first = world.pushed("two stacks")
    for name in ("shop/net", "shop/kept"):
        await world.synced(name, first)
    world.repository.write({".kedge/net.yaml": None, ".kedge/kept.yaml": None})
    world.pushed("none")
    await world.gone("shop/kept")
    held = await world.until("shop/net", lambda d: d.plan is not None and d.plan.removal)
    assert held.plan is not None
    assert held.plan.needs is not None
    assert held.plan.needs.reasons == ("shop/net left Git: approving destroys its 2 resources",)
    said = await world.kedge("approve", "shop/net", "-y", "--reason", "not needed")
    assert said.code == 0, said.err
    await world.gone("shop/net")
    kept = await world.house.states.head("shop/kept") if world.house.states is not None else None
    assert kept is not None
    assert kept.resources == ("terraform_data.net",)


async def test_a_plan_that_fails_says_why_and_is_made_again_when_the_code_is_mended(world: World) -> None:
    broken = NET.replace("var.range }", "var.rangee }", 1)
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), "infra/net/main.tf": broken}
    )
    world.pushed("broken")
    failed = await world.until("shop/net", lambda d: d.trouble is not None)
    assert "rangee" in failed.shown.why
    world.repository.write({"infra/net/main.tf": NET})
    await world.synced("shop/net", world.pushed("mended"))


async def test_an_apply_that_fails_leaves_what_it_made_on_record_and_goes_on_from_there(world: World) -> None:
    text = """
resource "terraform_data" "a" { input = "made" }
resource "terraform_data" "b" {
  depends_on = [terraform_data.a]
  provisioner "local-exec" { command = "COMMAND" }
}
"""
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/net.yaml": stack("net", UNATTENDED),
            "infra/net/main.tf": text.replace("COMMAND", "exit 7"),
        }
    )
    world.pushed("half of it")
    failed = await world.until("shop/net", lambda d: d.last is not None and d.last.result == "Failed")
    assert failed.last is not None
    assert "exit status 7" in failed.last.message
    world.repository.write({"infra/net/main.tf": text.replace("COMMAND", "true")})
    mended = world.pushed("mended")
    held = await world.until("shop/net", lambda d: _pending(d) == mended)
    assert held.plan is not None
    (change,) = held.plan.changes
    assert (str(change.ref), change.act, change.why) == (
        "terraform_data.b",
        "replace",
        "it was left half made by an apply that failed",
    )
    await world.kedge("approve", "shop/net", "-y")
    await world.until("shop/net", lambda d: d.operation is None and d.shown.sync == "Synced")


async def _moved_by_hand(world: World, tmp_path: Path) -> None:
    """What somebody does behind Kedge's back: the world is otherwise than the code says."""
    kept = tmp_path / "mine.tfstate"
    pulled = await world.kedge("state", "pull", "shop/net", "--reason", "look")
    assert pulled.code == 0, pulled.err
    kept.write_text(pulled.out.replace("10.0.0.0/16", "172.16.0.0/12"))
    pushed = await world.kedge("state", "push", "shop/net", str(kept), "--force", "--reason", "by hand", "-y")
    assert pushed.code == 0, pushed.err


async def test_drift_is_proposed_as_a_plan_and_repaired_where_that_is_declared(world: World, tmp_path: Path) -> None:
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), "infra/net/main.tf": NET}
    )
    await world.synced("shop/net", world.pushed("a net"))
    await _moved_by_hand(world, tmp_path)
    drifted = await world.until("shop/net", lambda d: bool(d.shown.drifted))
    assert drifted.shown.drifted == ("output.range", "terraform_data.net")
    assert "drifted, and healing is off" in drifted.shown.why
    world.repository.write({".kedge/net.yaml": stack("net", UNATTENDED, "sync: {heal: harmless}")})
    world.pushed("heal it")
    repaired = await world.until("shop/net", lambda d: d.runs == 2 and d.operation is None)
    assert repaired.last is not None
    assert (repaired.last.cause, repaired.last.result) == ("drift", "Succeeded")
    await world.synced("shop/net")
    assert (await world.kedge("state", "pull", "shop/net", "--reason", "look")).out.count("10.0.0.0/16") > 0


async def test_drift_is_looked_for_when_its_time_has_come(world: World) -> None:
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/net.yaml": stack("net", UNATTENDED, "sync: {every: 3s}"),
            "infra/net/main.tf": NET,
        }
    )
    first = await world.synced("shop/net", world.pushed("a net"))
    later = await world.until("shop/net", lambda d: (d.verified or 0.0) > (first.verified or 0.0))
    assert (later.runs, later.shown.sync) == (1, "Synced")


async def test_a_stack_goes_back_to_an_earlier_run_as_a_plan_that_is_approved(world: World) -> None:
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net"), "infra/net/main.tf": NET})
    first = world.pushed("a net")
    await world.until("shop/net", lambda d: _pending(d) == first)
    await world.kedge("approve", "shop/net", "-y")
    await world.synced("shop/net", first)
    world.repository.write({"infra/net/main.tf": NET.replace("10.0.0.0", "10.9.0.0")})
    second = world.pushed("another range")
    await world.until("shop/net", lambda d: _pending(d) == second)
    await world.kedge("approve", "shop/net", "-y")
    await world.synced("shop/net", second)
    back = await world.kedge("rollback", "shop/net", "1", "-y", "--reason", "it was better")
    assert back.code == 0, back.err + back.out
    await world.until("shop/net", lambda d: d.pin is not None and _pending(d) == first)
    await world.kedge("approve", "shop/net", "-y")
    pinned = await world.until("shop/net", lambda d: d.runs == 3 and d.operation is None and d.shown.sync == "Synced")
    assert [(output.name, output.value) for output in pinned.outputs] == [("range", '"10.0.0.0/16"')]


async def test_a_run_whose_lock_was_broken_loses_nothing_and_overwrites_nothing(world: World, tmp_path: Path) -> None:
    states = world.house.states
    assert states is not None
    began, go_on = tmp_path / "began", tmp_path / "go-on"
    command = f"touch {began}; while [ ! -e {go_on} ]; do sleep 0.05; done"
    code = f"""
resource "terraform_data" "a" {{ input = "made" }}
resource "terraform_data" "b" {{
  depends_on = [terraform_data.a]
  provisioner "local-exec" {{ command = "{command}" }}
}}
"""
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), "infra/net/main.tf": code}
    )
    world.pushed("slow")

    async def at_work() -> bool:
        return began.exists()

    await world.eventually(at_work)
    assert "locked by apply-" in (await world.kedge("state", "versions", "shop/net")).err
    refused = await world.kedge("state", "unlock", "shop/net", "-y")
    assert (refused.code, "not known to be over" in refused.err) == (2, True)
    forced = await world.kedge("state", "unlock", "shop/net", "--force", "-y", "--reason", "it hangs")
    assert forced.code == 0, forced.err
    saved = tmp_path / "repaired.tfstate"
    saved.write_bytes(statefile(1, lineage="another"))
    pushed = await world.kedge("state", "push", "shop/net", str(saved), "-y")
    assert pushed.code == 0, pushed.err
    go_on.touch()
    await world.until("shop/net", lambda d: d.last is not None and d.last.result == "Failed")
    versions = (await world.kedge("state", "versions", "shop/net", "-o", "json")).out
    assert [item["origin"] for item in json.loads(versions)["items"]] == ["left behind", "pushed"]
    assert await states.read("shop/net") == saved.read_bytes()
    chosen = await world.kedge("state", "rollback", "shop/net", "2", "-y", "--reason", "that is what runs")
    assert chosen.code == 0, chosen.err
    head = await states.head("shop/net")
    assert head is not None
    assert head.resources == ("terraform_data.a", "terraform_data.b")


async def test_a_stack_that_was_made_elsewhere_is_taken_over_with_its_state_and_nothing_is_made_anew(
    world: World, tmp_path: Path, tofu: Path
) -> None:
    elsewhere = Stack(tofu, tmp_path / "elsewhere")
    elsewhere.declare(NET)
    await elsewhere.init()
    applied = await elsewhere.apply()
    assert applied.code == 0, applied.text
    existing = elsewhere.folder / "terraform.tfstate"
    pushed = await world.kedge("state", "push", "shop/net", str(existing), "-y", "--reason", "from a laptop")
    assert pushed.code == 0, pushed.err
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), "infra/net/main.tf": NET}
    )
    world.pushed("the same net")
    await world.until("shop/net", lambda d: d.operation is None and d.shown.sync == "Synced")
    states = world.house.states
    assert states is not None
    assert await states.read("shop/net") == existing.read_bytes()


async def test_a_cancelled_apply_ends_in_order_and_what_it_made_is_on_record(world: World, tmp_path: Path) -> None:
    code = f"""
resource "terraform_data" "a" {{ input = "made" }}
resource "terraform_data" "b" {{
  depends_on = [terraform_data.a]
  provisioner "local-exec" {{ command = "touch {tmp_path}/began; exec sleep 300" }}
}}
"""
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), "infra/net/main.tf": code}
    )
    world.pushed("for ever")

    async def at_work() -> bool:
        return (tmp_path / "began").exists()

    await world.eventually(at_work)
    said = await world.kedge("cancel", "shop/net", "-y", "--reason", "it hangs")
    assert said.code == 0, said.err
    ended = await world.until("shop/net", lambda d: d.operation is None)
    assert ended.last is not None
    assert ended.last.result == "Failed"
    assert "the apply was interrupted" in ended.last.message
    assert ended.suspended == "by mona: it hangs"
    head = await world.house.states.head("shop/net") if world.house.states is not None else None
    assert head is not None
    assert "terraform_data.a" in head.resources
    assert ended.runs == 1


async def test_an_apply_is_given_its_own_credential_and_nothing_else_of_the_server(tmp_path: Path, tofu: Path) -> None:
    code = """
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "env > HERE/seen" }
}
"""
    declared = """
apiVersion: kedge.dev/v1alpha1
kind: Project
metadata: {name: shop}
spec: {credentials: ["cloud-*"]}
---
apiVersion: kedge.dev/v1alpha1
kind: Credential
metadata: {name: cloud-write}
spec: {environment: {CLOUD_KEY: {env: A_SECRET}}}
"""
    environ = {"KEDGE_TOOLS": str(tofu.parent), "A_SECRET": "hunter2", "ANOTHER": "of the server"}
    async with standing(tmp_path, environ=environ) as world:
        world.repository.write(
            {
                ".kedge/shop.yaml": declared,
                ".kedge/net.yaml": stack("net", UNATTENDED, "credentials: {apply: cloud-write}"),
                "infra/net/main.tf": code.replace("HERE", str(tmp_path)),
            }
        )
        await world.synced("shop/net", world.pushed("a net"))
    seen = (tmp_path / "seen").read_text()
    assert "CLOUD_KEY=hunter2\n" in seen
    assert "ANOTHER" not in seen
    assert "A_SECRET" not in seen
    assert all(b"hunter2" not in file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
