"""The decisions, pure.

Law: values in, values out. No I/O, no async, no clock, no logging, no randomness; imports nothing but `kedge.model`.
The time is a parameter. Engine and policy do not know each other.
"""
