"""What survives a restart."""

from __future__ import annotations

from collections.abc import Callable

from tests.sandbox.conftest import CRDS, DEPLOYMENTS, MAPS, WIDGETS, Lab, config_map, definition, deployment


def _busy(lab: Lab) -> Lab:
    lab.post(MAPS, config_map())
    lab.post(CRDS, definition())
    lab.post(DEPLOYMENTS, deployment())
    lab.box.settle()
    lab.post(WIDGETS, {"metadata": {"name": "one"}, "spec": {"size": 1}})
    return lab


def test_objects_kinds_and_versions_come_back(lab: Lab, new_lab: Callable[..., Lab]) -> None:
    _busy(lab)
    again = new_lab(snapshot=lab.box.save())
    assert again.get(f"{MAPS}/settings") == lab.get(f"{MAPS}/settings")
    assert again.get(f"{WIDGETS}/one")["spec"] == {"size": 1, "color": "red"}
    assert again.box.version >= lab.box.version


def test_a_rollout_goes_on_where_it_was(lab: Lab, new_lab: Callable[..., Lab]) -> None:
    again = new_lab(snapshot=_busy(lab).box.save())
    again.pass_time(3)
    assert again.get(f"{DEPLOYMENTS}/web")["status"]["readyReplicas"] == 2


def test_watches_from_before_the_restart_must_begin_anew(lab: Lab, new_lab: Callable[..., Lab]) -> None:
    before = lab.box.version
    again = new_lab(snapshot=_busy(lab).box.save())
    event = again.get(f"{MAPS}?watch=true&resourceVersion={before}").events()[0]
    assert event["object"]["code"] == 410


def test_addresses_stay_taken(lab: Lab, new_lab: Callable[..., Lab]) -> None:
    services = "/api/v1/namespaces/default/services"
    first = lab.post(services, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})["spec"]["clusterIP"]
    again = new_lab(snapshot=lab.box.save())
    assert first in again.box.cluster.addresses
