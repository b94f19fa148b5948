"""Watches: from a version, with a selector, with bookmarks, and when too late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.sandbox.conftest import MAPS, Lab, config_map

from kedge.sandbox import Options, watching


def _told(watch: Any) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in watch.events()]


def _here(lab: Lab, query: str = "") -> Any:
    return lab.get(f"{MAPS}?watch=true&resourceVersion={lab.box.version}{query}")


def test_a_watch_tells_what_happens_after_its_version(lab: Lab) -> None:
    watch = _here(lab)
    lab.post(MAPS, config_map())
    lab.patch(f"{MAPS}/settings", {"data": {"a": "2"}})
    lab.delete(f"{MAPS}/settings")
    assert _told(watch) == [("ADDED", "settings"), ("MODIFIED", "settings"), ("DELETED", "settings")]


def test_a_deletion_carries_a_newer_version_than_the_object_had(lab: Lab) -> None:
    made = lab.post(MAPS, config_map())
    watch = _here(lab)
    lab.delete(f"{MAPS}/settings")
    gone = watch.events()[0]["object"]
    assert int(gone["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert gone["data"] == made["data"]


def test_a_late_watch_is_told_what_it_missed(lab: Lab) -> None:
    before = lab.box.version
    lab.post(MAPS, config_map("one"))
    lab.post(MAPS, config_map("two"))
    watch = lab.get(f"{MAPS}?watch=1&resourceVersion={before}")
    assert _told(watch) == [("ADDED", "one"), ("ADDED", "two")]


def test_a_watch_without_a_version_begins_with_what_is_there(lab: Lab) -> None:
    lab.post(MAPS, config_map())
    assert ("ADDED", "settings") in _told(lab.get(f"{MAPS}?watch=true"))


def test_entering_a_selector_is_an_addition_and_leaving_it_a_deletion(lab: Lab) -> None:
    lab.post(MAPS, config_map())
    watch = _here(lab, "&labelSelector=tier%3Dfront")
    lab.patch(f"{MAPS}/settings", {"metadata": {"labels": {"tier": "front"}}})
    lab.patch(f"{MAPS}/settings", {"data": {"a": "2"}})
    lab.patch(f"{MAPS}/settings", {"metadata": {"labels": {"tier": "back"}}})
    lab.patch(f"{MAPS}/settings", {"data": {"a": "3"}})
    events = watch.events()
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[2]["object"]["metadata"]["labels"] == {"tier": "front"}


def test_a_watch_sees_only_its_namespace(lab: Lab) -> None:
    lab.post("/api/v1/namespaces", {"metadata": {"name": "other"}})
    lab.box.settle()
    watch = _here(lab)
    lab.post("/api/v1/namespaces/other/configmaps", config_map())
    assert _told(watch) == []


def test_a_watch_from_a_forgotten_version_is_expired(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(Options(keep=3))
    before = lab.box.version
    for number in range(6):
        lab.post(MAPS, config_map(f"m{number}"))
    watch = lab.get(f"{MAPS}?watch=true&resourceVersion={before}")
    event = watch.events()[0]
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert watch.closed


def test_bookmarks_come_by_the_clock_to_who_wants_them(lab: Lab) -> None:
    wanting, other = _here(lab, "&allowWatchBookmarks=true"), _here(lab)
    lab.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}})
    lab.clock.at += 61
    lab.box.tick()
    marks = wanting.events()
    assert [event["type"] for event in marks] == ["BOOKMARK"]
    assert marks[0]["object"]["metadata"]["resourceVersion"] == str(lab.box.version)
    assert marks[0]["object"]["kind"] == "ConfigMap"
    assert other.events() == []


def test_a_streaming_list_ends_with_a_marked_bookmark(lab: Lab) -> None:
    lab.post(MAPS, config_map())
    query = "?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    events = lab.get(MAPS + query).events()
    assert events[0]["type"] == "ADDED"
    assert events[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_watch_ends_when_its_time_is_over(lab: Lab) -> None:
    watch = _here(lab, "&timeoutSeconds=5")
    lab.clock.at += 4
    lab.box.tick()
    assert not watch.closed
    lab.clock.at += 2
    lab.box.tick()
    assert watch.closed
    assert lab.box.cluster.watches.all() == []


def test_whoever_subscribed_is_rung_for_each_line_and_at_the_end(lab: Lab) -> None:
    watch, rung = _here(lab), []
    watch.subscribe(lambda: rung.append(1))
    lab.post(MAPS, config_map())
    watch.close()
    assert len(rung) == 2


def test_a_closed_watch_costs_nothing_any_more(lab: Lab) -> None:
    watch = _here(lab, "&labelSelector=a%3Db")
    watch.close()
    assert lab.box.cluster.watches.all() == []


def test_a_reader_too_far_behind_is_cut_off_by_lines_and_by_bytes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("BACKLOG", 3), ("BACKLOG_BYTES", 2000)):
        with monkeypatch.context() as patched:
            patched.setattr(watching, name, most)
            watch = _here(lab)
            for number in range(6):
                lab.post(MAPS, config_map(f"{name.lower().replace('_', '-')}-{number}", a="x" * 300))
            assert watch.closed
            assert 2 <= len(watch.take()) <= 4
