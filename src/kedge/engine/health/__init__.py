"""Health rules: a live object → a status and a sentence a person can act on.

Law: pure functions of the object (and of a given instant). They never raise on any JSON value, never look anything
up, and prefer conventions (generations, conditions, phases) to knowledge about single kinds. One file per family of
kinds; every rule names its source. Kinds that conventions get wrong have rules as data (`rulebook.py`, in CEL).
"""

from kedge.engine.health.judge import excused, judge, judge_or_none
from kedge.engine.health.rulebook import Rulebook
from kedge.engine.health.worst import worst

__all__ = ["Rulebook", "excused", "judge", "judge_or_none", "worst"]
