"""The judgements, pure: may this be applied, and what is destructive about it.

Law: values in, values out; imports nothing but `kedge.model`. Policy and engine do not know each other.
"""
