"""What annotations say about an object: its wave, whether it is a hook, and when a hook's object goes again.

Argo CD's annotations win over Helm's, as in its gitops-engine. Helm's install and upgrade hooks are told apart by what
is live: a unit that owns nothing yet is being installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from kedge.model.manifest import Manifest
from kedge.model.plan import DeletePolicy, Phase

ARGO_HOOK = "argocd.argoproj.io/hook"
ARGO_POLICY = "argocd.argoproj.io/hook-delete-policy"
ARGO_WAVE = "argocd.argoproj.io/sync-wave"
HELM_HOOK = "helm.sh/hook"
HELM_POLICY = "helm.sh/hook-delete-policy"
HELM_WEIGHT = "helm.sh/hook-weight"

_ARGO_PHASES = {
    "PreSync": Phase.PRE_SYNC,
    "Sync": Phase.SYNC,
    "PostSync": Phase.POST_SYNC,
    "SyncFail": Phase.SYNC_FAIL,
    "PreDelete": Phase.PRE_DELETE,
    "PostDelete": Phase.POST_DELETE,
}
_HELM_INSTALL = {"pre-install": Phase.PRE_SYNC, "post-install": Phase.POST_SYNC}
_HELM_UPGRADE = {"pre-upgrade": Phase.PRE_SYNC, "post-upgrade": Phase.POST_SYNC}
_HELM_DELETE = {"pre-delete": Phase.PRE_DELETE, "post-delete": Phase.POST_DELETE}
_HELM_POLICIES = {
    "before-hook-creation": DeletePolicy.BEFORE_CREATION,
    "hook-succeeded": DeletePolicy.SUCCEEDED,
    "hook-failed": DeletePolicy.FAILED,
}


@dataclass(frozen=True, slots=True)
class Hook:
    """`phases` may be empty: the object is then a hook that has no part in this plan, and never an ordinary object."""

    phases: tuple[Phase, ...]
    policies: tuple[DeletePolicy, ...]


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()] if text else []


def wave_of(manifest: Manifest) -> int:
    """The object's wave; 0 where none is given or it is not a whole number."""
    for key in (ARGO_WAVE, HELM_WEIGHT):
        text = manifest.annotation(key)
        if text is not None:
            try:
                return max(-(2**31), min(2**31, int(text)))
            except ValueError:
                return 0
    return 0


def hook_of(manifest: Manifest, *, installing: bool) -> Hook | None:
    """The hook an object is, or None for an ordinary object. `crd-install` marks an ordinary object, as in Helm 3."""
    argo, helm = _words(manifest.annotation(ARGO_HOOK)), _words(manifest.annotation(HELM_HOOK))
    if argo:
        found = [_ARGO_PHASES[word] for word in argo if word in _ARGO_PHASES]
    elif helm and helm != ["crd-install"]:
        table = {**(_HELM_INSTALL if installing else _HELM_UPGRADE), **_HELM_DELETE}
        found = [table[word] for word in helm if word in table]
    else:
        return None
    return Hook(tuple(dict.fromkeys(found)), policies_of(manifest))


def is_hook(manifest: Manifest) -> bool:
    return hook_of(manifest, installing=True) is not None


def generated_name(prefix: str, operation: str, step: str) -> str:
    """`prefix` and ten hex digits, at most 63 characters: the same for the same step of the same operation."""
    tail = sha256(f"{operation}\0{step}".encode()).hexdigest()[:10]
    return f"{prefix[: 63 - len(tail)]}{tail}"


def policies_of(manifest: Manifest) -> tuple[DeletePolicy, ...]:
    """Argo CD's and Helm's policies together; BeforeHookCreation when neither is given."""
    argo = {policy.value: policy for policy in DeletePolicy}
    found = [argo[word] for word in _words(manifest.annotation(ARGO_POLICY)) if word in argo]
    found += [_HELM_POLICIES[word] for word in _words(manifest.annotation(HELM_POLICY)) if word in _HELM_POLICIES]
    return tuple(dict.fromkeys(found)) or (DeletePolicy.BEFORE_CREATION,)
