"""The sandbox: a server that speaks the Kubernetes API, for demos, fault-injected tests, simulation and previews.

Law: imports nothing of kedge, so that nothing of the house can leak into what the house is tested against. The core is
a plain function, ``Sandbox.handle(request) -> Response``; time and randomness are handed in, nothing waits inside, and
what the cluster's controllers still owe is done by ``Sandbox.tick()``. HTTP exists only in ``http.py``.

Whatever is sent is answered: what a built-in kind may hold is decided before it is stored (``decode``,
``validate_shape``, ``validate``), a refusal leaves nothing behind, and no number in an object decides how much is done.
It runs no containers, so exec, attach, port-forward and proxy are refused (501); there are no metrics, no schedules of
CronJobs, no endpoints of Services, and, of autoscalers apart, one version of each built-in kind.
"""

from kedge.sandbox.cluster import Options
from kedge.sandbox.core import Sandbox
from kedge.sandbox.fields import Applied, FieldCall, Fields, ManagedBy, Refused
from kedge.sandbox.watching import Watch
from kedge.sandbox.wire import Request, Response

__all__ = [
    "Applied", "FieldCall", "Fields", "ManagedBy", "Options", "Refused", "Request", "Response", "Sandbox", "Watch",
]  # fmt: skip
