"""Random networks of residual, concatenating, grouped and split layers, against networks with masks."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from supernets.convert.check import Checker
from supernets.convert.export import graph_of
from supernets.convert.program import export_program
from supernets.traced.follow import Follower
from supernets.traced.groups import find
from supernets.traced.operators import RULES

PARTS = ("conv", "residual", "concat", "grouped", "depthwise", "split", "gate", "norm", "again", "shuffle")


class Random(nn.Module):
    """A chain of parts; widths are multiples of four."""

    def __init__(self, parts: list[tuple[str, int]]) -> None:
        super().__init__()
        self.parts, self.layers, width = [name for name, _ in parts], nn.ModuleList(), 8
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        for name, size in parts:
            out = 4 * size
            if name == "conv":
                self.layers.append(nn.Sequential(nn.Conv2d(width, out, 1), nn.BatchNorm2d(out), nn.ReLU()))
            elif name == "residual":
                self.layers.append(
                    nn.Sequential(nn.Conv2d(width, out, 1), nn.SiLU(), nn.Conv2d(out, width, 3, padding=1))
                )
            elif name == "concat":
                self.layers.append(nn.Conv2d(width, out, 1))
            elif name == "grouped":
                self.layers.append(nn.Conv2d(width, out, 3, padding=1, groups=4))
            elif name == "depthwise":
                self.layers.append(nn.Conv2d(width, width, 3, padding=1, groups=width))
            elif name == "norm":
                self.layers.append(nn.GroupNorm(4, width))
            elif name == "again":
                self.layers.append(nn.Conv2d(width, width, 1))
            else:
                self.layers.append(nn.Identity())
            width = self.width(name, width, out)
        self.head = nn.Linear(width, 3)

    @staticmethod
    def width(name: str, width: int, out: int) -> int:
        if name in ("conv", "grouped"):
            return out
        return width + out if name == "concat" else width // 2 if name == "gate" and width % 8 == 0 else width

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for name, layer in zip(self.parts, self.layers, strict=True):
            n, c, h, w = x.shape
            if name == "residual":
                x = x + layer(x)
            elif name == "concat":
                x = torch.cat([torch.tanh(layer(x)), x], 1)
            elif name == "split":
                a, b = x.chunk(2, 1)
                x = torch.cat([b, torch.sigmoid(a)], 1)
            elif name == "gate" and c % 8 == 0:
                a, b = x.chunk(2, 1)
                x = a * torch.sigmoid(b)
            elif name == "again":
                x = layer(torch.relu(layer(x)))
            elif name == "shuffle":
                x = x.view(n, 4, c // 4, h, w).transpose(1, 2).reshape(n, c, h, w)
            else:
                x = layer(x)
        return self.head(x.mean((2, 3)))


@settings(max_examples=25, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from(PARTS), st.integers(1, 4)), min_size=1, max_size=6),
    st.integers(0, 2**31 - 1),
)
def test_removing_equals_zeroing_for_any_choice_of_units(parts: list[tuple[str, int]], seed: int) -> None:
    torch.manual_seed(seed)
    net = Random(parts).eval()
    x = torch.randn(2, 3, 4, 4)
    traced = graph_of(export_program(net, (x,)))
    groups = find(traced.graph, Follower(traced.graph, RULES).follow())
    weights = {weight.name: traced.tensors[weight.key] for weight in traced.graph.weights}
    checker = Checker(groups, weights, [x])
    rng = torch.Generator().manual_seed(seed)
    for _ in range(3):
        chosen = {}
        for index, group in enumerate(groups.groups):
            n = len(group.units)
            stay = int(torch.randint(1, n + 1, (1,), generator=rng))
            chosen[index] = torch.randperm(n, generator=rng)[:stay].sort().values.numpy()
        assert checker.error(checker.kept(chosen)) <= 1e-9
