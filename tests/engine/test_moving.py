"""When a unit moves, and what becomes of what it has."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kedge.engine.delivery import wanted
from kedge.engine.moving import Move, departed, elsewhere, move, place_of, refuse_another_kind, settled_in, state_home
from kedge.model.change import Act, Change
from kedge.model.declaration import OnRemove, TargetSection
from kedge.model.dossier import Dossier, Home
from kedge.model.errors import Invalid
from kedge.model.execution import Tool
from kedge.model.manifest import Desired, Manifest
from kedge.model.operation import Owned
from kedge.model.ref import Ref, UnitName, stack_ref
from kedge.model.source import SourceSpec
from kedge.model.unit import StackTool, Unit

OLD, NEW = Home("https://old:6443", "u1"), Home("https://new:6443", "u2")
SPACE, MAP = Ref("", "Namespace", "", "web"), Ref("", "ConfigMap", "web", "web")


def unit(cluster: str = "prod", namespace: str = "web", rule: OnRemove = OnRemove.ASK) -> Unit:
    name = UnitName("shop", "web")
    return Unit(name, "admin", SourceSpec("r", "main", "web"), TargetSection(cluster, namespace), on_remove=rule)


def dossier(declared: Unit, **more: object) -> Dossier:
    has = Dossier(
        declared.name, declared, inventory=(Owned(SPACE), Owned(MAP)), cluster="prod", home=OLD, namespace="web"
    )
    return replace(has, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "now", "another"),
    [
        (OLD, OLD, False),
        (OLD, NEW, True),
        (OLD, Home("https://new:6443", "u1"), False),
        (OLD, Home("https://OLD:6443/", "u2"), False),
        (OLD, Home("https://new:6443"), True),
        (Home("https://old:6443"), NEW, True),
        (Home(), NEW, False),
        (OLD, Home(), False),
    ],
)
def test_another_cluster_is_one_with_another_address_that_is_not_known_to_be_the_same(
    before: Home, now: Home, another: bool
) -> None:
    assert elsewhere(before, now) is another


def test_an_identity_that_may_not_be_read_any_more_is_remembered_for_its_server_alone() -> None:
    assert settled_in(OLD, Home("https://old:6443")) == OLD
    assert settled_in(OLD, Home("https://new:6443")) == Home("https://new:6443")


def test_a_unit_that_stays_or_has_nothing_does_not_move() -> None:
    has = dossier(unit())
    assert move(has, unit(), OLD) == Move(has.inventory)
    nothing = dossier(unit("stg"), inventory=())
    assert move(nothing, unit("stg"), NEW) == Move(())
    assert not wanted(nothing).removal


def test_a_unit_for_another_cluster_is_removed_where_it_is_unless_it_keeps() -> None:
    for rule in (OnRemove.ASK, OnRemove.DELETE):
        wish = wanted(dossier(unit("stg", rule=rule)))
        assert (wish.removal, wish.unit.target.cluster) == (True, "prod")
    kept = dossier(unit("stg", rule=OnRemove.KEEP))
    assert (wanted(kept).removal, wanted(kept).unit.target.cluster) == (False, "stg")
    assert move(kept, kept.unit, NEW) == Move((), left="2 objects in cluster prod")


def test_a_removed_unit_is_removed_where_its_objects_are() -> None:
    wish = wanted(dossier(unit("stg"), removed=1.0))
    assert (wish.removal, wish.unit.target.cluster) == (True, "prod")
    assert departed(dossier(unit()), unit()) == unit()


def test_another_cluster_behind_the_name_is_asked_about_whatever_can_not_be_deleted() -> None:
    for rule in (OnRemove.ASK, OnRemove.DELETE):
        going = move(dossier(unit(rule=rule)), unit(rule=rule), NEW)
        assert going.inventory == ()
        assert "approving applies it there, and leaves its 2 objects at https://old:6443" in going.asked(())
    assert move(dossier(unit()), unit(rule=OnRemove.KEEP), NEW).asked(()) == ""


def test_another_namespace_is_asked_about_where_something_is_deleted_in_the_first() -> None:
    here = unit(namespace="other")
    going = move(dossier(here), here, OLD)
    assert len(going.inventory) == 2
    assert going.asked([Change(SPACE, Act.DELETE), Change(MAP, Act.UPDATE)]) == ""
    assert "from namespace web to other" in going.asked([Change(MAP, Act.DELETE)])
    assert (
        move(dossier(here), unit(namespace="other", rule=OnRemove.DELETE), OLD).asked([Change(MAP, Act.DELETE)]) == ""
    )
    kept = move(dossier(here), unit(namespace="other", rule=OnRemove.KEEP), OLD)
    assert (kept.inventory, kept.left) == ((Owned(SPACE),), "1 object in namespace web")


@pytest.mark.parametrize("stack", [True, False])
def test_what_an_application_made_is_no_stacks_to_have_nor_the_other_way(stack: bool) -> None:
    application = unit()
    other = replace(application, tool=StackTool(Tool.OPENTOFU))
    was, now = (other, application) if stack else (application, other)
    own = Owned(stack_ref(was.name)) if stack else Owned(Ref("", "ConfigMap", "web", "a"))
    before = replace(dossier(was), inventory=(own,))
    refuse_another_kind(before, was)
    with pytest.raises(Invalid, match=r"is declared as .* now, and nothing is done"):
        refuse_another_kind(before, now)
    refuse_another_kind(replace(before, inventory=()), now)


def bundle(backend: str = "", workspace: str = "") -> Desired:
    spec = {"workspace": workspace} if workspace else {}
    body = json.dumps({"facts": {"backend": backend} if backend else {}, "spec": spec}).encode()
    return Desired((Manifest(stack_ref("shop/web"), "kedge.dev/v1alpha1", body, "d"),), "d")


MADE = Change(Ref("kedge.dev", "aws_instance", "", "aws_instance.a"), Act.CREATE)


@pytest.mark.parametrize(
    ("before", "now", "moves"),
    [
        (bundle("s3", "a"), bundle("s3", "b"), True),
        (bundle("s3", "a"), bundle("s3", "A"), True),
        (bundle("s3"), bundle("s3", "default"), False),
        (bundle(), bundle("s3"), True),
        (bundle("s3"), bundle(), True),
        (bundle("", "a"), bundle("", "b"), False),
    ],
)
def test_a_stack_whose_state_moves_is_asked_about_whatever_its_removal_says(
    before: Desired, now: Desired, moves: bool
) -> None:
    """It would make everything anew, unattended where plans are."""
    stack = replace(unit(rule=OnRemove.KEEP), tool=StackTool(Tool.OPENTOFU))
    has = dossier(stack, inventory=(Owned(stack_ref(stack.name)),), cluster="", home=state_home(before), namespace="")
    found = move(has, stack, state_home(now))
    assert found.inventory == has.inventory
    assert bool(found.asked([MADE])) is moves
    assert found.asked([]) == "", "a state that was brought there by hand is no plan"
    assert (place_of(state_home(before)) != place_of(state_home(now))) is moves, "an approval is of one state"


def test_a_stack_that_has_made_nothing_or_whose_state_nobody_knows_does_not_move() -> None:
    stack = replace(unit(), tool=StackTool(Tool.OPENTOFU))
    own, now = (Owned(stack_ref(stack.name)),), state_home(bundle("s3"))
    assert not move(dossier(stack, inventory=(), home=state_home(bundle())), stack, now).asked([MADE])
    assert not move(dossier(stack, inventory=own, home=Home()), stack, now).asked([MADE])
    assert state_home(Desired((), "")) == Home()
