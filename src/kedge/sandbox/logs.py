"""What a pretended container would have printed."""

from __future__ import annotations

from kedge.sandbox.wire import Object


def lines_of(pod: Object, container: str) -> list[str] | None:
    """A few lines; None while the container has not started."""
    state = _state(pod, container)
    image = next(
        (
            item.get("image", "")
            for item in [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
            if item["name"] == container
        ),
        "",
    )
    if state is None:
        return None
    now = state.get("state") or {}
    begun = [f"starting {container} ({image})"]
    if "running" in now:
        return [*begun, f"{container} is ready to serve"] if state.get("ready") else [*begun, "still starting"]
    if "terminated" in now:
        code = now["terminated"].get("exitCode", 0)
        return [*begun, f"{container} is done" if code == 0 else f"{container} failed: exit code {code}"]
    if (now.get("waiting") or {}).get("reason") == "CrashLoopBackOff":
        return [*begun, f"{container} failed: exit code 1"]
    return None


def waits_for(pod: Object, container: str) -> str:
    """Why a container has not started, as the kubelet says it."""
    reason = (((_state(pod, container) or {}).get("state") or {}).get("waiting") or {}).get("reason", "")
    return "trying and failing to pull image" if reason == "ImagePullBackOff" else reason or "ContainerCreating"


def _state(pod: Object, container: str) -> Object | None:
    status = pod.get("status") or {}
    states = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return next((item for item in states if item["name"] == container), None)
