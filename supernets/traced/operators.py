"""All operators that a graph may hold, with the rule of each. No torch.

A name that is not here is refused before anything runs: a graph can call nothing else.
"""

from __future__ import annotations

from supernets.traced.follow import Rule, Step
from supernets.traced.rules import contract, norm, pointwise, shape

NAMESPACES = ("aten", "builtin")
"""``builtin``: arithmetic of sizes, and taking one of several results."""
SIZES = "add sub mul floordiv neg mod eq ne lt le gt ge min max sym_float int truediv pow not".split()
OPAQUE = (
    "sort topk argsort gather scatter scatter_add index_put lstm gru rnn_tanh rnn_relu cdist bucketize searchsorted "
    "one_hot unfold im2col col2im diagonal diag_embed tril triu trace outer cross kron cosine_similarity "
    "pairwise_distance avg_pool3d_ local_response_norm embedding_bag complex real imag view_as_real view_as_complex "
    "fft_fft fft_ifft fft_rfft fft_irfft fft_rfft2 fft_irfft2 _fft_r2c _fft_c2r _fft_c2c logcumsumexp cummax cummin "
    "unfold_copy as_strided affine_grid_generator rot90 meshgrid take_along_dim masked_select_ dist renorm "
    "slice_scatter select_scatter copy fill tensor_split roll_ "
    "unsafe_split svd_ inverse linalg_inv_ex linalg_cross"
).split()
"""Operators that run, and whose channels stay."""


def _opaque(_step: Step) -> None:
    return None


RULES: dict[str, Rule] = {
    **dict.fromkeys((name for name in OPAQUE if not name.endswith("_")), _opaque),
    **pointwise.RULES,
    **contract.RULES,
    **shape.RULES,
    **norm.RULES,
}


def known(op: str) -> bool:
    """Whether a graph may hold this operator."""
    parts = op.split(".")
    if len(parts) < 2 or parts[0] not in NAMESPACES:
        return False
    if parts[0] == "builtin":
        return len(parts) == 2 and parts[1] in (*SIZES, "getitem")
    return parts[1] in RULES
