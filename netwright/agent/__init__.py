"""``netwright agent``: takes nets from a server, measures them on this machine, brings back rows."""
