"""What an API server says: objects, refusals, and which refusals are errors."""

from __future__ import annotations

import pytest
from tests.kube.scripted import ok, status

from kedge.kube.answer import MAX_TEXT, read_answer, read_refusal, refusal_of
from kedge.kube.transport import Response, refusal_line
from kedge.model.errors import Denied, Unavailable


def test_a_created_object_says_so() -> None:
    assert read_answer(ok({"a": 1}, 201), "x").created
    assert not read_answer(ok({"a": 1}), "x").created


@pytest.mark.parametrize("code", [400, 403, 404, 409, 410, 422])
def test_a_refusal_is_a_value(code: int) -> None:
    refusal = read_answer(status(code, "because"), "x").refusal
    assert refusal is not None
    assert (refusal.code, refusal.text) == (code, "because")


def test_a_bad_credential_is_denied() -> None:
    with pytest.raises(Denied, match="GET /x: Unauthorized"):
        read_answer(status(401, "Unauthorized"), "GET /x")


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_unavailable(code: int) -> None:
    with pytest.raises(Unavailable) as told:
        read_answer(status(code, **{"retry-after": "7"}), "x")
    assert told.value.retry_after == 7


@pytest.mark.parametrize(
    "text",
    [
        "failed to create typed patch object (web/it; /v1, Kind=ConfigMap): .dada: field not declared in schema",
        "failed to convert new object (web/it; /v1, Kind=Secret) to proper version: unable to convert unstructured "
        "object to /v1, Kind=Secret: error decoding from json: illegal base64 data at input byte 2",
    ],
)
def test_a_manifest_that_does_not_fit_its_schema_is_refused_although_the_server_says_500(text: str) -> None:
    refusal = read_answer(status(500, text), "x").refusal
    assert refusal is not None
    assert (refusal.code, refusal.text) == (500, text)


@pytest.mark.parametrize(
    "text",
    [
        "etcdserver: request is too large",
        "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2200566 vs. 2097152)",
    ],
)
def test_what_the_database_finds_too_large_is_refused_and_not_tried_again(text: str) -> None:
    refusal = read_answer(status(500, text), "x").refusal
    assert refusal is not None
    assert (refusal.text, refusal.too_large) == (text, True)


@pytest.mark.parametrize(
    "text",
    [
        'Internal error occurred: failed calling webhook "a.example.com": failed to convert new object',
        "failed to convert live object (web/it; /v1, Kind=Secret) to proper version: no kind is registered",
        "etcdserver: request timed out",
    ],
)
def test_any_other_500_is_a_server_in_trouble(text: str) -> None:
    with pytest.raises(Unavailable):
        read_answer(status(500, text), "x")


def test_a_redirect_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        read_answer(Response(302, {"location": "http://elsewhere"}), "x")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"x"', b"\xff"])
def test_an_answer_that_is_no_object_is_no_api(body: bytes) -> None:
    with pytest.raises(Unavailable, match="is this address a Kubernetes API"):
        read_answer(Response(200, {}, body), "x")


@pytest.mark.parametrize(
    "body", [b"", b"<html>gone</html>", b"[]", b'{"kind":"Status","details":[],"code":"x","message":{"a":1}}']
)
def test_a_refusal_that_is_no_status_still_has_a_sentence(body: bytes) -> None:
    refusal = read_refusal(Response(422, {}, body))
    assert refusal.code == 422
    assert refusal.text


@pytest.mark.parametrize(
    "text",
    [
        "spec.selector: Invalid value: {}: field is immutable",
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals' are forbidden",
        "spec.clusterIP: Invalid value: may not change once set",
        "cannot change roleRef",
        "Immutable field",
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
        "provisioner: Forbidden: updates to provisioner are forbidden.",
        f"spec.template: Invalid value: {{{'x' * 9_000}}}: field is immutable",
    ],
)
def test_immutable_fields_are_told_by_their_wordings(text: str) -> None:
    assert refusal_of({"code": 422, "message": text}).immutable
    assert refusal_of({"code": 422, "message": "x", "details": {"causes": [{"message": text}]}}).immutable


@pytest.mark.parametrize("text", ["spec.replicas: must be positive", "name is required"])
def test_a_mistake_is_not_immutable(text: str) -> None:
    assert not refusal_of({"code": 422, "message": text}).immutable


def test_a_conflict_is_not_immutable_as_flux_has_it() -> None:
    assert not refusal_of({"code": 409, "message": "field is immutable"}).immutable


def test_a_hostile_sentence_is_cut() -> None:
    causes = [{"field": "f" * 9_000, "message": "m" * 9_000}] * 500
    refusal = refusal_of({"message": "x" * 100_000, "details": {"causes": causes}})
    assert len(refusal.text) <= MAX_TEXT + 1
    assert len(refusal.causes) == 20
    assert len(refusal.causes[0][1]) <= MAX_TEXT + 1


def test_a_long_value_in_the_middle_of_a_sentence_is_left_out() -> None:
    value = '{"Spec":{"Containers":[' + ",".join(f'{{"Name":"{n}","Env":null}}' for n in range(99)) + "]}}"
    text = f"[spec.template: Invalid value: {value}: field is immutable, spec.parallelism: Invalid value: -1: no]"
    assert refusal_of({"code": 422, "message": text}).text == text.replace(value, "{…}")


def test_a_refused_watch_is_an_error_line_with_its_code() -> None:
    line = refusal_line(status(429, "slow down", **{"retry-after": "3"}))
    assert b'"ERROR"' in line
    assert b'"retryAfterSeconds":3' in line
    assert b'"code":502' in refusal_line(Response(502, {}, b"<html>"))
