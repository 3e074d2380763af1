"""Texts as token ids: labelled texts, and running text cut into windows."""
