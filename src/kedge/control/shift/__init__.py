"""Who works on what, when: the due queue, the turns, the sources and the roots.

Law: imports no adapter. The only room that turns an error's class into a retry. Never a task per unit: at most
`LIMIT` turns are in flight, everything else is a name in a queue.
"""
