"""States of stacks: the built-in backend that the tool speaks to, and what people may do with what it keeps.

Law: knows ports alone. Every decision is one of `kedge.engine.states`, taken where the facts can not move meanwhile.
"""
