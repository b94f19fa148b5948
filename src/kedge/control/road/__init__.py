"""The road itself: propose, perform, reconcile; with preview, commands and enlist beside them.

Law: the only caller of `Target.act` is `perform`; the only writers of a dossier are `reconcile`, `perform` and
`commands`. Nothing here sleeps, polls or retries: it records, gives the worker back, and comes back on an event.
"""
