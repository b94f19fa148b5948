import json

import pytest
from tests import builders
from tests.cli.calling import living
from tests.server.driver import READER, Fakes, synced

from kedge.model.family import Child, ClusterEvent, ClusterEvents, Family, Lineage, LogLine, LogWish
from kedge.model.operation import Sight
from kedge.model.ref import Ref

pytestmark = pytest.mark.slow

DEPLOYED = builders.ref("Deployment", "web")
SERVICE = builders.ref("Service", "web")


def child(kind, name, owner, status="Healthy", message="", group=""):
    return Child(Ref(group, kind, "web", name), owner, "u", status, message)


SETS = [child("ReplicaSet", f"web-{number}", DEPLOYED, group="apps") for number in range(4)]
POD = child("Pod", "web-3-x", SETS[3].ref, "Degraded", "container web: \x1b[2Jgone")


@pytest.fixture
def house(tmp_path):
    fakes = Fakes(fresh={"default": 999_999.0})
    owned = (builders.owned(DEPLOYED), builders.owned(SERVICE))
    fakes.put(builders.dossier(**synced(applied=builders.revision(), verified=1.0, inventory=owned)))
    fakes.live.found = Family(
        sights={ref: Sight(ref, True, "Healthy") for ref in (DEPLOYED, SERVICE)},
        children=(*SETS, POD),
        notes=("not permitted to list: leases",),
    )
    with living(fakes, tmp_path) as found:
        yield found


def test_a_tree_stands_below_its_owners_and_what_rollouts_left_behind_is_told_in_one_line(house):
    result = house.kedge("tree", "web")
    assert result.out.splitlines() == [
        "shop/web",
        "├─ Service web/web  Healthy",
        "└─ apps/Deployment web/web  Healthy",
        "   ├─ apps/ReplicaSet web/web-3  Healthy",
        "   │  └─ Pod web/web-3-x  Degraded: container web: \\x1b[2Jgone",
        "   └─ 3 ReplicaSets of before (-o wide shows them)",
    ]
    assert "note: not permitted to list: leases" in result.err
    assert len(house.kedge("tree", "web", "-o", "wide").out.splitlines()) == 8


def test_a_tree_for_programs_names_every_owner(house):
    found = house.kedge("tree", "web", "-o", "json").json
    owners = {one["name"]: one["owner"] for one in found["children"]}
    assert owners["web-3-x"] == "apps/ReplicaSet/web/web-3"
    assert owners["web-0"] == found["items"][1]["key"]
    assert "Pod web/web-3-x" in house.kedge("tree", "web", "-o", "name").out.splitlines()


def test_a_pod_is_traced_up_to_its_author(house):
    house.fakes.live.lineages["default", "po", "web", "web-3-x"] = Lineage((POD.ref, SETS[3].ref, DEPLOYED), "nobody")
    house.do(lambda: house.fakes.store.claimed.__setitem__(("default", DEPLOYED), "shop/web"))
    lines = [line.strip() for line in house.kedge("trace", "po/web-3-x", "-n", "web").out.splitlines()]
    assert lines[:3] == [
        "Pod web/web-3-x in cluster default",
        "of      apps/ReplicaSet web/web-3",
        "of      apps/Deployment web/web",
    ]
    assert any(line.startswith("author  Mona") for line in lines)
    assert house.kedge("trace", "po/web-3-x", "-n", "web", "-o", "name").out == "shop/web\n"


def test_what_no_unit_owns_is_an_error_that_says_who_does(house):
    house.fakes.live.lineages["default", "cm", "", "x"] = Lineage(
        (Ref("", "ConfigMap", "web", "x"),), "Helm (release x)"
    )
    result = house.kedge("trace", "cm/x")
    assert result.code == 2
    assert "it is managed by Helm (release x)" in result.err


def test_lines_of_one_container_are_bare_and_those_of_several_say_whose_they_are(house):
    house.fakes.live.lines = [LogLine("web-1", "web", "one"), LogLine("web-1", "web", "two\tthree")]
    assert house.kedge("logs", "web").out == "one\ntwo     three\n"
    assert house.kedge("logs", "web", "--prefix").out.startswith("web-1/web one\n")
    house.fakes.live.lines.append(LogLine("web-2", "web", "", note=False))
    assert house.kedge("logs", "web").out.splitlines()[0] == "web-1/web one"
    assert house.kedge("logs", "web", "--no-prefix").out.splitlines()[0] == "one"


def test_a_hostile_line_can_not_move_the_cursor_and_a_note_is_no_line(house):
    house.fakes.live.lines = [
        LogLine("web-1", "web", "\x1b]0;owned\x07\x9b2J\u202eevil\rback"),
        LogLine("web-1", "web", "it is waiting to start: \x1b[31mno", note=True),
    ]
    result = house.kedge("logs", "web")
    assert result.out == "\\x1b]0;owned\\x07\\x9b2J\\u202eevil\\rback\n"
    assert result.err == "web-1/web: it is waiting to start: \\x1b[31mno\n"


def test_what_is_wished_of_a_log_reaches_the_server(house):
    house.fakes.live.lines = [LogLine("web-1", "web", "one")]
    house.kedge("logs", "web", "deploy/web", "-c", "web", "--previous", "--since", "5m", "--tail", "7")
    house.kedge("logs", "web", "--tail", "-1")
    assert house.fakes.live.asked == [
        LogWish("deploy/web", "web", previous=True, since=300.0, tail=7),
        LogWish(),
    ]


def test_there_being_no_pods_is_an_error_with_a_sentence(house):
    result = house.kedge("logs", "web")
    assert (result.code, result.out) == (2, "")
    assert "the unit has no Pods just now" in result.err


def test_the_token_is_in_no_answer(house):
    from tests.server.driver import TOKEN

    house.fakes.live.lines = [LogLine("web-1", "web", "one")]
    for words in (("logs", "web"), ("logs", "none"), ("tree", "web"), ("restart", "web"), ("trace", "cm/x")):
        result = house.kedge(*words)
        assert TOKEN not in result.out + result.err


def test_events_of_the_cluster_are_a_table_newest_last(house):
    assert "has no events about it" in house.kedge("get", "event", "web", "--objects").err
    event = ClusterEvent(POD.ref, "Warning", "BackOff", "restarting\x1b[2J\nagain", "kubelet", 3, 1.0, 2.0)
    house.fakes.live.happened = ClusterEvents((event,), ("a note",))
    result = house.kedge("get", "event", "web", "--objects")
    head, line = result.out.splitlines()
    assert head.split() == ["TIME", "TYPE", "OBJECT", "REASON", "MESSAGE"]
    assert "Pod web/web-3-x" in line
    assert line.endswith("restarting\\x1b[2J; again (×3)")
    assert result.err == "note: a note\n"
    assert "kubelet" in house.kedge("get", "event", "web", "--objects", "-o", "wide").out
    assert json.loads(house.kedge("get", "event", "web", "--objects", "-o", "json").out)["items"][0]["count"] == 3


@pytest.mark.parametrize("words", [("get", "app", "web"), ("get", "event"), ("get",)])
def test_objects_are_only_for_the_events_of_one_application(house, words):
    result = house.kedge(*words, "--objects")
    assert (result.code, "kedge get event NAME --objects" in result.err) == (2, True)


def test_a_restart_says_what_it_will_do_and_does_it(house):
    tried = house.kedge("restart", "web", "deployment/web", "--dry-run")
    assert "would restart apps/Deployment web/web of shop/web: so it is" in tried.err
    assert house.fakes.live.done == []
    done = house.kedge("restart", "web", "deployment/web", "-y", "--reason", "memory")
    assert done.code == 0
    assert house.fakes.live.done == [("shop/web", "restart apps/Deployment web/web")]
    assert house.fakes.store.sealed_events[-1].reason == "memory"


def test_a_scale_needs_an_object_and_a_number(house):
    assert house.kedge("scale", "web", "deployment/web", "3", "-y").code == 0
    assert house.fakes.live.done == [("shop/web", "scale apps/Deployment web/web to 3")]
    for words in (("deployment/web",), ("deployment/web", "-1"), ("deployment/web", "many")):
        assert house.kedge("scale", "web", *words, "-y").code == 2


def test_what_can_be_done_to_an_object_is_listed_and_done(house):
    listed = house.kedge("act", "web", "deployment/web")
    assert "hold it where it is" in listed.out
    assert house.kedge("act", "web", "-o", "name").out.split() == ["apps/Deployment", "web/web", "pause"]
    tried = house.kedge("act", "web", "deployment/web", "pause", "--dry-run")
    assert "would act apps/Deployment web/web of shop/web: pause" in tried.err
    assert house.fakes.live.done == []
    assert house.kedge("act", "web", "deployment/web", "pause", "-y", "--reason", "a freeze").code == 0
    assert house.fakes.live.done == [("shop/web", "pause apps/Deployment web/web for admin")]
    assert house.fakes.store.sealed_events[-1].reason == "a freeze"
    assert house.kedge("act", "web", "deployment/web", "explode", "-y").code == 2


def test_who_may_only_read_is_told_so_by_the_exit_code(house):
    for words in (("restart", "web"), ("scale", "web", "deployment/web", "3"), ("act", "web", "web", "pause")):
        assert house.kedge(*words, "-y", env={"KEDGE_TOKEN": READER}).code == 6
    assert house.fakes.live.done == []
