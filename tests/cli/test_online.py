import json
from dataclasses import replace

import pytest
from tests import builders
from tests.cli.calling import call, living
from tests.server.driver import READER, TOKEN, Fakes, synced

from kedge.model.change import Act, Change, FieldAct, FieldChange
from kedge.model.dossier import Pin, Shown, Sync
from kedge.model.enlistment import Head, RootState
from kedge.model.errors import Problem, Where
from kedge.model.event import Event
from kedge.model.health import Health, Status
from kedge.model.operation import Result
from kedge.model.plan import Needs

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path):
    fakes = Fakes(fresh={"default": 999_999.0})
    fakes.put(builders.dossier(**synced(applied=builders.revision(), verified=1.0)))
    with living(fakes, tmp_path) as found:
        yield found


def waiting():
    change = Change(
        builders.ref("Deployment", "web"),
        Act.UPDATE,
        (FieldChange("spec.replicas", FieldAct.CHANGE, "2", "4"),),
        effect="e1",
    )
    plan = builders.plan_of(builders.manifest("Deployment", "web"), changes=(change,))
    shown = Shown(Sync.OUT_OF_SYNC, Health(Status.HEALTHY), "1 to update; waits for 1 approval")
    return builders.dossier(plan=replace(plan, needs=Needs(("it is destructive",))), shown=shown)


def test_the_fleet_is_a_table_worst_first_with_the_reason(house):
    sick = builders.unit(name=replace(builders.NAME, name="sick"))
    shown = Shown(Sync.SYNCED, Health(Status.DEGRADED), "Pod web/x: out of memory")
    house.do(lambda: house.fakes.put(replace(builders.dossier(shown=shown), name=sick.name, unit=sick)))
    lines = house.kedge("get").out.splitlines()
    assert lines[0].split() == ["UNIT", "SYNC", "HEALTH", "LIVE", "VERIFIED", "WHY"]
    assert lines[1].startswith("shop/sick")
    assert lines[1].endswith("Pod web/x: out of memory")
    assert 'aaaaaaa "raise replicas" by Mona' in lines[2]
    assert "1 s ago" in lines[2]


def test_the_fleet_shows_commits_without_the_number_of_records_and_pins_beside_what_is_wrong(house):
    """The count of a unit's records was taken for the version that a source had chosen."""
    house.do(lambda: house.fakes.put(replace(builders.dossier(), version=7, applied=builders.revision())))
    assert house.kedge("get", "-o", "json").json["items"][0]["version"] == 7
    assert house.kedge("get").out.splitlines()[1].split()[3] == "aaaaaaa"
    shown = Shown(Sync.SYNCED, Health(Status.SUSPENDED), "Rollout web/x: paused")
    pin = Pin("mona", "back", 1.0, 2.0, 1, builders.unit(), None, "")
    house.do(lambda: house.fakes.put(replace(builders.dossier(shown=shown), pin=pin)))
    assert house.kedge("get").out.splitlines()[1].endswith("pinned; Rollout web/x: paused")


def test_what_is_wrong_with_roots_and_sources_is_said_below_the_fleet_and_the_unit(house):
    problem = Problem("there is no field “sorce”", Where("x.yaml", 3), "did you mean “source”?")
    gone = Head("https://git.example.com/x", "main", None, 1.0, "it is gone\n  bring it back")
    house.fakes.store.known_roots = [RootState("admin", None, False, (problem,) * 7)]
    house.fakes.store.known_heads = [gone]
    said = house.kedge("get").err
    assert said.count("root admin, x.yaml, line 3: there is no field “sorce”\n  did you mean “source”?") == 5
    assert "and 3 more: kedge get source" in said
    assert "it is gone — bring it back" in house.kedge("get", "source").out
    house.fakes.store.known_roots = [RootState("admin", None, False, (replace(problem, where=Where("kedge.yaml")),))]
    assert "root admin, kedge.yaml: there is no field" in house.kedge("get", "web").err


def test_the_sentences_of_an_error_stand_on_one_line(house):
    shown = Shown(Sync.UNKNOWN, Health(Status.HEALTHY), "a.yaml: it is wrong\n  mend it\nb.yaml: it too")
    house.do(lambda: house.fakes.put(builders.dossier(shown=shown)))
    for words in (("get",), ("get", "web")):
        assert "a.yaml: it is wrong — mend it; b.yaml: it too" in house.kedge(*words).out


@pytest.mark.parametrize("words", [("get",), ("get", "app"), ("get", "apps"), ("ls",), ("get", "application")])
def test_a_kind_is_one_in_singular_plural_and_short_form(house, words):
    assert house.kedge(*words, "-o", "name").out == "shop/web\n"


@pytest.mark.parametrize(
    "words",
    [
        ("get",),
        ("get", "app", "web"),
        ("get", "source"),
        ("get", "run", "web"),
        ("get", "event"),
        ("get", "cluster"),
        ("get", "project"),
        ("tree", "web"),
        ("history", "web"),
        ("config",),
        ("version",),
    ],
)
def test_every_read_writes_json_and_yaml_with_a_schema_version(house, words):
    found = house.kedge(*words, "-o", "json")
    assert found.code == 0, found.err
    assert found.json["schemaVersion"].startswith("kedge.dev/")
    assert "schemaVersion: kedge.dev/" in house.kedge(*words, "-o", "yaml").out
    assert house.kedge(*words, "-o", "wide").code == 0
    assert house.kedge(*words, "-o", "name").code == 0


def test_a_remote_text_can_not_move_the_cursor(house):
    hostile = replace(builders.revision(), subject="\x1b[2Jgone\n\u202eevil", author="\x9b31m")
    house.do(lambda: house.fakes.put(builders.dossier(**synced(applied=hostile, verified=1.0))))
    for words in (("get",), ("get", "app", "web"), ("get", "-o", "json"), ("get", "-o", "yaml")):
        text = house.kedge(*words).out
        assert not any(char in text for char in "\x1b\x9b\u202e"), words
    assert len(house.kedge("get").out.splitlines()) == 2


def test_an_unknown_name_is_an_error_that_names_the_nearest(house):
    result = house.kedge("get", "app", "wep")
    assert (result.code, result.out) == (2, "")
    assert "the nearest is shop/web" in result.err


def test_a_name_that_two_units_have_is_refused(house):
    other = builders.unit(name=replace(builders.NAME, project="other"))
    house.do(lambda: house.fakes.put(replace(builders.dossier(), name=other.name, unit=other)))
    result = house.kedge("get", "app", "web")
    assert result.code == 2
    assert "other/web" in result.err
    assert "shop/web" in result.err


def test_a_server_that_is_not_there_says_how_to_start_one(tmp_path):
    result = call("get", env={"KEDGE_DATA": str(tmp_path)})
    assert result.code == 2
    assert "kedge up starts one; --data names the data directory of another here" in result.err
    gone = call("get", "--server", "http://127.0.0.1:9", env={"KEDGE_DATA": str(tmp_path)})
    assert gone.code == 2
    assert "cannot be reached" in gone.err


def test_a_wrong_token_or_a_missing_right_is_exit_six(house):
    assert house.kedge("get", env={"KEDGE_TOKEN": "wrong"}).code == 6
    refused = house.kedge("suspend", "shop/web", env={"KEDGE_TOKEN": READER})
    assert refused.code == 6
    assert "rita may not suspend shop/web" in refused.err


def test_a_token_is_not_sent_over_an_open_wire(tmp_path):
    result = call("get", "--server", "http://kedge.example.com", env={"KEDGE_TOKEN": TOKEN})
    assert result.code == 6
    assert TOKEN not in result.err


def test_config_says_where_the_token_is_and_never_what_it_is(house):
    for form in ("table", "json", "yaml"):
        printed = house.kedge("config", "-o", form)
        assert "server.json" in printed.out
        assert TOKEN not in printed.out + printed.err


def test_a_token_file_is_read(house, tmp_path):
    file = tmp_path / "token"
    file.write_text(READER + "\n")
    assert house.kedge("suspend", "shop/web", "--token-file", str(file)).code == 6


def test_an_acting_verb_says_what_it_will_do_and_a_dry_run_does_nothing(house):
    dry = house.kedge("suspend", "web", "--dry-run")
    assert dry.code == 0
    assert "would stop automation of shop/web" in dry.err
    assert house.fakes.rung == []
    done = house.kedge("suspend", "web", "--reason", "storm")
    assert done.code == 0
    assert "will stop automation" in done.err
    assert done.out == ""
    assert house.fakes.rung == ["shop/web unit.suspended"]
    assert "storm" in house.fakes.store.dossiers["shop/web"].suspended


def test_without_a_terminal_an_approval_needs_a_yes_beforehand(house):
    house.do(lambda: house.fakes.put(waiting()))
    refused = house.kedge("approve", "web")
    assert refused.code == 2
    assert "-y" in refused.err
    assert "spec.replicas" in refused.out
    given = house.kedge("approve", "web", "--effects", "eeee", "-y")
    assert given.code == 0
    assert house.fakes.store.dossiers["shop/web"].approvals[0].person == "admin"
    assert house.kedge("approve", "web", "--effects", "beef", "-y").code == 2


def test_the_environment_agrees_beforehand_too(house):
    house.do(lambda: house.fakes.put(waiting()))
    assert house.kedge("approve", "web", env={"KEDGE_YES": "1", "KEDGE_REASON": "seen"}).code == 0
    assert house.fakes.store.dossiers["shop/web"].approvals[0].reason == "seen"


def test_breaking_the_glass_needs_a_reason(house):
    house.do(lambda: house.fakes.put(waiting()))
    assert "needs a reason" in house.kedge("approve", "web", "--break-glass", "-y").err


def test_the_pending_plan_is_shown_and_exit_one_says_that_it_differs(house):
    assert house.kedge("diff", "web", "--pending").code == 0
    house.do(lambda: house.fakes.put(waiting()))
    result = house.kedge("plan", "web", "--pending")
    assert result.code == 1
    assert "2 → 4" in result.out
    assert house.kedge("diff", "web", "--pending", "-o", "json").json["schemaVersion"]


def test_a_plan_says_from_which_commit_to_which(house):
    pending = replace(waiting(), applied=builders.revision("b" * 40))
    assert pending.plan is not None
    house.do(lambda: house.fakes.put(replace(pending, plan=replace(pending.plan, revision=builders.revision()))))
    assert "main bbbbbbb → aaaaaaa" in house.kedge("diff", "web", "--pending").out


def test_waiting_ends_with_the_code_of_what_came(house):
    assert house.kedge("wait", "web").code == 0
    house.do(lambda: house.fakes.put(waiting()))
    assert house.kedge("wait", "web").code == 5
    degraded = Shown(Sync.SYNCED, Health(Status.DEGRADED, "crash loop"), "crash loop")
    house.do(lambda: house.fakes.put(builders.dossier(shown=degraded)))
    assert house.kedge("wait", "web").code == 4
    assert house.kedge("wait", "web", "--for", "synced").code == 0
    house.do(lambda: house.fakes.put(builders.dossier()))
    assert house.kedge("wait", "web", "--timeout", "0.1s").code == 3


def test_a_failed_run_is_degraded_to_who_waits(house):
    failed = builders.operation(builders.plan_of(builders.manifest("Deployment", "web")), result=Result.FAILED)
    out = Shown(Sync.OUT_OF_SYNC, Health(Status.HEALTHY), "failed")
    house.do(lambda: house.fakes.put(builders.dossier(last=failed, shown=out)))
    assert house.kedge("wait", "web").code == 4


def test_waiting_hears_of_the_end_on_the_event_stream(house):
    import threading

    house.do(lambda: house.fakes.put(builders.dossier()))
    results = []
    thread = threading.Thread(target=lambda: results.append(house.kedge("wait", "web", "--timeout", "60s")))
    thread.start()
    while not house.do(lambda: len(house.app.state.hub)) and thread.is_alive():
        thread.join(0.01)

    def settle():
        house.fakes.put(builders.dossier(**synced()))
        house.fakes.store.seal(Event("operation.finished", 1.0, "kedge", unit="shop/web"))

    house.do(settle)
    thread.join(30)
    assert results[0].code == 0


def test_an_object_is_traced(house):
    what = builders.ref("Deployment", "web")
    house.do(lambda: house.fakes.store.claimed.__setitem__(("default", what), "shop/web"))
    assert "author  Mona" in house.kedge("trace", "apps/Deployment/web", "-n", "web").out
    assert house.kedge("trace", "web").code == 2


def test_delete_only_says_what_to_remove(house):
    result = house.kedge("delete", "app", "web")
    assert result.code == 0
    assert "kedge approve shop/web" in result.err
    assert house.fakes.rung == []


def test_the_json_of_the_fleet_reads_back_whole(house):
    rows = json.loads(house.kedge("get", "-o", "json").out)["items"]
    assert rows[0]["lastVerified"] == 999_999.0


def test_a_secret_goes_to_the_server_from_stdin_and_is_never_shown(house):
    kept = call("create", "secret", "forge", stdin=b"canary-7f3a\n", env={"KEDGE_DATA": str(house.data)})
    assert kept.code == 0
    assert house.fakes.store.secrets == {"forge": "canary-7f3a\n"}
    listed = house.kedge("get", "secrets")
    assert "forge" in listed.out
    assert "canary" not in kept.out + kept.err + listed.out
    assert house.kedge("delete", "secret", "forge").code == 0
    assert house.kedge("get", "secrets", "-o", "name").out == ""
    assert house.kedge("delete", "secret", "forge").code == 2


@pytest.mark.parametrize("raw", [b"", b" \n", b"\xff\xfe", b"x" * 70_000])
def test_a_secret_that_cannot_be_kept_is_refused_before_it_is_sent(house, raw):
    refused = call("create", "secret", "forge", stdin=raw, env={"KEDGE_DATA": str(house.data)})
    assert refused.code == 2
    assert "stdin" in refused.err
    assert house.fakes.store.secrets == {}
