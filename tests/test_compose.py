"""Settings: what is refused before anything stands."""

from __future__ import annotations

import pytest

from kedge.compose import jobs_place
from kedge.executions.job import Place
from kedge.model.errors import Invalid

JOBS = {
    "KEDGE_JOBS_IMAGE": "kedge:1",
    "KEDGE_JOBS_NAMESPACE": "runs",
    "KEDGE_JOBS_ADDRESS": "http://kedge.kedge.svc:7420/",
}


def test_runs_are_processes_where_no_place_for_jobs_is_set() -> None:
    assert jobs_place({}) is None
    assert jobs_place({name: "" for name in JOBS}) is None


def test_runs_are_jobs_where_image_namespace_and_address_are_set() -> None:
    expected = Place("default", "runs", "kedge:1", "http://kedge.kedge.svc:7420")
    assert jobs_place(JOBS) == expected
    more = jobs_place({**JOBS, "KEDGE_JOBS_CLUSTER": "work", "KEDGE_RUNS_AT_ONCE": "3"})
    assert more is not None
    assert (more.cluster, more.room) == ("work", 3)


@pytest.mark.parametrize("missing", [*JOBS])
def test_a_part_of_the_place_is_refused_and_the_rest_is_named(missing: str) -> None:
    with pytest.raises(Invalid, match=f"runs of stacks can not be Jobs, not set: {missing}"):
        jobs_place({name: value for name, value in JOBS.items() if name != missing})


def test_a_cluster_alone_is_refused() -> None:
    with pytest.raises(Invalid, match=", ".join(JOBS)):
        jobs_place({"KEDGE_JOBS_CLUSTER": "work"})


@pytest.mark.parametrize("address", ["kedge:7420", "ftp://kedge", "http://", "http://a:b@kedge", "http://kedge?x=1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(Invalid, match="KEDGE_JOBS_ADDRESS is no URL"):
        jobs_place({**JOBS, "KEDGE_JOBS_ADDRESS": address})
