"""Renderers: bytes to manifests.

The law of this room: what is rendered is hostile. Nothing here runs what a repository contains, follows a symlink,
leaves the repository or reaches the network; every render ends, by itself or by its deadline, and what it read is
written down, also what it looked for in vain. Parsing happens in killable child processes (the native worker), never
in the event loop. The room knows `model` and `process`, and nothing of sources, targets, store or control.
"""
