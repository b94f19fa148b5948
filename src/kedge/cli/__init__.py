"""Words in, words out.

Law: speaks to the server over HTTP; reaches adapters only through `kedge.compose`, and imports nothing heavy at start.
"""
