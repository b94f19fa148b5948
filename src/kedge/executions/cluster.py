"""The Jobs of executions in their cluster: made, looked at, deleted. What they mean is `job.py`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from kedge.executions import job
from kedge.executions.job import EXECUTION, INSTALLATION, Place
from kedge.kube.answer import Answer, error_of, mapping
from kedge.kube.client import Client
from kedge.kube.discovery import Kind
from kedge.model.errors import Conflict, Invalid, Unavailable
from kedge.model.execution import Execution

JOB = Kind("batch", "v1", "Job", "jobs", True)
POD = Kind("", "v1", "Pod", "pods", True)
SECRET = Kind("", "v1", "Secret", "secrets", True)
_CONFLICT = 409
_FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Seen:
    """Jobs by name, and the pods of each."""

    jobs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pods: Mapping[str, list[Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Jobs:
    """Those of one installation. Every call raises Denied and Unavailable."""

    client: Client
    place: Place
    installation: str

    async def seen(self) -> Seen:
        """Jobs first: one that is not there any more makes no pod that is not seen then."""
        namespace, ours = self.place.namespace, f"{INSTALLATION}={self.installation}"
        jobs = await self.client.list(JOB, namespace, labels=ours)
        pods: dict[str, list[Mapping[str, Any]]] = {}
        for pod in (await self.client.list(POD, namespace, labels=ours)).items:
            pods.setdefault(str(mapping(pod["metadata"].get("labels")).get(EXECUTION)), []).append(pod)
        return Seen({str(one["metadata"].get("name")): one for one in jobs.items}, pods)

    async def launch(self, execution: Execution, token: str) -> None:
        """Make the Job and its Secret, and let it begin; what was made of it before is taken up. Raises Invalid where
        the cluster refuses it, Conflict where another Job has its name."""
        name = job.name_of(self.installation, execution.id)
        made = await self._made(execution, name)
        address = f"{self.place.address}/executions/{execution.id}"
        given = orjson.dumps(job.secret(made, address, token))
        _check(await self.client.create(SECRET, self.place.namespace, given), "its Secret", there=True)
        resumed = await self.client.merge_patch(JOB, self.place.namespace, name, {"spec": {"suspend": False}})
        _check(resumed, "its Job")

    async def _made(self, execution: Execution, name: str) -> Mapping[str, Any]:
        body = orjson.dumps(job.job(execution, name, self.place, self.installation))
        answer = await self.client.create(JOB, self.place.namespace, body)
        _check(answer, "its Job", there=True)
        if answer.refusal is None:
            return answer.value
        found = await self.client.get(JOB, self.place.namespace, name)
        if found is None:
            raise Unavailable(f"the Job {name} came and went while it was being made")
        if mapping(found["metadata"].get("annotations")).get(EXECUTION) != execution.id:
            raise Conflict(f"the Job {name} in namespace {self.place.namespace} is not that of this execution")
        return found

    async def delete(self, name: str) -> None:
        """Its pod is asked to end and has its minutes; what is left of it is seen until it is gone."""
        answer = await self.client.delete(JOB, self.place.namespace, name)
        if answer.refusal is None or not answer.refusal.missing:
            _check(answer, "its Job")

    async def close(self) -> None:
        await self.client.close()


def _check(answer: Answer, what: str, *, there: bool = False) -> None:
    """`there`: what is there already is no refusal. A right may be missing for a moment only (Denied); what an
    admission or a quota says of the object stands."""
    refusal = answer.refusal
    if refusal is None or (there and refusal.code == _CONFLICT and refusal.reason == "AlreadyExists"):
        return
    if refusal.code == _CONFLICT or (refusal.code == _FORBIDDEN and "cannot " in refusal.text):
        raise error_of(refusal, what)
    raise Invalid(f"the cluster refuses {what}: {refusal.text}")
