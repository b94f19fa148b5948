"""Lists, selectors, pages."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from tests.sandbox.conftest import DEPLOYMENTS, MAPS, Lab, config_map, deployment


def _names(listed: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"] if item["metadata"]["name"] != "kube-root-ca.crt"]


def _fill(lab: Lab) -> None:
    for number in range(5):
        body = config_map(f"m{number}")
        body["metadata"]["labels"] = {"parity": "even" if number % 2 == 0 else "odd", f"n{number}": "yes"}
        lab.post(MAPS, body)


def test_a_list_is_ordered_and_carries_the_version_it_shows(lab: Lab) -> None:
    _fill(lab)
    listed = lab.get(MAPS)
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert _names(listed) == ["m0", "m1", "m2", "m3", "m4"]
    assert listed["metadata"]["resourceVersion"] == str(lab.box.version)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("parity=even", ["m0", "m2", "m4"]),
        ("parity==even", ["m0", "m2", "m4"]),
        ("parity!=even,parity", ["m1", "m3"]),
        ("parity in (odd, even),n1", ["m1"]),
        ("parity notin (odd),!n0,n2", ["m2"]),
        ("absent", []),
    ],
)
def test_label_selectors_choose(lab: Lab, selector: str, names: list[str]) -> None:
    _fill(lab)
    assert _names(lab.get(f"{MAPS}?labelSelector={quote(selector)}")) == names


def test_field_selectors_choose_and_unknown_fields_are_refused(lab: Lab) -> None:
    _fill(lab)
    assert _names(lab.get(f"{MAPS}?fieldSelector=metadata.name%3Dm3")) == ["m3"]
    refusal = lab.get(f"{MAPS}?fieldSelector=data.a%3D1")
    assert (lab.status, refusal["message"]) == (400, "field label not supported: data.a")


def test_pods_are_found_by_phase_and_node(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment(replicas=2))
    lab.post(DEPLOYMENTS, deployment("bad", "nginx:broken", replicas=1))
    lab.pass_time(2)
    assert len(lab.get("/api/v1/pods?fieldSelector=status.phase%3DRunning")["items"]) == 2
    assert len(lab.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dsandbox,status.phase!%3DRunning")["items"]) == 1


def test_pages_show_one_moment_and_tell_what_is_left(lab: Lab) -> None:
    _fill(lab)
    first = lab.get(f"{MAPS}?limit=2")
    assert (_names(first), first["metadata"]["remainingItemCount"]) == (["m0"], 4)
    lab.delete(f"{MAPS}/m3")
    rest = lab.get(f"{MAPS}?limit=500&continue={first['metadata']['continue']}")
    assert _names(rest) == ["m1", "m2", "m3", "m4"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_an_old_page_token_is_expired(lab: Lab) -> None:
    _fill(lab)
    token = lab.get(f"{MAPS}?limit=2")["metadata"]["continue"]
    lab.clock.at += 3600
    refusal = lab.get(f"{MAPS}?limit=2&continue={token}")
    assert (lab.status, refusal["reason"]) == (410, "Expired")


def test_a_page_token_of_nobody_is_a_bad_request(lab: Lab) -> None:
    lab.get(f"{MAPS}?limit=2&continue=%21%21")
    assert lab.status == 400


def test_a_version_of_the_future_is_refused(lab: Lab) -> None:
    lab.get(f"{MAPS}?resourceVersion=999999&resourceVersionMatch=NotOlderThan")
    assert lab.status == 504


def test_tables_print_what_kubectl_shows(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment(replicas=2))
    lab.pass_time(2)
    table = lab.get(DEPLOYMENTS, accept="application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
    assert table["kind"] == "Table"
    named = dict(zip([column["name"] for column in table["columnDefinitions"]], table["rows"][0]["cells"], strict=True))
    assert (named["Name"], named["Ready"], named["Up-to-date"], named["Images"]) == ("web", "2/2", 2, "nginx:1.27")
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_metadata_alone_can_be_asked_for(lab: Lab) -> None:
    _fill(lab)
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    listed = lab.get(MAPS, accept=accept)
    assert listed["kind"] == "PartialObjectMetadataList"
    assert "data" not in listed["items"][0]


def test_a_form_nobody_speaks_is_not_acceptable(lab: Lab) -> None:
    lab.get(MAPS, accept="application/xml")
    assert lab.status == 406


def test_a_path_that_is_not_served_says_so(lab: Lab) -> None:
    for path in ("/api/v1/nothings", "/apis/apps/v1/deployments/web", "/apis/apps/v1/nothings"):
        refusal = lab.get(path)
        assert (lab.status, refusal["message"]) == (404, "the server could not find the requested resource"), path
    for path in ("/apis/nothing.io/v1/things", "/nothing", "/apis/nothing.io"):
        assert (lab.get(path), lab.status) == ({"text": "404 page not found\n"}, 404), path
