"""extract = use, and costs = the extracted network, over generated configurations and archs."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from supernets.elastic.active import use
from supernets.elastic.recalibrate import recalibrate
from supernets.extract import extract
from supernets.spaces.cost import costs
from tests.small import image_shape, small_family


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([[1.0], [0.5, 1.0]]),
    st.sampled_from([[3], [3, 5], [3, 5, 7]]),
    st.sampled_from([[2], [1, 2], [1, 3]]),
    st.sampled_from([[8], [8, 12, 15]]),
    st.integers(0, 2**32 - 1),
)
def test_extract_equals_use(widths: list, kernels: list, depths: list, resolutions: list, seed: int) -> None:
    family = small_family(widths=widths, kernels=kernels, depths=depths, resolutions=resolutions)
    torch.manual_seed(seed)
    net = family.build().eval()
    for norm in net.norms().values():
        torch.nn.init.uniform_(norm.weight, 0.2, 2.0)
    for name, parameter in net.named_parameters():
        if name.endswith("_matrix"):
            torch.nn.init.normal_(parameter)
    space = family.space()
    for arch in space.decode(space.sample(np.random.default_rng(seed), 2)):
        x = torch.randn(5, *image_shape(family, arch))
        stats = recalibrate(net, arch, (x,), batch_size=2)
        plain = extract(net, arch, stats)
        with torch.no_grad(), use(net, arch, stats):
            expected, got = net(x), plain(x)
        assert (got - expected).abs().max() / max(1, expected.abs().max()) <= 1e-5
        assert costs(family.layers(arch))["params"] == sum(p.numel() for p in plain.parameters())
