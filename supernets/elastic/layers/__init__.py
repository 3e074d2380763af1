"""Layers and blocks of supernets: every smaller choice is a leading slice of their weights."""
