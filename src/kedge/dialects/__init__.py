"""YAML documents and webhook bodies to the model, purely.

Law: imports nothing but `kedge.model`; one dialect, one file. Only `loader.py` parses YAML in Python.
"""
