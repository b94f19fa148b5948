"""HTTP: the API, the event stream, webhooks, metrics.

Law: decides nothing beyond who asks, and whether they may. Handlers read the store or hand a wish to
`control.road.commands`; what they answer is an allow-listed view, never a stored value as it stands.
"""
