from dataclasses import replace

from tests.builders import Walked, change, draft, hook, manifest, operation, owned, plan_of, ref, unit, waved

from kedge.engine.hooks import generated_name
from kedge.engine.plan import make_plan, named, unsettled
from kedge.model.change import Act, FieldAct, FieldChange, Finding, Severity
from kedge.model.declaration import ApproveSection, OnRemove, SyncSection, When
from kedge.model.operation import Did, Outcome, Result
from kedge.model.plan import Phase


def order(plan):
    return [f"{step.phase} {step.wave} {step.act} {step.ref.kind}/{step.ref.name}" for step in plan.steps]


def test_a_namespace_is_applied_before_what_lives_in_it():
    plan = plan_of(manifest("Deployment", "web"), manifest("Namespace", "web"), manifest("ConfigMap", "web"))
    assert [step.ref.kind for step in plan.steps] == ["Namespace", "ConfigMap", "Deployment"]


def test_a_namespace_moves_in_front_of_a_hook_that_runs_in_it():
    plan = plan_of(hook("PreSync", "migrate", wave=-3), waved("Namespace", "web", 5))
    assert order(plan) == ["PreSync -3 create Namespace/web", "PreSync -3 create Job/migrate"]


def test_a_definition_moves_in_front_of_its_first_object():
    definition = waved("CustomResourceDefinition", "rockets.space", 2, group="", names={"kind": "Rocket"})
    plan = plan_of(waved("Rocket", "apollo", -1), definition)
    assert [step.ref.kind for step in plan.steps] == ["CustomResourceDefinition", "Rocket"]
    assert {step.wave for step in plan.steps} == {-1}


def test_waves_come_before_kinds():
    plan = plan_of(waved("Deployment", "a", 0), waved("ConfigMap", "b", 1), waved("Secret", "c", -1))
    assert [step.ref.name for step in plan.steps] == ["c", "a", "b"]


def test_phases_frame_the_sync_and_pruning_comes_last_and_backwards():
    inventory = (owned(ref("ConfigMap", "old"), wave=0), owned(ref("Deployment", "older"), wave=3))
    deletions = tuple(change(entry.ref, Act.DELETE) for entry in inventory)
    manifests = (
        hook("PostSync", "test"),
        manifest("Service", "web"),
        hook("PreSync", "migrate"),
        hook("SyncFail", "page"),
    )
    plan = make_plan(draft(*manifests, changes=(change(ref("Service", "web")), *deletions), inventory=inventory))
    assert order(plan) == [
        "PreSync 0 create Job/migrate",
        "Sync 0 create Service/web",
        "PostSync 0 create Job/test",
        "Prune -3 delete Deployment/older",
        "Prune 0 delete ConfigMap/old",
        "SyncFail 0 create Job/page",
    ]


def test_repairing_drift_runs_no_hooks():
    drifted = (change(ref("Service", "web"), Act.UPDATE, drift=True),)
    assert order(plan_of(manifest("Service", "web"), hook("PreSync", "x"), changes=drifted)) == [
        "Sync 0 update Service/web"
    ]


def test_hooks_alone_run_only_when_a_person_asked_for_a_sync():
    assert plan_of(hook("PreSync", "x"), changes=()).empty
    asked = plan_of(hook("PreSync", "x"), changes=(), run_hooks=True)
    assert order(asked) == ["PreSync 0 create Job/x"]
    assert not asked.empty


def test_helm_hooks_tell_an_install_from_an_upgrade_by_what_is_owned():
    install = manifest("Job", "i", annotations={"helm.sh/hook": "pre-install"})
    upgrade = manifest("Job", "u", annotations={"helm.sh/hook": "post-upgrade", "helm.sh/hook-weight": "4"})
    service = manifest("Service", "web")
    assert order(plan_of(install, upgrade, service))[0] == "PreSync 0 create Job/i"
    later = plan_of(install, upgrade, service, inventory=(owned(service.ref),))
    assert order(later) == ["Sync 0 create Service/web", "PostSync 4 create Job/u"]


def test_a_hook_with_a_generated_name_is_named_by_its_operation_and_its_predecessor_goes():
    again = hook("PreSync", "", generate_name="migrate-")
    before = owned(ref("Job", "migrate-aaaaaaaa"), hook="migrate-", uid="u1")
    plan = named(plan_of(again, manifest("Service", "web"), inventory=(before,)), "0123456789abcdef")
    stale, fresh = plan.steps[:2]
    assert (stale.act, stale.ref.name) == (Act.DELETE, "migrate-aaaaaaaa")
    assert fresh.ref.name == generated_name("migrate-", "0123456789abcdef", fresh.key)
    assert plan.steps[0].uid == "u1"


def test_a_unit_that_does_not_prune_keeps_what_left_git_and_says_so():
    kept = plan_of(changes=(change(ref("ConfigMap", "old"), Act.DELETE),), unit=unit(sync=SyncSection(prune=False)))
    assert kept.empty
    assert kept.findings == (
        Finding(
            Severity.INFO,
            "prune-off",
            "ConfigMap web/old left Git and is kept: pruning is off",
            ref("ConfigMap", "old"),
        ),
    )


def test_what_another_unit_claims_blocks_the_plan():
    blocked = plan_of(manifest("ConfigMap", "x"), claimed={ref("ConfigMap", "x"): "shop/other"})
    assert blocked.blocked == ("ConfigMap web/x belongs to shop/other: remove it from one of the two",)


def test_what_the_api_server_refuses_blocks_the_plan_before_anything_is_applied():
    refused = (change(ref("Service", "web"), Act.UPDATE, rejection="spec.clusterIP: field is immutable"),)
    assert "field is immutable" in plan_of(manifest("Service", "web"), changes=refused).blocked[0]


def test_a_refusal_without_a_path_names_what_was_to_change():
    """Of a StatefulSet the server lists the fields that may change, and not the one that may not."""
    ways = [FieldChange(path, FieldAct.CHANGE) for path in ("spec.serviceName", "spec.a", "spec.b", "spec.c")]
    refused = change(ref("Service", "web"), Act.UPDATE, fields=tuple(ways), rejection="spec: Forbidden")
    found = plan_of(manifest("Service", "web"), changes=(refused,)).blocked[0]
    assert "refuses to change spec.serviceName, spec.a, spec.b, …: spec: Forbidden" in found
    told = replace(refused, rejection="spec.serviceName: field is immutable")
    assert "refuses it: spec.serviceName" in plan_of(manifest("Service", "web"), changes=(told,)).blocked[0]


def test_destructive_plans_need_approval_unless_the_unit_says_never():
    reasons = ("deletes Namespace web",)
    destructive = draft(manifest("Service", "web"), destructive=reasons)
    assert make_plan(destructive).needs.reasons == reasons
    never = unit(approve=ApproveSection(when=When.NEVER))
    assert make_plan(replace(destructive, unit=never)).needs is None


def test_an_empty_set_is_held_even_where_approval_is_never_asked():
    never = unit(approve=ApproveSection(when=When.NEVER))
    empty = draft(changes=(change(ref("Service", "web"), Act.DELETE),), unit=never, destructive=("the set is empty",))
    assert make_plan(empty).needs is not None


def test_taking_over_from_another_tool_needs_approval():
    adopting = (change(ref("Service", "web"), Act.UPDATE, adopts="argocd guestbook"),)
    assert "argocd guestbook" in plan_of(manifest("Service", "web"), changes=adopting).needs.reasons[0]


def test_removing_a_unit_deletes_all_it_owns_and_asks_unless_declared():
    inventory = (owned(ref("Service", "web")), owned(ref("Job", "h"), hook="h"))
    deletions = tuple(change(entry.ref, Act.DELETE) for entry in inventory)
    removal = draft(hook("PreDelete", "bye"), changes=deletions, inventory=inventory, removal=True)
    plan = make_plan(removal)
    assert order(plan)[0] == "PreDelete 0 create Job/bye"
    assert {step.phase for step in plan.steps[1:]} == {Phase.PRUNE}
    assert "approving deletes its 2 objects" in plan.needs.reasons[0]
    assert make_plan(replace(removal, unit=unit(on_remove=OnRemove.DELETE))).needs is None


def test_the_same_draft_has_the_same_identity_and_another_effect_another():
    one, same = plan_of(manifest("Service", "web")), plan_of(manifest("Service", "web"))
    assert one.id == same.id
    assert plan_of(manifest("Service", "web"), effects="f" * 64).id != one.id


def test_a_removal_does_not_prune_the_object_that_its_own_hook_makes_anew():
    """The deletion was of the object that the hook had replaced: the run failed, and so did every other one."""
    left = owned(ref("Job", "bye"), hook="bye")
    plan = make_plan(draft(hook("PreDelete", "bye"), inventory=(left,), removal=True))
    assert order(plan) == ["PreDelete 0 create Job/bye"]


def after_a_failure(did=Did.FAILED, result=Result.FAILED):
    """What a plan of two waves left behind when its Deployment, in the first, did not become well."""
    plan = plan_of(manifest("Deployment", "web"), waved("ConfigMap", "later", 1))
    outcomes = (Outcome("Sync:apps/Deployment/web/web", did),)
    return unsettled(plan, replace(operation(plan), outcomes=outcomes, result=result))


def test_what_did_not_become_well_stands_in_front_of_later_waves_again():
    sick, late = manifest("Deployment", "web"), waved("ConfigMap", "later", 1)
    changes = (change(late.ref),)
    for did in (Did.FAILED, Did.APPLIED):
        plan = plan_of(sick, late, changes=changes, unsettled=after_a_failure(did))
        assert order(plan) == ["Sync 0 update Deployment/web", "Sync 1 create ConfigMap/later"]
        assert [c.ref for c in plan.changes] == [late.ref]
    assert order(plan_of(sick, late, changes=changes)) == ["Sync 1 create ConfigMap/later"]


def test_what_did_not_become_well_stands_in_front_of_a_deletion_again():
    old = ref("ConfigMap", "old")
    sick = manifest("Deployment", "web")
    gone = (change(old, Act.DELETE),)
    plan = plan_of(sick, changes=gone, inventory=(owned(old),), unsettled=after_a_failure())
    assert order(plan) == ["Sync 0 update Deployment/web", "Prune 0 delete ConfigMap/old"]


def test_what_became_well_or_is_wanted_otherwise_or_has_nothing_after_it_is_not_applied_again():
    sick, late = manifest("Deployment", "web"), waved("ConfigMap", "later", 1)
    changes = (change(late.ref),)
    only_later = ["Sync 1 create ConfigMap/later"]
    assert order(plan_of(sick, late, changes=changes, unsettled=after_a_failure(Did.SETTLED))) == only_later
    assert after_a_failure(result=Result.SUCCEEDED) == {}
    mended = manifest("Deployment", "web", replicas=3)
    assert order(plan_of(mended, late, changes=changes, unsettled=after_a_failure())) == only_later
    assert plan_of(sick, changes=(), unsettled=after_a_failure()).empty
    drift = (change(late.ref, Act.UPDATE, drift=True),)
    assert order(plan_of(sick, late, changes=drift, unsettled=after_a_failure())) == ["Sync 1 update ConfigMap/later"]


def test_an_inventory_is_not_walked_through_anew_for_every_deletion():
    refs = [ref("ConfigMap", f"c{number:03}") for number in range(200)]
    held = Walked(owned(each, wave=3) for each in refs)
    plan = plan_of(changes=tuple(change(each, Act.DELETE) for each in refs), inventory=held)
    assert [step.wave for step in plan.steps] == [-3] * 200
    assert held.walks < 10


def test_a_definition_is_read_once_however_much_is_applied_with_it(monkeypatch):
    read = []
    monkeypatch.setattr("kedge.engine.plan.json.loads", lambda body: read.append(body) or {})
    plan_of(manifest("CustomResourceDefinition", "widgets"), *(manifest("ConfigMap", f"c{n}") for n in range(50)))
    assert len(read) == 1
