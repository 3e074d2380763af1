"""How texts become token ids: their bytes, or a ``tokenizer.json`` of the ``tokenizers`` library."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from supernets.data_facts.spec import BYTES
from supernets.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_FILE = "tokenizer.json"
VALUES = 256
"""Values of a byte: the vocabulary without a tokenizer."""
PROBE = "a"
"""A text whose tokens show which special tokens stand before and after every text."""


@dataclass(frozen=True, eq=False)
class Tokenization:
    """Text to token ids, without padding and truncation, which a task does at the length of its network.

    Attributes:
        content: the file ``tokenizer.json``; empty for bytes.
        vocabulary: number of tokens; ids lie below it.
        prefix: special tokens before every text.
        suffix: special tokens after every text.
        padding: the token that fills the rest; networks do not attend to it.
    """

    content: bytes
    vocabulary: int
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    padding: int = 0

    @classmethod
    def read(cls, spec: str) -> Tokenization:
        """``bytes``, or the path of a ``tokenizer.json``.

        Raises:
            DataError: there is no such file, or it is no tokenizer; no code in it is run.
        """
        if spec == BYTES:
            return cls(b"", VALUES)
        path = Path(spec)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(
                f"tokenizer must be {BYTES!r} or the path of a tokenizer.json, but {spec!r} cannot be read: "
                f"{error.strerror}",
                "tokenizer",
            ) from error
        return cls.of(content, path.name)

    @classmethod
    def of(cls, content: bytes, name: str = "tokenizer.json") -> Tokenization:
        """That of the content of a ``tokenizer.json``, called ``name`` in messages."""
        tokenizer = _load(content, name)
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        if not vocabulary:
            raise DataError(f"a tokenizer must have tokens, but {name} has none", "tokenizer")
        bare = tokenizer.encode(PROBE, add_special_tokens=False).ids
        whole = tokenizer.encode(PROBE).ids
        starts = [k for k in range(len(whole) + 1) if whole[k : k + len(bare)] == bare]
        if not starts:
            raise DataError(
                f"a tokenizer must put special tokens before and after a text, but {name} changes the text's own "
                f"tokens: {bare} becomes {whole}",
                "tokenizer",
            )
        start = starts[0]
        return cls(
            content,
            max(vocabulary.values()) + 1,
            tuple(whole[:start]),
            tuple(whole[start + len(bare) :]),
            _padding(vocabulary),
        )

    @property
    def name(self) -> str:
        """``bytes``, or ``tokenizer.json``."""
        return TOKENIZER_FILE if self.content else BYTES

    @cached_property
    def sha256(self) -> str:
        """Hash of the file; that of no bytes without one."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return _load(self.content, self.name)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without special tokens."""
        if not self.content:
            return [list(text.encode("utf-8", "replace")) for text in texts]
        return [each.ids for each in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids; special tokens are left out."""
        if not self.content:
            return bytes(tokens).decode("utf-8", "replace")
        text: str = self._tokenizer.decode(list(tokens))
        return text

    def as_json(self) -> dict[str, object]:
        """What turns a text into inputs, but for the file itself, whose hash is here."""
        return {
            "tokenizer": self.name,
            "tokenizer_sha256": self.sha256,
            "vocabulary": self.vocabulary,
            "prefix": list(self.prefix),
            "suffix": list(self.suffix),
            "padding": self.padding,
        }


def _load(content: bytes, name: str) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises Exception itself
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{name} must be a file of the tokenizers library (tokenizer.json), but: {why}", "tokenizer"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _padding(vocabulary: dict[str, int]) -> int:
    """The token that is called padding, or else the first: what it is changes nothing, it is masked."""
    return next((vocabulary[name] for name in ("[PAD]", "<pad>", "<|endoftext|>") if name in vocabulary), 0)
