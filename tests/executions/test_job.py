"""An execution as a Job: what is asked of Kubernetes, and that a real API server takes it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.executions.test_command import REQUEST
from tests.parts.fixtures import RealCluster

from kedge.executions.job import EXECUTION, Place, job, name_of
from kedge.model.errors import Invalid
from kedge.model.execution import Task

PLACE = Place("kedge", "kedge@sha256:" + "0" * 64, "executions", "/data/executions")
APPLY = replace(REQUEST, id="apply-1", task=Task.APPLY, place="/data/executions/e1", cache="/data/executions/.plugins")


def test_a_pod_sees_its_own_folder_and_that_of_its_plan_at_the_same_paths() -> None:
    (container,) = job(APPLY, PLACE)["spec"]["template"]["spec"]["containers"]
    assert container["command"][-1] == "/data/executions/apply-1"
    mounts = {
        mount["mountPath"]: (mount["subPath"], mount.get("readOnly", False)) for mount in container["volumeMounts"]
    }
    assert mounts == {
        "/data/executions/apply-1": ("executions/apply-1", False),
        "/data/executions/e1": ("executions/e1", False),
        "/data/executions/.plugins": ("executions/.plugins", False),
        "/data/executions/.tool-config": ("executions/.tool-config", True),
    }


def test_it_is_tried_once_and_given_the_time_that_a_runner_needs_to_end() -> None:
    spec = job(APPLY, PLACE)["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 390
    assert spec["activeDeadlineSeconds"] == 990


def test_it_has_no_account_in_the_cluster_unless_one_is_named() -> None:
    assert job(APPLY, PLACE)["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    named = job(APPLY, replace(PLACE, account="cloud"))["spec"]["template"]["spec"]
    assert (named["serviceAccountName"], named["automountServiceAccountToken"]) == ("cloud", True)


def test_no_secret_is_in_a_job() -> None:
    assert "hunter" not in str(job(APPLY, PLACE))
    assert "env" not in job(APPLY, PLACE)["spec"]["template"]["spec"]["containers"][0]


def test_what_is_not_on_the_volume_can_not_be_had() -> None:
    with pytest.raises(Invalid, match="not on the volume"):
        job(replace(APPLY, cli_config="/etc/tofu.rc"), PLACE)


@pytest.mark.parametrize("id", ["plan-1", "Plan_1.A", "x" * 128, "-"])
def test_any_id_has_a_name_of_its_own(id: str) -> None:
    name = name_of(id)
    assert len(name) <= 63
    assert name == name.lower().strip("-")
    assert name_of(id + "1") != name


@pytest.mark.slow
def test_a_real_api_server_takes_it_as_it_is(real_cluster: RealCluster) -> None:
    made = job(APPLY, replace(PLACE, namespace="default"))
    answer = real_cluster.api.call("POST", "/apis/batch/v1/namespaces/default/jobs?fieldValidation=Strict", made)
    assert answer["metadata"]["labels"][EXECUTION] == name_of("apply-1")
    spec = answer["spec"]["template"]["spec"]
    assert spec["containers"][0]["volumeMounts"] == made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
