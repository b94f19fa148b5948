"""YAML documents become declarations: Kedge's own kinds, one file per dialect.

Law: pure. Imports nothing of ours but `kedge.model`; every text is hostile until `loader` has read it, and what is
wrong is answered as problems with file, document, line and path, never as a crash.
"""
