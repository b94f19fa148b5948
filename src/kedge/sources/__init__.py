"""Revisions and bytes: git, chart repositories and registries, what is put together of them, and the credentials.

Law: knows the model and the doors; imports no renderer, target, store or control.
"""
