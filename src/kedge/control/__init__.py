"""The road, and the shift that works on it.

Law: imports no adapter. What it needs of the world comes through `kedge.ports`, handed in by `kedge.compose`.
"""
