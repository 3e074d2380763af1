"""Numbers with their nouns, for messages."""

from __future__ import annotations

IRREGULAR = {"axis": "axes"}


def counted(n: int, noun: str) -> str:
    """A number and its noun: ``1 image``, ``2,000 images``, ``1 class``, ``2 classes``."""
    if n == 1:
        return f"1 {noun}"
    plural = IRREGULAR.get(noun) or (f"{noun}es" if noun.endswith(("s", "ch")) else f"{noun}s")
    return f"{n:,} {plural}"
