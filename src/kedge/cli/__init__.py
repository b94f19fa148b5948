"""The command line: words in, words out.

Law: asks the server over HTTP, or works alone through `kedge.offline`; imports no adapter. Everything heavy is
imported inside the command that needs it: `kedge version` must cost hardly more than the interpreter.
"""
