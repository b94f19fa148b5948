"""One installation of Kedge."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Installation:
    """`id` names this installation on every object; `effects_key` keys the effect digests."""

    id: str
    effects_key: bytes
    key_id: str
