"""Revisions and bytes: git, and the credentials for it.

Law: knows the model and the doors; imports no renderer, target, store or control.
"""
