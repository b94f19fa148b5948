"""The HTTP API, the event stream and the webhooks.

Law: decides nothing beyond "who, and may they" (`access.may`); imports no adapter.
"""
