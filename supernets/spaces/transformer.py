"""Transformer blocks (Vaswani et al., 2017) as plans and layer rows. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from supernets.spaces.layers import LayerSpec


@dataclass(frozen=True, slots=True)
class TransformerBlockPlan:
    """Block ``index`` of the largest network, cut to ``heads`` heads and ``ffn`` neurons; ``width`` goes through it."""

    index: int
    width: int
    heads: int
    head_size: int
    ffn: int

    @property
    def inner(self) -> int:
        """Channels of queries, keys and values."""
        return self.heads * self.head_size


def kept_layers(depth: int, largest: int, keep: str) -> tuple[int, ...]:
    """Indices of the blocks that a network of ``depth`` keeps of ``largest``, ascending.

    ``first``: the first ones. ``spread``: block ``floor((largest - 1) * j / (depth - 1))`` for each ``j``, so that the
    first and the last are kept (as in POA).
    """
    if keep == "first" or depth == 1:
        return tuple(range(depth))
    return tuple((largest - 1) * j // (depth - 1) for j in range(depth))


def norm_layer(name: str, width: int, tokens: int, held: int = 0) -> LayerSpec:
    """A LayerNorm over ``width`` channels of each token."""
    return LayerSpec(name, "layer_norm", width, width, tokens, tokens, held=held)


def linear_layer(
    name: str,
    entering: int,
    leaving: int,
    tokens: int,
    held: int = 0,
    *,
    activation: str | None = None,
    shared: bool = False,
    bias: bool = True,
) -> LayerSpec:
    """A fully connected layer on each token."""
    return LayerSpec(
        name,
        "linear",
        entering,
        leaving,
        tokens,
        tokens,
        bias=bias,
        activation=activation,
        held=held,
        shared=shared,
    )


def embedding_layer(name: str, rows: int, width: int, tokens: int) -> LayerSpec:
    """A table of ``rows`` vectors, of which one is read for each token."""
    return LayerSpec(name, "embedding", 1, width, tokens, tokens, rows=rows)


def block_layers(
    name: str, plan: TransformerBlockPlan, tokens: int, activation: str, norm_first: bool
) -> tuple[LayerSpec, ...]:
    """The rows of a block for one example of ``tokens`` tokens, in order of execution.

    ``held`` counts what else is alive: the input of the block for the residual, and queries and keys until the
    attention reads them. A LayerNorm stands before each half (``norm_first``) or after its sum.
    """
    width, inner = plan.width, plan.inner
    stream, parts = width * tokens, inner * tokens
    # Where the norm comes after the sum, the halves read the stream itself, which is counted as their input.
    held = stream if norm_first else 0
    attention = [
        linear_layer(f"{name}.attention.query", width, inner, tokens, held),
        linear_layer(f"{name}.attention.key", width, inner, tokens, held + parts),
        linear_layer(f"{name}.attention.value", width, inner, tokens, held + 2 * parts),
        LayerSpec(
            f"{name}.attention.attend",
            "attention",
            3 * inner,
            inner,
            tokens,
            tokens,
            held=stream,
            heads=plan.heads,
        ),
        linear_layer(f"{name}.attention.output", inner, width, tokens, stream),
    ]
    feed_forward = [
        linear_layer(f"{name}.feed_forward.up", width, plan.ffn, tokens, held, activation=activation),
        linear_layer(f"{name}.feed_forward.down", plan.ffn, width, tokens, stream),
    ]
    rows: list[LayerSpec] = []
    for half, layers in (("attention", attention), ("feed_forward", feed_forward)):
        total = LayerSpec(f"{name}.{half}.add", "add", width, width, tokens, tokens, held=stream)
        norm = norm_layer(f"{name}.{half}_norm", width, tokens)
        rows += [norm, *layers, total] if norm_first else [*layers, total, norm]
    return tuple(rows)
