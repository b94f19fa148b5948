"""Executions of OpenTofu and Terraform: processes that plan or apply one stack, and outlive the controller.

Law: knows the model, the doors and the transport to Kubernetes; imports no source, renderer, target, store or control.
What passes between the controller and a runner is a folder (`folder.py`): either may be killed at any time, and the
other finds all there is to know in it. `local.py` (processes of this machine) and `remote.py` (Jobs of a cluster) run
in the controller; `runner.py` is the process beside it, or within a pod.
"""
