"""Stacks on the same road as applications: from one commit to all healthy, with a real OpenTofu."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stacked import NET, PROJECT, UNATTENDED, pending, stack
from tests.e2e.stories import application
from tests.e2e.world import World, contents, standing

from kedge.cli.client import Server
from kedge.model.errors import Planning

pytestmark = pytest.mark.e2e


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

    another = {
        "infra/net/main.tf": NET.replace("10.0.0.0", "10.9.0.0"),
        "infra/db/main.tf": db.replace("db in", "DB in"),
    }
    world.repository.write(dict(another))
    world.pushed("another range, and another database")
    await world.eventually(lambda: _greets(world, "DB in 10.9.0.0/16"))
    runs = {name: (await world.synced(name)).runs for name in ("shop/net", "shop/db", "shop/cache", "shop/web")}
    assert set(runs.values()) == {2}, "nobody was applied with a value that was about to be another one"
    kept = await world.kedge("get", "event", "-o", "json")
    assert "hunter2" not in kept.out
    store = (world.data / "kedge.db").read_bytes()
    assert b"hunter2" not in store, "a sensitive output is encrypted wherever it rests"
    assert list((world.data / "executions").glob("*/plan.bin.sealed"))
    assert not [content for content in contents(world.data / "executions") if b"hunter2-10." in content]


async def test_an_applications_output_flows_through_a_stack_into_jsonnet_and_kustomize(world: World) -> None:
    """And with its type: a number stays one. Who reads nothing of it is left alone when it moves."""
    base = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {greeting: %s}\n"
    code = 'variable "from" {}\nresource "terraform_data" "n" { input = length(var.from) }\n'
    code += 'output "count" { value = terraform_data.n.output }\n'
    reads = "  inputs: {size: {from: stack/count, output: count, type: number}}\n"
    jsonnet = "  jsonnet: {extVars: {size: {$input: size}}}"
    kustomize = "  kustomize: {}\n  substitute: {variables: {size: {$input: size}}}"
    lines = "local n = std.extVar('size');\n{apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'web'}, "
    given = ("inputs: {word: {from: app/base, output: word, type: string}}", "variables: {from: {$input: word}}")
    files: dict[str, str | None] = {
        ".kedge/shop.yaml": PROJECT,
        ".kedge/count.yaml": stack("count", UNATTENDED, *given),
        "infra/count/main.tf": code,
        ".kedge/base.yaml": application("base", "  outputs: {word: {object: ConfigMap/web, path: data.greeting}}"),
        "apps/base/config.yaml": base % "abc",
        ".kedge/jay.yaml": application("jay", reads + jsonnet),
        "apps/jay/web.jsonnet": lines + "data: {greeting: 'n + 1 = ' + (n + 1)}}",
        ".kedge/kay.yaml": application("kay", reads + kustomize),
        "apps/kay/kustomization.yaml": "resources: [config.yaml, namespace.yaml]\n",
        "apps/kay/config.yaml": base % "'n is ${size}'",
        ".kedge/other.yaml": application("other"),
        "apps/other/config.yaml": base % "other",
    }
    for name in ("base", "jay", "kay", "other"):
        files[f"apps/{name}/namespace.yaml"] = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
    world.repository.write(files)
    commit = world.pushed("all of it")
    names = ("shop/base", "shop/count", "shop/jay", "shop/kay", "shop/other")
    for name in names:
        await world.synced(name, commit)
    assert [await world.greeting(name) for name in ("jay", "kay")] == ["n + 1 = 4", "n is 3"]
    before = {name: (await world.synced(name)).runs for name in names}
    world.repository.write({"apps/base/config.yaml": base % "abcdef"})
    world.pushed("a longer word")
    for name, text in (("jay", "n + 1 = 7"), ("kay", "n is 6")):
        await world.eventually(lambda name=name, text=text: _says(world, name, text))
    moved = {name: (await world.synced(name)).runs - before[name] for name in names}
    assert moved == {"shop/base": 1, "shop/count": 1, "shop/jay": 1, "shop/kay": 1, "shop/other": 0}

    world.repository.write({"infra/count/main.tf": code.replace("length(var.from)", "var.from")})
    world.pushed("no number any more")
    refused = await world.until("shop/jay", lambda d: d.trouble is not None)
    assert "shop/count.count is a text, and the input size wants a number" in refused.shown.why


async def _says(world: World, name: str, text: str) -> bool:
    return await world.greeting(name) == text


async def _greets(world: World, text: str) -> bool:
    return await world.greeting("web") == text


async def test_a_check_of_the_code_that_does_not_hold_is_told_with_the_plan_and_stays_in_sight(world: World) -> None:
    """It stood in what the tool says of its plan, and nobody was shown it."""
    assertion = 'assert {\n    condition = var.range == "x"\n    error_message = "the range is not x"\n  }'
    code = f'{NET}check "small" {{\n  {assertion}\n}}\n'
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net"), "infra/net/main.tf": code})
    commit = world.pushed("a net")
    await world.until("shop/net", lambda d: pending(d) == commit)
    told = "Check block assertion failed: the range is not x"
    shown = await world.kedge("diff", "shop/net", "--pending")
    assert "findings: 1 warning\n" in shown.out
    assert told in shown.out
    await world.kedge("approve", "shop/net", "-y")
    await world.synced("shop/net", commit)
    await world.kedge("sync", "shop/net", "-y")
    seen = await world.until("shop/net", lambda d: bool(d.shown.warned) and d.shown.sync == "Synced")
    assert [told in text for text in seen.shown.warned] == [True]
    assert told in (await world.kedge("get", "shop/net")).out
    world.repository.write({"infra/net/main.tf": NET})
    await world.synced("shop/net", world.pushed("no check"))
    await world.until("shop/net", lambda d: not d.shown.warned)


async def test_a_check_that_fails_only_after_the_apply_is_told_right_after_it(world: World) -> None:
    """It was told with the next plan, an hour later."""
    assertion = (
        'assert {\n    condition = length(terraform_data.net.id) > 99\n    error_message = "its id is short"\n  }'
    )
    code = f'{NET}check "long" {{\n  {assertion}\n}}\n'
    net = stack("net", UNATTENDED)
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": net, "infra/net/main.tf": code})
    seen = await world.synced("shop/net", world.pushed("a net"))
    assert [text.endswith("Check block assertion failed: its id is short") for text in seen.shown.warned] == [True]
    assert "its id is short" in (await world.kedge("get", "shop/net")).out
    assert seen.runs == 1


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


async def test_an_approval_that_no_longer_fits_is_held_and_what_lies_between_is_shown(world: World) -> None:
    """Of a plan that does less than what was approved, nothing told why it waits."""
    more = NET + 'resource "terraform_data" "other" { input = "other" }\n'
    net = stack("net", "approve: {count: 2}")
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": net, "infra/net/main.tf": more})
    first = world.pushed("two")
    await world.until("shop/net", lambda d: pending(d) == first)
    await world.kedge("approve", "shop/net", "-y")
    world.repository.write({"infra/net/main.tf": NET.replace("10.0.0.0", "10.9.0.0")})
    second = world.pushed("one of them, otherwise")
    held = await world.until("shop/net", lambda d: pending(d) == second)
    assert "; not what was approved: create terraform_data.net" in held.shown.why
    for words in (("--pending",), ()):
        shown = (await world.kedge("diff", "shop/net", *words)).out
        assert "not what mona approved" in shown
        assert "  is not to be done any more:\n    + terraform_data.other" in shown
        assert '  + "10.0.0.0/16"' in shown.partition("approved was:")[2]
    world.repository.write({"infra/net/main.tf": NET})
    third = world.pushed("one of them")
    less = await world.until("shop/net", lambda d: pending(d) == third)
    assert less.shown.why.endswith("; not what was approved: some of that is not to be done any more")


async def test_a_fresh_plan_of_the_effects_that_were_approved_is_applied_without_another_word(world: World) -> None:
    """Another commit, and then another state: each makes the saved plan void, and neither changes what it would do."""
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net"), "infra/net/main.tf": NET})
    first = world.pushed("a net")
    held = await world.until("shop/net", lambda d: pending(d) == first)
    assert held.plan is not None
    for words in (("suspend", "shop/net", "-y", "--reason", "not now"), ("approve", "shop/net", "-y")):
        assert (await world.kedge(*words)).code == 0
    world.repository.write({"infra/net/main.tf": NET + "# what nobody reads\n"})
    second = world.pushed("a comment")
    fresh = await world.until(
        "shop/net", lambda d: d.plan is not None and d.plan.revision is not None and d.plan.revision.commit == second
    )
    assert fresh.plan is not None
    assert (fresh.plan.effects, fresh.runs) == (held.plan.effects, 0)
    assert fresh.plan.steps[0].artifact != held.plan.steps[0].artifact, "it is another saved plan"
    assert (await world.kedge("resume", "shop/net", "-y")).code == 0
    done = await world.synced("shop/net", second)
    assert done.last is not None
    assert (done.runs, done.last.effects, done.last.reason) == (1, held.plan.effects, "approved by mona")

    world.repository.write({"infra/net/main.tf": NET.replace("10.0.0.0", "10.9.0.0")})
    third = world.pushed("another range")
    held = await world.until("shop/net", lambda d: pending(d) == third)
    assert held.plan is not None
    for words in (("suspend", "shop/net", "-y", "--reason", "not now"), ("approve", "shop/net", "-y")):
        assert (await world.kedge(*words)).code == 0
    state = json.loads((await world.kedge("state", "pull", "shop/net", "--reason", "look")).out)
    state["serial"] += 1
    kept = world.data.parent / "later.tfstate"
    kept.write_text(json.dumps(state))
    pushed = await world.kedge("state", "push", "shop/net", str(kept), "--reason", "the same, later", "-y")
    assert pushed.code == 0, pushed.err
    assert (await world.kedge("resume", "shop/net", "-y")).code == 0
    done = await world.synced("shop/net", third)
    assert done.last is not None
    assert (done.runs, done.last.effects, done.last.reason) == (2, held.plan.effects, "approved by mona")


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


async def test_a_plan_that_fails_again_in_the_same_way_is_one_event(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tool names what it finds in many places in another order each time."""
    monkeypatch.setattr("kedge.targets.opentofu.target.AGAIN", 0.01)
    broken = "".join(f'output "o{number}" {{\n  value = local.gone{number}\n}}\n' for number in range(12))
    files = {f"infra/net/{name}.tf": broken.replace('"o', f'"{name}') for name in ("a", "b", "c")}
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), **files})
    world.pushed("broken")
    failed = await world.until("shop/net", lambda d: d.trouble is not None and d.trouble.attempts >= 4)
    assert failed.trouble is not None
    assert failed.trouble.text.startswith("the plan failed: a.tf line 2: ")
    events = (await world.kedge("get", "event", "-o", "json")).json["items"]
    assert [event["kind"] for event in events if event["unit"] == "shop/net"].count("unit.trouble") == 1
    gone: dict[str, str | None] = dict.fromkeys(files)
    world.repository.write({**gone, "infra/net/main.tf": NET})
    mended = await world.synced("shop/net", world.pushed("mended"))
    assert mended.trouble is None


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
    held = await world.until("shop/net", lambda d: pending(d) == mended)
    assert held.plan is not None
    (change,) = held.plan.changes
    assert (str(change.ref), change.act, change.why) == (
        "terraform_data.b",
        "replace",
        "it was left half made by an apply that failed",
    )
    await world.kedge("approve", "shop/net", "-y")
    await world.until("shop/net", lambda d: d.operation is None and d.shown.sync == "Synced")


async def test_a_stack_goes_back_to_an_earlier_run_as_a_plan_that_is_approved(world: World) -> None:
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net"), "infra/net/main.tf": NET})
    first = world.pushed("a net")
    await world.until("shop/net", lambda d: pending(d) == first)
    await world.kedge("approve", "shop/net", "-y")
    await world.synced("shop/net", first)
    world.repository.write({"infra/net/main.tf": NET.replace("10.0.0.0", "10.9.0.0")})
    second = world.pushed("another range")
    await world.until("shop/net", lambda d: pending(d) == second)
    await world.kedge("approve", "shop/net", "-y")
    await world.synced("shop/net", second)
    back = await world.kedge("rollback", "shop/net", "1", "-y", "--reason", "it was better")
    assert back.code == 0, back.err + back.out
    assert re.search(r'terraform_data.net +input +"10.9.0.0/16" → "10.0.0.0/16"', back.out), "it is shown first"
    await world.until("shop/net", lambda d: d.pin is not None and pending(d) == first)
    await world.kedge("approve", "shop/net", "-y")
    pinned = await world.until("shop/net", lambda d: d.runs == 3 and d.operation is None and d.shown.sync == "Synced")
    assert [(output.name, output.value) for output in pinned.outputs] == [("range", '"10.0.0.0/16"')]


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


async def test_an_apply_that_takes_longer_than_its_stack_allows_is_interrupted_and_says_so(world: World) -> None:
    """In order, and what it had made is on record."""
    code = """
resource "terraform_data" "a" { input = "made" }
resource "terraform_data" "b" {
  depends_on = [terraform_data.a]
  provisioner "local-exec" { command = "exec sleep 300" }
}
"""
    net = stack("net", UNATTENDED, "sync: {timeout: 3s}")
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": net, "infra/net/main.tf": code})
    world.pushed("for ever")
    ended = await world.until("shop/net", lambda d: d.last is not None and d.last.result == "Failed")
    assert ended.last is not None
    assert "the apply was interrupted" in ended.last.message
    told = (await world.kedge("logs", "shop/net", "apply")).out
    assert "it took longer than 3 s" in told
    head = await world.house.states.head("shop/net") if world.house.states is not None else None
    assert head is not None
    assert "terraform_data.a" in head.resources


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


async def test_who_asks_for_a_plan_waits_until_it_is_there(
    tmp_path: Path, tofu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes: it was an error after fifty seconds, and had to be asked for again."""
    hold, program = tmp_path / "hold", tmp_path / "tools" / "tofu"
    program.parent.mkdir()
    wait = f'[ "$1" != plan ] || while [ -e {hold} ]; do sleep 0.05; done'
    program.write_text(f'#!/bin/sh\n{wait}\nexec {tofu} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr("kedge.control.road.preview.PATIENCE", 0.1)
    answers: list[str] = []
    ask = Server.get

    def counted(self: Server, path: str, **params: Any) -> dict[str, Any]:
        try:
            return ask(self, path, **params)
        except Planning as error:
            answers.append(str(error))
            if len(answers) == 3:
                hold.unlink()
            raise

    monkeypatch.setattr(Server, "get", counted)
    async with standing(tmp_path, environ={"KEDGE_TOOLS": str(program.parent)}) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net"), "infra/net/main.tf": NET})
        commit = world.pushed("a net")
        await world.until("shop/net", lambda d: pending(d) == commit)
        await world.kedge("approve", "shop/net", "-y")
        await world.synced("shop/net", commit)
        hold.touch()
        world.repository.write({".kedge/net.yaml": stack("net", "variables: {range: 10.9.0.0/16}")})
        world.pushed("another")
        await world.until("shop/net", lambda d: "the plan is being made" in d.shown.why)
        said = await world.kedge("diff", "shop/net")
    assert (said.code, len(answers) >= 3) == (1, True)
    assert "10.9.0.0/16" in said.out
    assert "the plan is being made" in said.err


async def test_of_two_commits_in_quick_succession_each_is_applied_whole_or_not_at_all(
    world: World, tmp_path: Path
) -> None:
    """The second comes while the first is applied: that goes on to its end, and what both want is made once."""
    began, go_on = tmp_path / "began", tmp_path / "go-on"
    command = f"echo ${{self.input}} >> {began}; while [ ! -e {go_on} ]; do sleep 0.05; done"
    code = f"""
variable "range" {{}}
resource "terraform_data" "net" {{
  input = var.range
  provisioner "local-exec" {{ command = "{command}" }}
}}
resource "terraform_data" "last" {{ input = "${{terraform_data.net.id}} ${{var.range}}" }}
output "range" {{ value = terraform_data.last.output }}
"""
    declared = {number: stack("net", UNATTENDED, f"variables: {{range: r{number}}}") for number in (1, 2, 3)}
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": declared[1], "infra/net/main.tf": code})
    first = world.pushed("first")
    await world.until("shop/net", lambda d: began.exists())
    for number in (2, 3):
        world.repository.write({".kedge/net.yaml": declared[number]})
        last = world.pushed(f"commit {number}")
    await world.until("shop/net", lambda d: d.unit.tool is not None and "r3" in d.unit.tool.variables)
    running = await world.until("shop/net", lambda d: d.operation is not None)
    assert running.operation is not None
    assert running.operation.revision is not None
    assert running.operation.revision.commit == first
    go_on.touch()
    done = await world.synced("shop/net", last)
    assert began.read_text() == "r1\n", "what both want was made once"
    assert (done.runs, done.outputs[0].value.endswith(' r3"')) == (2, True), "nobody applied what was overtaken"


async def test_of_two_commits_before_the_first_is_planned_only_the_second_is_applied(world: World) -> None:
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), "infra/net/main.tf": NET}
    )
    world.pushed("first")
    await world.until("shop/net", lambda d: "the plan is being made" in d.shown.why or d.runs > 0)
    world.repository.write({"infra/net/main.tf": NET.replace("10.0.0.0", "10.9.0.0")})
    done = await world.synced("shop/net", world.pushed("second"))
    assert done.outputs[0].value == '"10.9.0.0/16"'
    assert done.runs <= 2
    assert done.last is not None
    assert done.last.result == "Succeeded"


async def test_what_is_destroyed_waits_for_a_person_though_all_else_is_applied_unattended(world: World) -> None:
    """A resource that leaves the code is a deletion that no automatic approval covers; one that is gone from the world
    is made anew without a word."""
    two = NET + 'resource "terraform_data" "other" { input = "other" }\n'
    net = stack("net", UNATTENDED, "sync: {heal: always}")
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": net, "infra/net/main.tf": two})
    await world.synced("shop/net", world.pushed("two"))
    world.repository.write({"infra/net/main.tf": NET})
    commit = world.pushed("one of them goes")
    held = await world.until("shop/net", lambda d: pending(d) == commit)
    assert held.plan is not None
    assert held.plan.needs is not None
    assert held.plan.needs.reasons == ("terraform_data.other is deleted",)
    assert (held.runs, held.operation) == (1, None)
    world.repository.write({"infra/net/main.tf": two})
    await world.synced("shop/net", world.pushed("it stays"))
    pulled = await world.kedge("state", "pull", "shop/net", "--reason", "look")
    state = json.loads(pulled.out)
    state["resources"] = [one for one in state["resources"] if one["name"] != "other"]
    state["serial"] += 1
    kept = world.data.parent / "without.tfstate"
    kept.write_text(json.dumps(state))
    pushed = await world.kedge("state", "push", "shop/net", str(kept), "--reason", "it is gone", "-y")
    assert pushed.code == 0, pushed.err
    await world.until("shop/net", lambda d: d.runs == 2 and d.operation is None and d.shown.sync == "Synced")
