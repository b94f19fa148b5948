"""A quota and what it refuses in one commit."""

from __future__ import annotations

from tests.doors.kube_world import ref

from kedge.model.manifest import Manifest
from kedge.model.pair import Presumed, Seen
from kedge.targets.kubernetes.quota import refused_by_moved_quotas

NEW = ref("ConfigMap", "new")
OLD = ref("ConfigMap", "old")
WHY = 'configmaps "new" is forbidden: exceeded quota: few, requested: configmaps=1, used: configmaps=2'


def quota(before: str | None, after: str, name: str = "few") -> Seen:
    live = None if before is None else {"spec": {"hard": {"configmaps": before}}}
    return Seen(ref("ResourceQuota", name), live, {"spec": {"hard": {"configmaps": after}}})


def refused(live: bool = False) -> Seen:
    subject = OLD if live else NEW
    return Seen(subject, {} if live else None, {"data": {}}, Manifest(subject, "v1", b"{}", "digest"), rejection=WHY)


def test_what_a_quota_of_the_same_commit_refuses_counts_as_rendered() -> None:
    """The commit that raised the quota waited for the quota."""
    found = refused_by_moved_quotas([quota("2", "9"), refused(), refused(live=True)])
    made, changed = found[NEW], found[OLD]
    assert isinstance(made, Presumed)
    assert "the quota few changes with this set" in made.why
    assert isinstance(changed, Seen)
    assert (changed.rejection, "exceeded quota" in changed.untried) == ("", True)


def test_what_a_quota_refuses_that_stays_as_it_is_stays_refused() -> None:
    assert refused_by_moved_quotas([quota("2", "2"), refused()]) == {}
    assert refused_by_moved_quotas([quota("2", "9", name="another"), refused()]) == {}
    assert refused_by_moved_quotas([refused()]) == {}
