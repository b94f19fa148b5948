"""What a pod brings home when there is more than can be brought; the rest is told by `executions/test_remote.py`."""

from __future__ import annotations

import msgspec
import pytest

from kedge import pod
from kedge.model.execution import Ending, Report, Task, Word, Yield

DONE = Report("one", "shop/db", Task.PLAN, 1.0, finished=2.0, ending=Ending.SUCCEEDED)


def read(raw: bytes) -> Word:
    return msgspec.json.decode(raw, type=Word)


def test_all_of_it_where_there_is_room() -> None:
    left = Yield(b"plan", b"shown", b"state", b"outputs")
    assert read(pod.last_word(DONE, left)) == Word(DONE, left=left)


def test_a_state_is_brought_before_a_plan_and_the_plan_is_said_to_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod, "LARGEST_WORD", 2 << 20)
    word = read(pod.last_word(DONE, Yield(plan=bytes(4 << 20), errored=b"state")))
    assert word.left == Yield(errored=b"state")
    assert word.report.ending is Ending.FAILED
    assert word.report.told == "what the tool has left is larger than the 2 MiB that can be brought home from a pod"
