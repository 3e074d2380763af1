"""Random attention, heads and the places within them removed at random, against the network itself with zeros."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from supernets.convert.check import relative
from supernets.convert.export import TracedGraph, graph_of
from supernets.convert.program import export_program
from supernets.traced.counts import Counts
from supernets.traced.cut import Cut, Cutter
from supernets.traced.follow import PLACES, Follower
from supernets.traced.groups import Groups, find
from supernets.traced.operators import RULES
from supernets.traced.run import Program

WIDTH, TOKENS = 8, 5
LAYOUTS = ("separate", "split", "parts", "within")
CORES = ("fused", "softmax", "einsum")
MASKS = ("none", "causal", "padding", "bias")
EXTRAS = ("none", "norm", "mean_square", "halves", "neighbours", "grouped", "one_key", "temperature")


@dataclass(frozen=True)
class Form:
    """How attention is written. Values have ``values`` channels a head where the layout has room for it."""

    heads: int
    size: int
    values: int
    layout: str
    core: str
    mask: str
    extra: str
    bias: bool
    normed: bool


class Attention(nn.Module):
    """One block of attention in many forms."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        h, d = form.heads, form.size
        own = form.layout in ("separate", "split")
        kv = 1 if form.extra == "one_key" else h // 2 if form.extra == "grouped" and h % 2 == 0 else h
        if not own:
            kv = h
        self.form, self.v, self.kv = form, form.values if own else d, kv
        self.sizes = [h * d, kv * d, kv * self.v]
        if form.layout == "separate":
            self.q, self.k, self.val = (nn.Linear(WIDTH, size, form.bias) for size in self.sizes)
        else:
            self.qkv = nn.Linear(WIDTH, sum(self.sizes), form.bias)
        self.out = nn.Linear(h * self.v, WIDTH, form.bias)
        if form.normed:
            self.before = nn.LayerNorm(WIDTH)
        if form.extra == "norm":
            self.qn, self.kn = nn.LayerNorm(d), nn.LayerNorm(d)
        if form.extra == "mean_square":
            self.scale = nn.Parameter(torch.ones(d))
        if form.extra == "temperature":
            self.heat = nn.Parameter(torch.ones(h, 1, 1))
        if form.mask == "bias":
            self.table = nn.Parameter(torch.zeros(1, h, TOKENS, TOKENS))
        angles = torch.outer(torch.arange(TOKENS).float(), 10.0 ** -torch.arange((d + 1) // 2))
        repeated = angles.repeat(1, 2) if form.extra == "halves" else angles.repeat_interleave(2, 1)
        self.register_buffer("cos", repeated[:, :d].cos())
        self.register_buffer("sin", repeated[:, :d].sin())
        self.head = nn.Linear(WIDTH, 3)

    def projected(self, x: Tensor) -> list[Tensor]:
        """Queries, keys and values ``(n, heads, tokens, size)``."""
        n, t, _ = x.shape
        form, h, d = self.form, self.form.heads, self.form.size
        if form.layout == "parts":
            return list(self.qkv(x).view(n, t, 3, h, d).permute(2, 0, 3, 1, 4).unbind(0))
        if form.layout == "within":
            return [each.transpose(1, 2) for each in self.qkv(x).view(n, t, h, 3 * d).chunk(3, -1)]
        if form.layout == "separate":
            flat = [self.q(x), self.k(x), self.val(x)]
        else:
            flat = list(self.qkv(x).split(self.sizes, -1))
        parts = zip(flat, (h, self.kv, self.kv), (d, d, self.v), strict=True)
        return [each.view(n, t, count, size).transpose(1, 2) for each, count, size in parts]

    def turned(self, x: Tensor) -> Tensor:
        """Rotary positions."""
        d = x.shape[-1]
        if self.form.extra == "halves":
            other = torch.cat([-x[..., d // 2 :], x[..., : d // 2]], -1)
        else:
            other = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
        return x * self.cos + other * self.sin

    def changed(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys after norms or rotary positions."""
        extra = self.form.extra
        if extra == "norm":
            return self.qn(q), self.kn(k)
        if extra == "mean_square":
            return tuple(each * (each.pow(2).mean(-1, True) + 1e-6).rsqrt() * self.scale for each in (q, k))
        if extra in ("halves", "neighbours") and self.form.size % 2 == 0:
            return self.turned(q), self.turned(k)
        return q, k

    def masked(self, x: Tensor) -> Tensor | None:
        """Added to the scores."""
        if self.form.mask == "causal":
            return torch.full((TOKENS, TOKENS), -1e9).triu(1)
        if self.form.mask == "padding":
            return torch.where(x[:, None, None, :, 0] > 1, -1e9, 0.0)
        return self.table if self.form.mask == "bias" else None

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        q, k, v = self.projected(self.before(x) if self.form.normed else x)
        q, k = self.changed(q, k)
        if 1 < self.kv < self.form.heads:
            k, v = (each.repeat_interleave(self.form.heads // self.kv, 1) for each in (k, v))
        elif self.kv < self.form.heads:
            k, v = (each.expand(-1, self.form.heads, -1, -1) for each in (k, v))
        if self.form.extra == "temperature":
            q = q * self.heat
        mask = self.masked(x)
        if self.form.core == "fused":
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            einsum = self.form.core == "einsum"
            scores = torch.einsum("nhid,nhjd->nhij", q, k) if einsum else q @ k.transpose(-2, -1)
            scores = scores / math.sqrt(q.shape[-1])
            weights = (scores if mask is None else scores + mask).softmax(-1)
            y = torch.einsum("nhij,nhjd->nhid", weights, v) if einsum else weights @ v
        return self.head((x + self.out(y.transpose(1, 2).reshape(n, t, -1))).mean(1))


forms = st.builds(
    Form,
    st.integers(1, 4),
    st.integers(2, 6),
    st.integers(2, 6),
    st.sampled_from(LAYOUTS),
    st.sampled_from(CORES),
    st.sampled_from(MASKS),
    st.sampled_from(EXTRAS),
    st.booleans(),
    st.booleans(),
)


def network(form: Form, seed: int) -> Attention:
    torch.manual_seed(seed)
    net = Attention(form).eval().double()
    with torch.no_grad():
        for each in net.parameters():
            each.copy_(torch.randn_like(each) * 0.7 + 0.1)
    return net


def traced(net: Attention, x: Tensor) -> tuple[TracedGraph, Groups]:
    found = graph_of(export_program(net, (x,)))
    return found, find(found.graph, Follower(found.graph, RULES, decisions={PLACES: 1}).follow())


def smaller_output(found: TracedGraph, cut: Cut, x: Tensor) -> Tensor:
    weights = {}
    for weight in found.graph.weights:
        tensor = found.tensors[weight.key]
        for axis, index in enumerate(cut.indices[weight.name]):
            if index is not None:
                tensor = tensor.index_select(axis, torch.from_numpy(index))
        weights[weight.name] = tensor
    return Program(cut.graph)([x], weights, {})[cut.graph.quality]


def zeroed(net: Attention, found: TracedGraph, cut: Cut) -> Attention:
    """The network itself with zeros where the smaller one has no parameters."""
    masked = copy.deepcopy(net)
    parameters = dict(masked.named_parameters())
    with torch.no_grad():
        for weight in found.graph.weights:
            if weight.kind != "parameter":
                continue
            for axis, index in enumerate(cut.indices[weight.name]):
                if index is not None:
                    gone = np.setdiff1d(np.arange(parameters[weight.key].shape[axis]), index)
                    parameters[weight.key].index_fill_(axis, torch.from_numpy(gone), 0.0)
    return masked


@settings(max_examples=15, derandomize=True, deadline=None)
@given(forms, st.integers(0, 2**31 - 1))
@torch.no_grad()
def test_removing_heads_and_places_equals_zeros_in_the_network(form: Form, seed: int) -> None:
    net, x = network(form, seed), torch.randn(3, TOKENS, WIDTH, dtype=torch.float64)
    found, groups = traced(net, x)
    cutter, counts, rng = Cutter(groups), Counts(groups), np.random.default_rng(seed)
    for _ in range(3):
        kept = np.ones(groups.classes.n, dtype=bool)
        units = {}
        for index, group in enumerate(groups.groups):
            units[index] = int(rng.integers(1, len(group.units) + 1))
            kept[rng.permutation(group.units)[units[index] :]] = False
        cut = cutter.cut(kept)
        assert relative(smaller_output(found, cut, x), zeroed(net, found, cut)(x)) <= 1e-9
        for weight in cut.graph.weights:
            assert [amount.at(units) for amount in counts.sizes(weight.name)] == list(weight.shape)


@settings(max_examples=6, derandomize=True, deadline=None)
@given(forms.map(lambda form: replace(form, extra="none", normed=True)))
def test_heads_and_both_kinds_of_places_are_axes(form: Form) -> None:
    net = network(form, 0)
    _, groups = traced(net, torch.randn(2, TOKENS, WIDTH, dtype=torch.float64))
    sizes = sorted((len(group.units), group.parts > 1) for group in groups.groups)
    several = form.heads > 1
    if form.layout == "parts":  # queries, keys and values are one tensor, so that they have one width
        assert sizes == sorted([(form.size, True)] + [(form.heads, False)] * several)
        return
    fused = form.layout != "separate"  # queries and keys are rows of one weight
    wanted = [(form.size, several or fused), (net.v, several)] + [(form.heads, False)] * several
    assert sizes == sorted(wanted)
    kept = np.ones(groups.classes.n, dtype=bool)
    for group in groups.groups:
        kept[group.units[1:]] = False
    shapes = {weight.key: weight.shape for weight in Cutter(groups).cut(kept).graph.weights}
    assert shapes["out.weight"] == (WIDTH, 1)


def test_what_a_norm_or_turned_pairs_of_places_keep() -> None:
    base = Form(3, 4, 4, "separate", "fused", "none", "none", True, True)
    x = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64)
    found = {}
    for extra in ("none", "norm", "mean_square", "halves", "neighbours"):
        groups = traced(network(replace(base, extra=extra), 0), x)[1]
        found[extra] = sorted(len(group.units) for group in groups.groups)
    whole_queries = [3, 4]  # heads, and places of values
    assert found["none"] == found["mean_square"] == [3, 4, 4]
    assert found["norm"] == found["neighbours"] == whole_queries
    assert found["halves"] == [2, 3, 4]
