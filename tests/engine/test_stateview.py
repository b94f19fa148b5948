from __future__ import annotations

import json
from typing import Any

import pytest
from tests.doors.statefiles import output, resource, statefile

from kedge.engine.stateview import StateDifference, differences, view
from kedge.model.change import Act, FieldAct
from kedge.model.errors import Invalid

KEY = b"k" * 32
CANARY = "canary-7f3a-secret"


def marked(*steps: object) -> list[dict[str, Any]]:
    """A path in `sensitive_attributes`, as the tool writes it."""
    return [
        {"type": "get_attr", "value": step}
        if at == 0
        else {"type": "index", "value": {"value": step, "type": "string" if isinstance(step, str) else "number"}}
        for at, step in enumerate(steps)
    ]


def instance(attributes: Any, *paths: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"schema_version": 0, "attributes": attributes, "sensitive_attributes": list(paths), **more}


def of(found: tuple[StateDifference, ...]) -> dict[str, tuple[Act, dict[str, tuple[str, str]]]]:
    return {one.address: (one.act, {f.path: (f.before, f.after) for f in one.fields}) for one in found}


def test_what_is_not_secret_is_shown_as_it_is() -> None:
    shown = view(
        statefile(1, resource("a", instance({"id": "i-1", "n": 3, "l": [1, {"x": None}]})), outputs={"u": output([1])}),
        KEY,
    )
    assert [(each.address, each.values) for each in shown.resources] == [
        ("aws_s3_bucket.a", {"id": "i-1", "n": 3, "l": [1, {"x": None}]})
    ]
    assert [(each.address, each.values) for each in shown.outputs] == [("u", [1])]


@pytest.mark.parametrize(
    "state",
    [
        statefile(1, outputs={"p": output(CANARY, sensitive=True)}),
        statefile(1, outputs={"p": output({"deep": [CANARY]}, sensitive=True)}),
        statefile(1, resource("a", instance({"input": CANARY}, marked("input")))),
        statefile(1, resource("a", instance({"input": {"x": [CANARY]}}, marked("input")))),
        statefile(1, resource("a", instance({"env": [{"k": CANARY}]}, marked("env", 0, "k")))),
        statefile(1, resource("a", instance({"tags": {"k": CANARY}}, marked("tags", "k")))),
        statefile(1, resource("a", instance({"input": CANARY}, []))),
        statefile(1, resource("a", instance({"password": CANARY}))),
        statefile(1, resource("a", instance({"block": [{"master_user_secret": CANARY}]}))),
        statefile(1, resource("a", instance({"id": CANARY})), outputs={"p": output(CANARY, sensitive=True)}),
        statefile(1, resource("a", instance({"id": "x"}, private=CANARY))),
        statefile(1, resource("a", instance({"id": "x"}), mode="data", type=CANARY)),
    ],
)
def test_a_secret_is_shown_nowhere(state: bytes) -> None:
    other = state.replace(CANARY.encode(), CANARY[::-1].encode())
    told = [repr(view(state, KEY)), *(repr(differences(*pair, KEY)) for pair in ((state, other), (b"", state)))]
    assert all(CANARY not in text and CANARY[::-1] not in text for text in told)


def test_a_secret_that_moved_is_seen_to_have_moved() -> None:
    before, after = (statefile(1, outputs={"p": output(text, sensitive=True)}) for text in (CANARY, "another"))
    ((address, (act, fields)),) = of(differences(before, after, KEY)).items()
    assert (address, act) == ("output.p", Act.UPDATE)
    (old, new) = fields[""]
    assert old != new
    assert {old[:10], new[:10]} == {'"++++++++ '}


def test_of_two_states_only_what_differs_is_told() -> None:
    before = statefile(
        1,
        resource("same", instance({"id": "1"})),
        resource("gone", instance({"id": "2"})),
        resource("moved", instance({"id": "3", "size": 1, "metadata": {"uid": "x"}, "status": "old"})),
        outputs={"u": output("x"), "v": output(1)},
    )
    after = statefile(
        2,
        resource("same", instance({"id": "1"})),
        resource("moved", instance({"id": "3", "size": 2, "metadata": {"uid": "y"}, "status": "new"})),
        resource("made", instance({"id": "4"}, index_key="k")),
        outputs={"u": output("y"), "v": output(1)},
    )
    found = of(differences(before, after, KEY))
    assert list(found) == ["aws_s3_bucket.gone", 'aws_s3_bucket.made["k"]', "aws_s3_bucket.moved", "output.u"]
    assert [act for act, _ in found.values()] == [Act.DELETE, Act.CREATE, Act.UPDATE, Act.UPDATE]
    assert found["aws_s3_bucket.moved"][1] == {
        "metadata.uid": ('"x"', '"y"'),
        "size": ("1", "2"),
        "status": ('"old"', '"new"'),
    }
    assert found["output.u"][1] == {"": ('"x"', '"y"')}
    assert differences(before, before, KEY) == ()


def test_from_nothing_everything_is_new() -> None:
    found = differences(b"", statefile(1, resource("a", instance({"id": "1"}))), KEY)
    assert [(each.address, each.act, each.fields[0].act) for each in found] == [
        ("aws_s3_bucket.a", Act.CREATE, FieldAct.GAIN)
    ]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(
            {"resources": [1, {"mode": "managed", "instances": 3}, {"mode": "managed", "instances": [4]}]}
        ).encode(),
        json.dumps({"outputs": [1], "resources": {}}).encode(),
        json.dumps({"outputs": {"a": 1}}).encode(),
        statefile(1, resource("a", instance(None, "x", [1], [{"type": "index"}]))),  # type: ignore[arg-type]
    ],
)
def test_what_is_oddly_made_is_passed_over(content: bytes) -> None:
    shown, changed = view(content, KEY), differences(content, statefile(2), KEY)
    assert len(shown.resources) + len(shown.outputs) == len(changed)


@pytest.mark.parametrize("content", [b"[]", b"{", b"[" * 100_000])
def test_what_is_no_state_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        view(content, KEY)
