"""The port `Target` over Kubernetes: place, compare, act, look, and the watch index that makes looking free.

Law: every write is one step of a plan; nothing is deleted whose owner annotation does not name this installation and
unit; an object that did not change costs no call.
"""

from kedge.targets.kubernetes.target import KubernetesTarget

__all__ = ["KubernetesTarget"]
