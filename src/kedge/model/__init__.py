"""The nouns, as frozen slotted dataclasses.

Law: imports nothing of ours; no I/O, no clock, no environment. A value here is shared by every other room, so it
holds only what a decision needs, and it can be stored as JSON as it stands.
"""
