"""``netwright agent``: leases networks from a server, measures them on this machine and returns rows."""
