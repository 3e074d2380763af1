"""Spaces and networks of the transformer families."""
