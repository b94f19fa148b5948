"""The plan view: what people read, and what hostile text can not do to them."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kedge.cli.views.plan import SCHEMA, Approved, View, as_json, clean, columns, cut, fenced, text
from kedge.model.change import Act, Change, FieldAct, FieldChange, Finding, Hidden, Severity
from kedge.model.plan import Needs, Phase, Plan, Step, StepKind
from kedge.model.ref import STACKS, Ref, UnitName
from kedge.model.source import Revision

WEB = Ref("apps", "Deployment", "web", "web")
REVISION = Revision("file:///repo", "main", "81d0c2e" + "0" * 33, "Mona", "mona@example.com", "raise replicas", 0.0)
REPLICAS = FieldChange("spec.replicas", FieldAct.CHANGE, "2", "4")


def plan(*changes: Change, **more: Any) -> Plan:
    return Plan(
        "id", UnitName("shop", "web", "prod"), more.pop("revision", REVISION), "r", (), changes, "7c41" * 16, **more
    )


STORY = plan(
    Change(Ref("", "ConfigMap", "web", "old"), Act.DELETE),
    Change(
        WEB, Act.UPDATE, (REPLICAS, FieldChange("spec.paused", FieldAct.LOSE, "true")), (Hidden("status", "status"),)
    ),
    Change(Ref("", "Service", "web", "metrics"), Act.CREATE),
    Change(
        Ref("batch", "Job", "web", "load"), Act.REPLACE, why="replaced, for it can not be changed in place: immutable"
    ),
    needs=Needs(("batch/Job web/load is deleted and created anew",), ("group:sre",)),
    findings=(Finding(Severity.WARNING, "lint/private-key", "a key"), Finding(Severity.ERROR, "admit/kind", "no")),
    blocked=("no",),
)


def test_a_plan_reads_as_designed() -> None:
    assert text(STORY, View(since="3f2a9c1fff")).splitlines() == [
        'shop/web@prod  main 3f2a9c1 → 81d0c2e  "raise replicas" by Mona  effects 7c41…  needs: 1 of group:sre',
        "  ~ apps/Deployment web/web  spec.replicas  2 → 4",
        "                             spec.paused    - true",
        "  + Service web/metrics",
        "  ± batch/Job web/load       REPLACE        deleted and created anew",
        "                             replaced, for it can not be changed in place: immutable",
        "  - ConfigMap web/old        pruned last, after the rest is healthy",
        "hidden: 1 difference without meaning (--hidden lists them)",
        "findings: 1 error, 1 warning",
        "  warning lint/private-key: a key",
        "  error admit/kind: no",
        "needs 1 of group:sre: batch/Job web/load is deleted and created anew",
        "blocked: no",
        "1 to create, 1 to update, 1 to replace, 1 to delete",
    ]


def test_an_empty_plan_says_so() -> None:
    assert text(plan()) == 'shop/web@prod  main 81d0c2e  "raise replicas" by Mona\n    nothing to do\n'


def test_a_hole_is_shown_by_its_name_in_its_place() -> None:
    url = FieldChange("data.url", FieldAct.GAIN, "", '"postgres://‹shop/db.endpoint›:5432"')
    why = "as rendered: it holds what is not known yet"
    waiting = plan(
        Change(Ref("", "ConfigMap", "web", "web"), Act.CREATE, (url,), why=why),
        Change(Ref("", "Service", "web", "web"), Act.CREATE),
        needs=Needs(("every plan of this unit needs approval",), ("group:sre",)),
        holes=("shop/db.endpoint",),
    )
    assert text(waiting).splitlines()[1:] == [
        '  + ConfigMap web/web  data.url  + "postgres://‹shop/db.endpoint›:5432"',
        "                       as rendered: it holds what is not known yet",
        "  + Service web/web",
        "needs 1 of group:sre: every plan of this unit needs approval",
        "waits for shop/db.endpoint: shown as ‹shop/db.endpoint›, filled once it is there",
        "2 to create",
    ]
    assert as_json(waiting)["holes"] == ["shop/db.endpoint"]


def test_what_a_stack_lets_go_of_is_shown() -> None:
    """A plan with a `removed` block that destroys nothing could not be shown at all."""
    queue = Ref(STACKS, "aws_sqs_queue", "", "aws_sqs_queue.jobs")
    step = Step("s", StepKind.ARTIFACT, Act.UPDATE, queue, Phase.SYNC)
    changes = [Change(queue, act, drift=act is Act.CREATE) for act in Act]
    shown = text(replace(plan(*changes), steps=(step,)))
    assert ". aws_sqs_queue.jobs  no longer managed  it stays as it is" in shown
    assert "- aws_sqs_queue.jobs  deleted\n" in shown
    assert "drift: the world changed, Git did not" in shown
    assert shown.endswith("1 to create, 1 to update, 1 to replace, 1 to delete, 1 to forget\n")


def test_what_lies_between_an_approval_and_now_is_shown() -> None:
    """What was approved and is not to be done any more was named nowhere."""
    queue, role, user = (
        Ref(STACKS, kind, "", f"{kind}.a") for kind in ("aws_sqs_queue", "aws_iam_role", "aws_iam_user")
    )

    def to(value: str) -> Change:
        return Change(queue, Act.UPDATE, (FieldChange("delay", FieldAct.CHANGE, "1", value),), effect=value)

    then = plan(to("2"), Change(role, Act.CREATE, effect="r"))
    now = plan(to("3"), Change(user, Act.DELETE, effect="u"))
    approved = Approved.of(now, then, "mona")
    assert text(now, View(), approved).splitlines()[-6:] == [
        "not what mona approved (effects 7c41…):",
        "  came since: delete aws_iam_user.a",
        "  is not to be done any more:",
        "    + aws_iam_role.a",
        "  is to be done otherwise; approved was:",
        "    ~ aws_sqs_queue.a  delay  1 → 2",
    ]
    told = as_json(now, approved)["approved"]
    assert [one["ref"]["name"] for one in told["dropped"]] == ["aws_iam_role.a"]
    assert [one["ref"]["name"] for one in told["added"]] == ["aws_iam_user.a"]
    assert [one["approved"]["fields"][0]["after"] for one in told["altered"]] == ["2"]
    assert as_json(now)["approved"] is None


def test_a_removal_is_written_large_and_needs_no_revision() -> None:
    shown = text(plan(Change(WEB, Act.DELETE), removal=True, revision=None))
    assert shown.startswith("shop/web@prod  REMOVAL")
    assert "- apps/Deployment web/web  deleted" in shown


def test_hidden_differences_are_listed_with_their_rule_when_asked() -> None:
    shown = text(STORY, View(hidden=True))
    assert "hidden by status" in shown
    assert "--hidden" not in shown


def test_notes_tell_of_adoption_drift_refusal_and_hooks() -> None:
    change = Change(
        WEB, Act.UPDATE, (REPLICAS,), adopts="argocd shop", drift=True, rejection="denied", why="set by x, not in Git"
    )
    hook = Step(
        "k", StepKind.HOOK, Act.CREATE, Ref("batch", "Job", "web", ""), Phase.PRE_SYNC, generate_name="migrate-"
    )
    shown = text(replace(plan(change), steps=(hook,)))
    for note in (
        "adopted from argocd shop",
        "drift: ",
        "refused: denied",
        "set by x",
        "> batch/Job web/migrate-*  hook, PreSync",
    ):
        assert note in shown


def test_colours_only_where_asked() -> None:
    assert "\x1b" not in text(STORY)
    assert "\x1b[33m" in text(STORY, View(colour=True))


def test_values_that_differ_behind_the_cut_are_shown_from_there() -> None:
    field = FieldChange("data.a", FieldAct.CHANGE, "x" * 500 + "old", "x" * 500 + "new")
    shown = text(plan(Change(WEB, Act.UPDATE, (field,))))
    assert "xold → …" in shown
    assert "xnew" in shown


HOSTILE = "a\x1b[2Jb\r\nc\u202ed\u200be\x9bf"


def test_nothing_remote_reaches_the_terminal_as_a_control() -> None:
    field = FieldChange(HOSTILE, FieldAct.CHANGE, HOSTILE, HOSTILE + "2")
    change = Change(
        Ref(HOSTILE, HOSTILE, HOSTILE, HOSTILE), Act.UPDATE, (field,), (Hidden(HOSTILE, "status"),), why=HOSTILE
    )
    change = replace(change, adopts=HOSTILE, rejection=HOSTILE)
    revision = replace(REVISION, author=HOSTILE, subject=HOSTILE, ref=HOSTILE, commit=HOSTILE)
    hostile = plan(
        change,
        revision=revision,
        needs=Needs((HOSTILE,), (HOSTILE,)),
        findings=(Finding(Severity.ERROR, HOSTILE, HOSTILE),),
        blocked=(HOSTILE,),
    )
    shown = text(hostile, View(hidden=True, since=HOSTILE))
    assert {unicodedata.category(char) for char in shown.replace("\n", "")} & {"Cc", "Cf", "Zl", "Zp"} == set()
    assert len(shown.splitlines()) == shown.count("\n")


@given(st.text())
def test_cleaned_text_is_one_line_without_controls(value: str) -> None:
    shown = clean(value)
    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in shown)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 30))
def test_a_cut_text_is_never_wider_than_asked(value: str, width: int) -> None:
    assert columns(cut(value, width)) <= width


def test_wide_characters_take_two_columns_and_marks_none() -> None:
    assert (columns("金a"), columns("e\u0301")) == (3, 1)


def test_columns_stay_aligned_beside_wide_characters() -> None:
    changes = [Change(Ref("", "ConfigMap", "web", name), Act.UPDATE, (REPLICAS,)) for name in ("金絲雀", "abc")]
    lines = text(plan(*changes)).splitlines()[1:3]
    assert len({columns(line[: line.index("spec")]) for line in lines}) == 1


def test_no_line_is_wider_than_the_terminal_where_it_matters() -> None:
    field = FieldChange("spec." + "p" * 60, FieldAct.CHANGE, "金" * 100, "x" * 100)
    shown = text(plan(Change(WEB, Act.UPDATE, (field,))), View(width=60))
    assert max(columns(line) for line in shown.splitlines()) <= 60


def test_a_comment_can_not_be_left_by_what_it_quotes() -> None:
    change = Change(WEB, Act.UPDATE, (FieldChange("a", FieldAct.GAIN, "", "`````\n# hi"),))
    shown = fenced(plan(change))
    assert shown.startswith("``````text\n")
    assert shown.endswith("\n``````\n")


def test_programs_get_a_schema_version_and_every_change() -> None:
    found = as_json(STORY)
    assert found["schemaVersion"] == SCHEMA == "kedge.dev/plan/v1"
    assert [change["act"] for change in found["changes"]] == ["delete", "update", "create", "replace"]
    assert found["changes"][1]["fields"][0] == {"path": "spec.replicas", "act": "change", "before": "2", "after": "4"}
    assert found["needs"] == {"reasons": list(STORY.needs.reasons), "by": ["group:sre"], "count": 1}  # type: ignore[union-attr]
    assert json.loads(json.dumps(found)) == found
