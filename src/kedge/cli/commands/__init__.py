"""One file per family of verbs: the words of a call are read, the call is made, a view writes the answer."""
