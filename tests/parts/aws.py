"""AWS as a stand-in plays it (moto, on loopback), and who changes things there behind a tool's back.

Spoken to over plain HTTP: the stand-in takes any signature, and reads from it only which service is meant.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

from scripts.build_parts import MOTO
from tests.parts.patience import until
from tests.parts.ports import held_port
from tests.parts.programs import Broken, Programs

REGION = "us-east-1"
PATIENCE = 30.0
_OPENER = build_opener(ProxyHandler({}))
_TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":{"Service":"ec2.amazonaws.com"}}]}'
)
_KINDS = {"bucket": "aws_s3_bucket", "queue": "aws_sqs_queue", "role": "aws_iam_role"}


@contextmanager
def stand_in(folder: Path) -> Iterator[str]:
    """The URL of an empty one, which ends with the block. Raises Broken when it does not come up."""
    programs = Programs(folder)
    with held_port() as port:
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            programs.check()
            try:
                Aws(url).read()
            except URLError:
                return False
            return True

        programs.start("moto", [MOTO.program, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)])
        try:
            if not until(answers, bool, PATIENCE):
                raise Broken(f"moto does not answer:\n{programs.said('moto')}")
            yield url
        finally:
            programs.end()


@dataclass(frozen=True)
class Aws:
    """The stand-in at `url`: buckets, queues and roles, whose content is a tag `content`; a bucket has none, as the
    stand-in forgets tags that a bucket is made with. `source`: where code asks for the provider."""

    url: str
    source: str = ""
    secret = "the-secret-key-of-the-applies"
    plans = "{AWS_ACCESS_KEY_ID: {env: PLAN_ID}, AWS_SECRET_ACCESS_KEY: {env: PLAN_SECRET}}"
    applies = "{AWS_ACCESS_KEY_ID: {env: APPLY_ID}, AWS_SECRET_ACCESS_KEY: {env: APPLY_SECRET}}"
    """What the Credentials of plans and of applies give to the tool, of the variables of the server."""
    every = "20s"
    """How often drift can be looked for: a plan takes half of that."""

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PLAN_ID": "id-of-the-plans",
            "PLAN_SECRET": "the-secret-key-of-the-plans",
            "APPLY_ID": "id-of-the-applies",
            "APPLY_SECRET": self.secret,
            "KEDGE_RUNS_AT_ONCE": "2",
        }

    @property
    def head(self) -> str:
        """What begins the code of each stack. The account is asked for, and the stand-in is the proxy: from 6.23 on
        the provider puts the account before the host of S3 Control, which no resolver knows on loopback."""
        endpoints = "\n".join(f'    {name:<9} = "{self.url}"' for name in ("iam", "s3", "s3control", "sqs", "sts"))
        return f"""
terraform {{
  required_providers {{
    aws = {{
      source = "{self.source}"
    }}
  }}
}}
provider "aws" {{
  region                      = "{REGION}"
  http_proxy                  = "{self.url}"
  https_proxy                 = "{self.url}"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  endpoints {{
{endpoints}
  }}
}}
"""

    def thing(self, kind: str, name: str, content: str) -> str:
        """The code of a bucket, a queue or a role of that name; `content` is an expression."""
        own = {
            "bucket": {"bucket": f'"{name}"'},
            "queue": {"name": f'"{name}"', "tags": f"{{ content = {content} }}"},
            "role": {
                "name": f'"{name}"',
                "assume_role_policy": json.dumps(_TRUST),
                "tags": f"{{ content = {content} }}",
            },
        }[kind]
        width = max(map(len, own))
        lines = "".join(f"  {key:<{width}} = {value}\n" for key, value in own.items())
        return f'resource "{_KINDS[kind]}" "{name}" {{\n{lines}}}\n'

    def address(self, kind: str, name: str) -> str:
        return f"{_KINDS[kind]}.{name}"

    def id(self, kind: str, name: str) -> str:
        """The expression that names it to others, once it is there: no argument, but what the provider answers."""
        return f'element(split(":", {self.address(kind, name)}.arn), 5)'

    def known_as(self, kind: str, name: str) -> str:
        """The value of that."""
        return f"role/{name}" if kind == "role" else name

    def read(self) -> dict[str, str]:
        """The content of all that is there by name."""
        queues = {name: self._tags_of_queue(name) for name in self._queues()}
        roles = {name: self._tags_of_role(name) for name in self._roles()}
        buckets: dict[str, dict[str, str]] = {name: {} for name in self._buckets()}
        return {name: tags.get("content", "") for name, tags in {**buckets, **queues, **roles}.items()}

    def write(self, name: str, content: str) -> None:
        """Another content of a queue or a role. Raises KeyError where there is none."""
        if name in self._roles():
            tag = {"Tags.member.1.Key": "content", "Tags.member.1.Value": content}
            self._iam("TagRole", RoleName=name, **tag)
        elif name in self._queues():
            self._sqs("TagQueue", QueueUrl=self._queues()[name], Tags={"content": content})
        else:
            raise KeyError(name)

    def remove(self, name: str) -> None:
        """Raises KeyError where there is none."""
        if name in self._roles():
            self._iam("DeleteRole", RoleName=name)
        elif name in self._queues():
            self._sqs("DeleteQueue", QueueUrl=self._queues()[name])
        elif name in self._buckets():
            self._s3("DELETE", f"/{quote(name)}")
        else:
            raise KeyError(name)

    def make(self, kind: str, name: str, content: str = "") -> None:
        """As a tool would make it."""
        if kind == "role":
            tag = {"Tags.member.1.Key": "content", "Tags.member.1.Value": content}
            self._iam("CreateRole", RoleName=name, AssumeRolePolicyDocument=_TRUST, **tag)
        elif kind == "queue":
            self._sqs("CreateQueue", QueueName=name, tags={"content": content})
        else:
            self._s3("PUT", f"/{quote(name)}")

    def _buckets(self) -> list[str]:
        return [name.text or "" for name in self._s3("GET", "/").iterfind(".//{*}Bucket/{*}Name")]

    def _queues(self) -> dict[str, str]:
        """Their URLs by name."""
        urls = self._sqs("ListQueues").get("QueueUrls", [])
        return {url.rpartition("/")[2]: url for url in urls}

    def _tags_of_queue(self, name: str) -> dict[str, str]:
        found: dict[str, str] = self._sqs("ListQueueTags", QueueUrl=self._queues()[name]).get("Tags", {})
        return found

    def _roles(self) -> list[str]:
        return [name.text or "" for name in self._iam("ListRoles").iterfind(".//{*}RoleName")]

    def _tags_of_role(self, name: str) -> dict[str, str]:
        tags = self._iam("ListRoleTags", RoleName=name).iterfind(".//{*}Tags/{*}member")
        return {tag.findtext("{*}Key", ""): tag.findtext("{*}Value", "") for tag in tags}

    def _iam(self, action: str, **given: str) -> ElementTree.Element:
        form = urlencode({"Action": action, "Version": "2010-05-08", **given}).encode()
        return ElementTree.fromstring(self._asked("iam", "POST", "/", form))

    def _sqs(self, action: str, **given: object) -> dict[str, object]:
        headers = {"X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0"}
        answer = self._asked("sqs", "POST", "/", json.dumps(given).encode(), headers)
        return json.loads(answer or "{}")

    def _s3(self, method: str, path: str) -> ElementTree.Element:
        return ElementTree.fromstring(self._asked("s3", method, path) or b"<none/>")

    def _asked(
        self, service: str, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> bytes:
        credential = f"Credential=anybody/20260101/{REGION}/{service}/aws4_request"
        signed = {"Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"}
        request = Request(self.url + path, body, {**signed, **headers}, method=method)
        with _OPENER.open(request, timeout=PATIENCE) as answer:
            content: bytes = answer.read()
        return content
