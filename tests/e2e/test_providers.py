"""Stacks whose provider comes from a mirror and changes a world of its own: OpenTofu, and the machine's Terraform.

Our own provider's world are files (`tests/parts/things.py`): somebody can change it behind Kedge's back, and the
provider fails where it is told to. Three of the stories are told of AWS as well (S3, SQS and IAM of moto) where
`KEDGE_PROVIDER_MIRROR` names a mirror that has its provider.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from scripts.build_parts import THINGS
from tests.doors.iac import TOOLS
from tests.e2e.provided import AWS, Story, telling_of_aws, telling_of_things
from tests.e2e.stacked import UNATTENDED
from tests.e2e.stories import application
from tests.e2e.world import contents
from tests.parts.mirrors import SETTING, source_of
from tests.parts.programs import missing
from tests.parts.things import packed

from kedge.model.dossier import Dossier

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ONE = 'resource "things_thing" "a" {\n  name    = "a"\n  content = "as Git says"\n}\n'
TWO = ONE + 'resource "things_thing" "b" {\n  name    = "b"\n  content = things_thing.a.id\n}\n'
A_STORY_OF_AWS = 300.0
"""Seconds until something is there: its provider takes 10 s for a plan, and 25 s to believe in a queue."""


@pytest.fixture(params=TOOLS)
async def story(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Story]:
    async with telling_of_things(tmp_path, request.param) as told:
        yield told


@pytest.fixture(params=[*TOOLS, "aws"])
async def anywhere(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Story]:
    """For what is told of any provider: ours with both tools, that of AWS with one."""
    if request.param == "aws":
        monkeypatch.setattr("tests.e2e.world.PATIENCE", A_STORY_OF_AWS)
    telling = telling_of_aws(tmp_path) if request.param == "aws" else telling_of_things(tmp_path, request.param)
    async with telling as told:
        yield told


def waiting(dossier: Dossier, commit: str = "") -> bool:
    """Whether a plan (of a commit) waits for an approval."""
    plan = dossier.plan
    if plan is None or plan.needs is None or dossier.operation is not None:
        return False
    return not commit or (plan.revision is not None and plan.revision.commit == commit)


async def test_three_stacks_and_an_application_go_from_one_commit_to_all_healthy(anywhere: Story) -> None:
    world, cloud = anywhere.world, anywhere.cloud
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {greeting: '${queue} for ${role}'}\n"
    inputs = (
        "{queue: {from: stack/queue, output: id, type: string}, role: {from: stack/role, output: id, type: string}}"
    )
    variables = "{variables: {queue: {$input: queue}, role: {$input: role}}}"
    world.repository.write(
        {
            ".kedge/shop.yaml": anywhere.project,
            ".kedge/web.yaml": application("web", f"  inputs: {inputs}\n  substitute: {variables}"),
            "apps/web/config.yaml": config,
            "apps/web/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n",
        }
    )
    for name, upstream, output in (("bucket", "", ""), ("queue", "bucket", "id"), ("role", "queue", "key")):
        id = cloud.id(name, name)
        code = cloud.thing(name, name, "var.given") + 'variable "given" { default = "as Git says" }\n'
        code += f'output "id" {{ value = {id} }}\n'
        code += f'output "key" {{\n  value     = "hunter2 ${{{id}}}"\n  sensitive = true\n}}\n'
        given = f"inputs: {{given: {{from: stack/{upstream}, output: {output}}}}}"
        more = (given, "variables: {given: {$input: given}}") if upstream else ()
        declared = anywhere.stack(name, UNATTENDED, *more)
        world.repository.write({f".kedge/{name}.yaml": declared, **anywhere.code(name, code)})
    commit = world.pushed("all of it")
    for name in ("bucket", "queue", "role", "web"):
        assert (await world.synced(f"shop/{name}", commit)).runs == 1
    bucket, queue, role = (cloud.known_as(kind, kind) for kind in ("bucket", "queue", "role"))
    assert await world.greeting("web") == f"{queue} for {role}"
    made = cloud.read()
    assert sorted(made) == ["bucket", "queue", "role"]
    assert (made["queue"], made["role"]) == (bucket, f"hunter2 {queue}")
    rests = contents(world.data)
    assert not any(cloud.secret.encode() in content for content in rests)
    assert not any(f"hunter2 {queue}".encode() in content for content in rests), "it is encrypted wherever it rests"
    assert "hunter2" not in (await world.kedge("get", "event", "-o", "json")).out


async def test_what_was_changed_behind_its_back_is_found_in_time_and_told(story: Story) -> None:
    await story.world.synced("shop/net", story.push(TWO, UNATTENDED, "sync: {every: 2s, heal: never}"))
    story.things.write("a", "by hand")
    story.things.remove("b")
    # Whoever looks just now may have read one before it was changed: the next look finds both.
    both = ("things_thing.a", "things_thing.b")
    drifted = await story.world.until("shop/net", lambda d: d.shown.drifted == both)
    assert "drifted, and healing is off" in drifted.shown.why
    assert drifted.plan is not None
    assert {change.why for change in drifted.plan.changes} == {"it was changed outside of Kedge"}
    assert story.things.read() == {"a": "by hand"}, "nothing is repaired that nobody has asked for"
    said = await story.world.kedge("sync", "shop/net", "-y")
    assert said.code == 0, said.err
    await story.world.until("shop/net", lambda d: d.runs == 2 and d.operation is None and not d.shown.drifted)
    assert story.things.read() == {"a": "as Git says", "b": "thing-a"}


async def test_what_others_change_and_the_code_leaves_to_them_is_cosmetic_and_no_drift(story: Story) -> None:
    theirs = ONE.replace("\n}", "\n  lifecycle { ignore_changes = [content] }\n}")
    first = await story.world.synced("shop/net", story.push(theirs, UNATTENDED, "sync: {every: 2s, heal: always}"))
    story.things.write("a", "by hand")
    seen = await story.world.until("shop/net", lambda d: bool(d.shown.cosmetic))
    assert (seen.shown.sync, seen.shown.cosmetic, seen.shown.drifted) == ("Synced", ("things_thing.a",), ())
    assert (seen.runs, seen.plan) == (first.runs, None)
    told = await story.world.kedge("get", "shop/net")
    assert "cosmetic       changed outside, of no effect on what is declared: things_thing.a" in told.out
    assert story.things.read() == {"a": "by hand"}


async def test_what_was_changed_behind_its_back_is_repaired_where_that_is_declared(anywhere: Story) -> None:
    cloud = anywhere.cloud
    code = cloud.thing("queue", "a", '"as Git says"') + cloud.thing("role", "b", cloud.id("queue", "a"))
    often = f"sync: {{every: {cloud.every}, heal: harmless}}"
    first = await anywhere.world.synced("shop/net", anywhere.push(code, UNATTENDED, often))
    cloud.write("a", "by hand")
    cloud.remove("b")
    wanted = {"a": "as Git says", "b": cloud.known_as("queue", "a")}
    repaired = await anywhere.world.until(
        "shop/net", lambda d: d.runs > first.runs and d.operation is None and cloud.read() == wanted
    )
    assert repaired.last is not None
    assert (repaired.last.cause, repaired.last.result) == ("drift", "Succeeded")


async def test_a_provider_that_dies_midway_is_named_and_what_it_had_made_is_on_record(story: Story) -> None:
    story.things.breaks("b", "panic")
    story.push(TWO, UNATTENDED)
    told = await story.failed()
    assert "Plugin did not respond" in told
    assert told.endswith("(at things_thing.b)")
    if story.tool == "terraform":  # OpenTofu keeps the words of what died to itself
        assert "panic: a thing that breaks its provider" in (await story.world.kedge("logs", "shop/net", "apply")).out
    assert await story.kept() == ("things_thing.a",)
    story.things.works("b")
    await story.world.synced("shop/net")
    assert story.things.read() == {"a": "as Git says", "b": "thing-a"}


async def test_a_provider_that_dies_of_what_it_reads_fails_the_plan_which_says_where(story: Story) -> None:
    first = await story.world.synced("shop/net", story.push(TWO, UNATTENDED))
    story.things.breaks("b", "panic when read")
    story.push(TWO.replace("as Git says", "otherwise"), UNATTENDED)
    failed = await story.world.until("shop/net", lambda d: d.trouble is not None)
    assert failed.shown.why.startswith("the plan failed: Plugin did not respond")
    assert "(at things_thing.b)" in failed.shown.why
    assert (failed.runs, story.things.read()) == (first.runs, {"a": "as Git says", "b": "thing-a"})


async def test_an_apply_that_is_cancelled_while_its_provider_is_at_work_keeps_what_was_made(story: Story) -> None:
    story.things.breaks("b", "wait")
    story.push(TWO, UNATTENDED)

    async def at_work() -> bool:
        return story.things.waits("b")

    await story.world.eventually(at_work)
    said = await story.world.kedge("cancel", "shop/net", "-y", "--reason", "it hangs")
    assert said.code == 0, said.err
    assert "b was given up: the tool was asked to end" in await story.failed()
    assert await story.kept() == ("things_thing.a",)
    assert story.things.read() == {"a": "as Git says"}


async def test_a_plan_can_not_write_with_the_credentials_of_plans(story: Story) -> None:
    story.push(ONE, UNATTENDED, credentials="credentials: {plan: cloud-read, apply: cloud-read}")
    assert "only who has the key may write a" in await story.failed()
    assert story.things.read() == {}


async def test_an_approval_that_does_not_fit_any_more_is_held_and_what_is_new_is_shown(anywhere: Story) -> None:
    world, cloud = anywhere.world, anywhere.cloud
    every = f"sync: {{every: {cloud.every}}}"
    await world.synced("shop/net", anywhere.push(cloud.thing("role", "a", '"as Git says"'), UNATTENDED, every))
    second = anywhere.push(cloud.thing("role", "a", '"twice"'), every)
    held = await world.until("shop/net", lambda d: waiting(d, second))
    assert held.plan is not None
    for words in (("suspend", "shop/net", "-y", "--reason", "not now"), ("approve", "shop/net", "-y")):
        said = await world.kedge(*words)
        assert said.code == 0, said.err
    cloud.remove("a")
    before = held.plan.effects
    other = await world.until(
        "shop/net", lambda d: waiting(d, second) and d.plan is not None and d.plan.effects != before
    )
    assert other.plan is not None
    assert [(str(change.ref), change.act) for change in other.plan.changes] == [(cloud.address("role", "a"), "create")]
    assert (await world.kedge("resume", "shop/net", "-y")).code == 0
    waits = await world.until("shop/net", lambda d: not d.suspended and "waits for 1 approval" in d.shown.why)
    assert waits.shown.why.endswith(f"; not what was approved: create {cloud.address('role', 'a')}")
    assert cloud.read() == {}
    refused = await world.kedge("approve", "shop/net", "-y", "--effects", before[:12])
    assert refused.code != 0
    assert "has other effects by now" in refused.err
    assert (await world.kedge("approve", "shop/net", "-y")).code == 0
    await world.synced("shop/net", second)
    assert cloud.read() == {"a": "twice"}


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_provider_comes_from_an_archive_of_a_mirror_by_the_name_that_it_has_there(
    tool: str, tmp_path: Path
) -> None:
    mirror = packed(tmp_path / "mirror", f"mirror.test/{AWS}")
    async with telling_of_things(tmp_path, tool, mirror, source_of(mirror, AWS)) as story:
        assert f'provider "mirror.test/{AWS}"' in story.lock
        await story.world.synced("shop/net", story.push(ONE, UNATTENDED))
        assert story.things.read() == {"a": "as Git says"}


async def test_a_story_of_aws_is_told_with_whatever_the_named_mirror_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacking := missing([THINGS]):
        pytest.skip(lacking)
    monkeypatch.setenv(SETTING, str(packed(tmp_path / "mirror", f"mirror.test/{AWS}")))
    async with telling_of_aws(tmp_path) as story:
        story.push(story.cloud.thing("role", "a", '"as Git says"'), UNATTENDED)
        failed = await story.world.until("shop/net", lambda d: d.trouble is not None)
        assert "is not expected here" in failed.shown.why, "that one is none of AWS: it came, and knows no argument"
        assert story.cloud.read() == {}
