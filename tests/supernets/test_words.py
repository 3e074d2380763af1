"""Numbers with their nouns."""

import pytest

from supernets.words import counted


@pytest.mark.parametrize(
    ("n", "noun", "words"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (2000, "row", "2,000 rows"),
        (2, "class", "2 classes"),
        (3, "search", "3 searches"),
        (1, "axis", "1 axis"),
        (2, "axis", "2 axes"),
    ],
)
def test_counted(n: int, noun: str, words: str) -> None:
    assert counted(n, noun) == words
