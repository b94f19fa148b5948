"""What a cluster itself tells of a story: which Jobs ran, which objects carry our mark, and who is still the same.

Asked directly, past every proxy: it judges by the cluster's own account, never by asking Kedge.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from kedge.kube.kubeconfig import Access

PATIENCE = 60.0
OWNER = "kedge.dev/owner"
OPERATION = "kedge.dev/operation"
KINDS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
}
"""Those that the stories are made of."""


@dataclass
class Evidence:
    """`jobs` are uids by (operation, name), in the order of their making; `completed` those that were seen to end."""

    access: Access
    session: aiohttp.ClientSession
    tls: ssl.SSLContext
    jobs: defaultdict[tuple[str, str], dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    completed: set[str] = field(default_factory=set)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def get(self, path: str, **query: str) -> Any:
        headers = {"Authorization": f"Bearer {self.access.token}"}
        timeout = aiohttp.ClientTimeout(total=None if "watch" in query else PATIENCE)
        return self.session.get(self.access.server + path, params=query, headers=headers, ssl=self.tls, timeout=timeout)

    async def make(self, kind: str, namespace: str, body: Mapping[str, Any]) -> None:
        """As somebody who is not Kedge."""
        headers = {"Authorization": f"Bearer {self.access.token}"}
        url = self.access.server + KINDS[kind].format(namespace)
        query = {"fieldManager": "stranger"}
        async with self.session.post(url, params=query, json=body, headers=headers, ssl=self.tls) as answer:
            assert answer.status == 201, await answer.text()

    async def items(self, kind: str, namespace: str) -> list[dict[str, Any]]:
        async with self.get(KINDS[kind].format(namespace)) as answer:
            found = await answer.json()
            assert answer.status == 200, found
            return list(found["items"])

    async def follow(self) -> None:
        """Watch every Job from the beginning, for as long as the story goes on."""
        version = "0"
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "600"}
                async with self.get("/apis/batch/v1/jobs", **query) as answer:
                    async for line in answer.content:
                        version = self.heard(json.loads(line)) or version

    def heard(self, event: Mapping[str, Any]) -> str:
        meta = event["object"]["metadata"]
        operation = (meta.get("annotations") or {}).get(OPERATION, "")
        if operation and "uid" in meta:
            self.jobs[operation, meta["name"]].setdefault(meta["uid"])
            conditions = event["object"].get("status", {}).get("conditions") or ()
            if any(one["type"] == "Complete" and one["status"] == "True" for one in conditions):
                self.completed.add(meta["uid"])
            self.news.set()
        return str(meta.get("resourceVersion") or "")

    def of(self, operation: str, hook: str) -> dict[str, None]:
        """uids of what one operation made of a hook, whose name may be the beginning of a generated one."""
        found: dict[str, None] = {}
        for (run, name), uids in self.jobs.items():
            if run == operation and (name == hook or (hook.endswith("-") and name.startswith(hook))):
                found |= uids
        return found

    async def ran_once(self, operations: Iterable[str], hooks: Iterable[str]) -> None:
        """In each of these operations each of these hooks was made once, and came to its end."""
        wanted = [(operation, hook) for operation in operations for hook in hooks]
        async with asyncio.timeout(PATIENCE):
            while not all(self.of(*key) and set(self.of(*key)) <= self.completed for key in wanted):
                self.news.clear()
                await self.news.wait()
        assert [(key, self.of(*key)) for key in wanted if len(self.of(*key)) != 1] == []
        self.never_twice()

    def never_twice(self) -> None:
        """No hook was made twice in one operation, in those that did not come to their end neither."""
        twice = {key: uids for key, uids in self.jobs.items() if len(uids) > 1}
        assert not twice, twice

    async def marked(self, namespace: str, unit: str) -> set[tuple[str, str]]:
        """(kind, name) of what carries the unit's own mark; what a controller has copied it to does not count."""
        found = set()
        for kind in KINDS:
            for item in await self.items(kind, namespace):
                meta = item["metadata"]
                owner = (meta.get("annotations") or {}).get(OWNER, "")
                if owner.endswith(f":{unit}") and not meta.get("ownerReferences"):
                    found.add((kind, meta["name"]))
        return found

    async def uids(self, namespace: str) -> dict[tuple[str, str], str]:
        """uid by (kind, name), of everything in the namespace that a story may be about."""
        found = {}
        for kind in KINDS:
            for item in await self.items(kind, namespace):
                found[kind, item["metadata"]["name"]] = item["metadata"]["uid"]
        return found

    async def values(self, namespace: str) -> dict[str, str]:
        """What each ConfigMap says."""
        items = await self.items("ConfigMap", namespace)
        return {item["metadata"]["name"]: (item.get("data") or {}).get("greeting", "") for item in items}


@asynccontextmanager
async def witnessed(access: Access) -> AsyncIterator[Evidence]:
    async with aiohttp.ClientSession() as session:
        evidence = Evidence(access, session, ssl.create_default_context(cadata=access.ca))
        following = asyncio.ensure_future(evidence.follow())
        try:
            yield evidence
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
