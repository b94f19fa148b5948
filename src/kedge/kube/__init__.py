"""Talking to a Kubernetes API: transport, credentials, discovery, requests, watches.

Law: knows nothing of units, plans or Git. Every answer is hostile until parsed (bounded size, depth and time), and
every failure leaves this room as one of `kedge.model.errors` or as a value. Imports `model` and the doors.
"""
