"""YAML documents and webhook bodies to the model, purely.

Law: imports nothing but `kedge.model`; one dialect, one file. `loader.py` is the only place where YAML is parsed in Python.
"""
