"""What tasks on texts share: batches of token ids with a mask, the inputs of a file, and the text for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from supernets.data.text.dataset import NO_TOKEN, TextData
from supernets.elastic.active import Inputs
from supernets.errors import DataError
from supernets.tasks.task import (
    BATCH,
    SEQUENCE,
    Dimensions,
    Example,
    Interface,
    NamedTensor,
    Preprocessing,
    Task,
)

if TYPE_CHECKING:
    from supernets.data import DataSet, Facts

VOCABULARY = "vocabulary"


class TextTask(Task):
    """Tokens ``(window,) int32`` in, outputs for the text or for each token out.

    A family for such a task has the dimensions ``vocabulary``, ``sequence``, and ``outputs`` (of a text) or
    ``token_outputs`` (of each token). Texts are cut or padded to ``sequence``; the recipe's augmentation, which is of
    images, does not apply.
    """

    reads = "text"
    special_tokens = True
    """Whether the special tokens of the tokenizer stand around a text."""

    def vocabulary(self, data: DataSet | Facts) -> int | None:
        """Number of tokens of the data."""
        found = (
            data.tokenization.vocabulary if isinstance(data, TextData) else getattr(data, VOCABULARY, None)
        )
        return found

    def check_like(self, data: DataSet | Facts, preprocessing: Preprocessing, name: str) -> None:
        """Refuse tokens of another tokenizer: its ids mean other tokens."""
        self.check_kind(data)
        known = preprocessing["vocabulary"]
        other = (
            data.tokenization.sha256 != preprocessing["tokenizer_sha256"]
            if isinstance(data, TextData)
            else False
        )
        if other or self.vocabulary(data) not in (None, known):
            raise DataError(
                f"texts must have the tokenizer of {name!r}, which has {known} tokens, {data.name!r} has another of "
                f"{self.vocabulary(data)}; option tokenizer=PATH names the file",
                "tokenizer",
            )

    def prepare(self, stored: Tensor, preprocessing: Preprocessing, dimensions: Dimensions) -> Inputs:
        """``input_ids`` and ``attention_mask``, each ``(n, sequence) int64``; the mask is 0 at padding."""
        length = dimensions[SEQUENCE]
        before = preprocessing["prefix"] if self.special_tokens else []
        after = preprocessing["suffix"] if self.special_tokens else []
        room = length - len(before) - len(after)
        if room < 1:
            raise DataError(
                f"{SEQUENCE} must be at least {length - room + 1} to hold the special tokens and a token, got {length}"
            )
        body = stored[:, :room].long()
        lengths = (body != NO_TOKEN).sum(1, keepdim=True)
        place = torch.arange(length, device=stored.device).expand(len(stored), length)
        ids = torch.full_like(place, preprocessing["padding"])
        start = len(before)
        ids = ids.clone()
        ids[:, start : start + body.shape[1]] = torch.where(body == NO_TOKEN, preprocessing["padding"], body)
        for index, token in enumerate(before):
            ids[:, index] = token
        for index, token in enumerate(after):
            ids = ids.scatter(1, start + lengths + index, token)
        mask = (place < start + lengths + len(after)).long()
        return ids, mask

    def augment(
        self,
        stored: Tensor,
        generator: torch.Generator,
        *,
        pad: int = 0,
        flip: bool = False,
        crop: float = 1.0,
        largest: float = 1.0,
        colour: float = 0.0,
        grey: float = 0.0,
        of: int | None = None,
        part: slice = slice(None),
    ) -> Tensor:
        """Unchanged: crops and mirroring are of images."""
        del generator, pad, flip, crop, largest, colour, grey, of, part
        return stored

    def inputs(self) -> tuple[NamedTensor, ...]:
        """``input_ids`` and ``attention_mask``, both of any batch and sequence."""
        shape = (BATCH, SEQUENCE)
        return NamedTensor("input_ids", "int64", shape), NamedTensor("attention_mask", "int64", shape)

    def interface(self, dimensions: Dimensions) -> Interface:
        """The inputs of :meth:`prepare` to ``logits (batch, outputs)``."""
        return Interface(self.inputs(), NamedTensor("logits", "float32", (BATCH, dimensions["outputs"])))

    def show(self, stored: Tensor, label: Tensor, data: DataSet) -> Example:
        """The text as plain text, and what it shows."""
        if not isinstance(data, TextData):
            raise DataError(f"task {self.name!r} shows texts, but {data.name!r} holds {data.reads}")
        tokens = stored[stored != NO_TOKEN].tolist()
        text = data.tokenization.decode(tokens)
        return Example("text/plain", text.encode(), self.describe(label, data))

    def describe(self, label: Tensor, data: TextData) -> str:
        """The stored label of one example in words; the default is the name of its class."""
        return data.classes[int(label)]
