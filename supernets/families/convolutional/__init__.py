"""Spaces and networks of the convolutional families."""
