"""The stand-in for AWS, and who changes things there: as the stories of stacks use both."""

from __future__ import annotations

import http.client
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest
from scripts.build_parts import MOTO
from tests.parts.aws import Aws, stand_in
from tests.parts.programs import missing

SOURCE = "mirror.test/hashicorp/aws"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    lacking = missing([MOTO])
    if lacking:
        pytest.skip(lacking)
    with stand_in(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture
def aws(standing: str) -> Iterator[Aws]:
    """Empty again at the end."""
    found = Aws(standing, SOURCE)
    yield found
    for name in found.read():
        found.remove(name)
    assert found.read() == {}


def test_what_is_there_is_read_by_its_name(aws: Aws) -> None:
    aws.make("bucket", "bucket")
    aws.make("queue", "queue", "bucket")
    aws.make("role", "role", "hunter2 queue")
    assert aws.read() == {"bucket": "", "queue": "bucket", "role": "hunter2 queue"}


@pytest.mark.parametrize("kind", ["queue", "role"])
def test_what_is_there_is_changed_behind_everybodys_back(aws: Aws, kind: str) -> None:
    aws.make(kind, "one", "as Git says")
    aws.make(kind, "other", "as Git says")
    aws.write("one", "by hand")
    assert aws.read() == {"one": "by hand", "other": "as Git says"}


@pytest.mark.parametrize("kind", ["bucket", "queue", "role"])
def test_what_is_there_is_removed_and_can_be_made_again(aws: Aws, kind: str) -> None:
    aws.make(kind, "one")
    aws.remove("one")
    assert aws.read() == {}
    aws.make(kind, "one")
    assert list(aws.read()) == ["one"]


def test_what_is_not_there_is_neither_changed_nor_removed(aws: Aws) -> None:
    aws.make("bucket", "bucket")
    for change in (lambda: aws.write("bucket", "x"), lambda: aws.write("none", "x"), lambda: aws.remove("none")):
        with pytest.raises(KeyError):
            change()


def test_it_is_gone_with_whoever_started_it(tmp_path: Path) -> None:
    if lacking := missing([MOTO]):
        pytest.skip(lacking)
    with stand_in(tmp_path) as url:
        assert Aws(url).read() == {}
        process = int((tmp_path / "moto.pid").read_text())
    with pytest.raises(URLError):
        Aws(url).read()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_request_for_a_host_that_nobody_resolves_comes_to_it_as_a_proxy(aws: Aws) -> None:
    aws.make("bucket", "bucket")
    host = aws.url.removeprefix("http://")
    line = http.client.HTTPConnection(host, timeout=30)
    path = "/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Abucket"
    signed = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    headers = {"Authorization": signed, "x-amz-account-id": "123456789012"}
    line.request("GET", f"http://123456789012.{host}{path}", headers=headers)
    answer = line.getresponse()
    said = answer.read()
    line.close()
    assert answer.status == 200, said
    assert b"ListTagsForResourceResponse" in said


def test_the_code_is_as_the_tool_writes_it(tofu: Path) -> None:
    aws = Aws("http://127.0.0.1:1", SOURCE)
    kinds = ("bucket", "queue", "role")
    things = [aws.thing(kind, kind, '"as Git says"') for kind in kinds]
    outputs = [f'output "{kind}" {{ value = {aws.id(kind, kind)} }}\n' for kind in kinds]
    code = "".join([aws.head, *things, *outputs])
    said = subprocess.run([tofu, "fmt", "-"], input=code, env={}, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    assert said.stdout == code
