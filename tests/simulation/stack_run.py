"""One seed with stacks: see `run`."""

from __future__ import annotations

from tests.simulation.run import Stage, Story, run
from tests.simulation.stack_history import StackHistory
from tests.simulation.stack_world import StackWorld

STACKS = Stage(StackWorld, StackHistory, "--stacks ")


def run_stacks(seed: int | str, actions: int = 25) -> Story:
    return run(seed, actions, STACKS)
