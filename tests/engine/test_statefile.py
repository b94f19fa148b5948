from __future__ import annotations

import json

import pytest
from tests.doors.statefiles import output, resource, statefile

from kedge.engine.statefile import read_state, real, renumbered
from kedge.model.errors import Invalid

KEY = b"k" * 32
CANARY = "canary-7f3a-secret"


def test_a_state_is_numbered_anew_byte_for_byte() -> None:
    attributes = {"serial": 1, "lineage": "mine", "text": '"serial": 7, {[', "n": 1}
    content = statefile(7, resource("a", {"attributes": attributes})).replace(
        b'"n": 1', b'"n": 1.00000000000000000001e400'
    )
    moved = renumbered(content, 12, "new")
    assert moved.startswith(
        b'{\n  "version": 4,\n  "terraform_version": "1.12.6",\n  "serial": 12,\n  "lineage": "new",'
    )
    assert moved.partition(b'"outputs"')[2] == content.partition(b'"outputs"')[2]


@pytest.mark.parametrize(
    "content",
    [
        b'{"lineage":"l","serial":1,"version":4}',
        b' { "outputs" : {} , "serial"\n:\t1 , "version":4,"resources":[],"lineage" : "a\\"b" }',
        b'{"resources":[],"x":{"serial":9},"y":["serial",{"serial":3}],"version":4,"serial":1,"lineage":""}',
    ],
)
def test_it_does_not_matter_how_it_is_written(content: bytes) -> None:
    found = read_state(renumbered(content, 5, 'q"\u00fc'), KEY)
    assert (found.serial, found.lineage) == (5, 'q"\u00fc')


@pytest.mark.parametrize(
    "content",
    [
        b'{"version":4,"serial":1,"serial":2,"lineage":"l"}',
        b'{"version":4,"s\\u0065rial":1,"lineage":"l"}',
        b'{"version":4,"serial":1,"lineage":"l","lineage":"m"}',
    ],
)
def test_a_state_with_two_serials_or_one_that_is_hidden_is_not_numbered_anew(content: bytes) -> None:
    assert read_state(content, KEY).lineage in ("l", "m")
    with pytest.raises(Invalid, match="more than one"):
        renumbered(content, 5, "new")


def test_an_error_tells_the_place_and_not_the_value() -> None:
    content = statefile(1).replace(b'"serial": 1', f'"serial": "{CANARY}"'.encode())
    with pytest.raises(Invalid, match="serial") as refused:
        read_state(content, KEY)
    assert CANARY not in str(refused.value)


def test_secrets_are_in_no_representation() -> None:
    found = read_state(statefile(1, outputs={"p": output(CANARY, sensitive=True)}), KEY)
    assert CANARY not in repr(found)
    assert found.outputs[0].value == json.dumps(CANARY)


def test_the_digest_is_keyed() -> None:
    assert read_state(statefile(1), KEY).digest != read_state(statefile(1), b"x" * 32).digest


def test_what_is_only_in_the_state_is_not_real() -> None:
    held = (
        "aws_s3_bucket.a",
        "module.x.aws_s3_bucket.a[0]",
        'module.x["terraform_data."].aws_s3_bucket.a',
        "terraform_data_like.a",
    )
    built_in = ("terraform_data.a", 'terraform_data.a["b.c"]', 'module.x["a.b\\"]"].module.y[0].terraform_data.a')
    assert real((*held, *built_in)) == held
