"""What a cluster's controllers, scheduler and kubelet would do, as single steps over one object each; no timers, no
threads.

Law: a step reads the store, writes what should be so, and asks to be woken when something is due later. A changed
object wakes its own step and that of its controller, so the steps find their way without a plan.
"""

from kedge.sandbox.controllers.turn import attach, due, run, run_watches

__all__ = ["attach", "due", "run", "run_watches"]
