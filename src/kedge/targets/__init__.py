"""What is, and how to change it.

Law: knows the model, the engine's rules, `kedge.kube` and the doors; imports no source, renderer, store or control.
"""
