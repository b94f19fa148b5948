"""The sandbox: a server that speaks the Kubernetes API, for demos, fault-injected tests, simulation and previews.

Law: imports nothing of kedge, so that nothing of the house can leak into what the house is tested against. The core is
a plain function, ``Sandbox.handle(request) -> Response``; time and randomness are handed in, nothing waits inside, and
what the cluster's controllers still owe is done by ``Sandbox.tick()``. HTTP exists only in ``http.py``.
"""

from kedge.sandbox.cluster import Options
from kedge.sandbox.core import Sandbox
from kedge.sandbox.fields import Applied, FieldCall, Fields, ManagedBy, Refused
from kedge.sandbox.watching import Watch
from kedge.sandbox.wire import Request, Response

__all__ = [
    "Applied", "FieldCall", "Fields", "ManagedBy", "Options", "Refused", "Request", "Response", "Sandbox", "Watch",
]  # fmt: skip
