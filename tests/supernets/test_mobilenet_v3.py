"""The layout of the released once-for-all checkpoints, by its published counts and rules."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from supernets.elastic.layers.conv import ElasticDepthwise
from supernets.elastic.plain import pixel_conv
from supernets.errors import SpaceError
from supernets.families.mobilenet_v3 import MobileNetV3, MobileNetV3Config
from supernets.spaces.channels import make_divisible


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (1.0, [16, 16, 24, 40, 80, 112, 160, 960, 1280]),
        (1.2, [24, 24, 32, 48, 96, 136, 192, 1152, 1536]),
    ],
)
def test_widths_are_those_of_the_released_nets(width: float, expected: list[int]) -> None:
    config = MobileNetV3Config(base_width=width)
    assert [config.channels(base) for base in (16, 16, 24, 40, 80, 112, 160, 960, 1280)] == expected


def test_make_divisible_never_loses_more_than_a_tenth() -> None:
    for divisor in (4, 8):
        for value in range(1, 500):
            got = make_divisible(value, divisor)
            assert got % divisor == 0
            assert got >= 0.9 * value
            assert abs(got - value) <= divisor


def test_the_default_supernet_has_the_entries_and_parameters_of_the_released_one() -> None:
    with torch.device("meta"):
        net = MobileNetV3().build()
    state = net.state_dict()
    assert len(state) == 475
    assert sum(p.numel() for p in net.parameters()) == 7_678_880
    for name in (
        "first_conv.conv.weight",
        "blocks.0.conv.depth_conv.bn.running_mean",
        "blocks.1.conv.inverted_bottleneck.conv.conv.weight",
        "blocks.5.conv.depth_conv.se.fc.reduce.bias",
        "blocks.20.conv.point_linear.bn.bn.num_batches_tracked",
        "final_expand_layer.bn.weight",
        "feature_mix_layer.conv.weight",
        "classifier.linear.bias",
    ):
        assert name in state
    assert state["blocks.1.conv.depth_conv.conv.7to5_matrix"].shape == (25, 25)
    assert state["blocks.1.conv.depth_conv.conv.5to3_matrix"].shape == (9, 9)
    assert MobileNetV3().space().d == 46


def test_a_fresh_smaller_kernel_is_the_centre_crop() -> None:
    torch.manual_seed(0)
    layer = ElasticDepthwise(6, (3, 5, 7), stride=2)
    x = torch.randn(2, 4, 9, 9)
    for kernel, edge in ((7, 0), (5, 1), (3, 2)):
        weight = layer.conv.weight[:4, :, edge : 7 - edge, edge : 7 - edge]
        expected = F.conv2d(x, weight, stride=2, padding=kernel // 2, groups=4)
        assert torch.equal(layer(x, kernel), expected)


def test_kernel_three_comes_from_the_transformed_five() -> None:
    torch.manual_seed(0)
    layer = ElasticDepthwise(3, (3, 5, 7), stride=1)
    big, small = getattr(layer, "7to5_matrix"), getattr(layer, "5to3_matrix")
    torch.nn.init.normal_(big)
    torch.nn.init.normal_(small)
    five = (layer.conv.weight[:, :, 1:6, 1:6].reshape(3, 25) @ big.T).view(3, 1, 5, 5)
    three = (five[:, :, 1:4, 1:4].reshape(3, 9) @ small.T).view(3, 1, 3, 3)
    assert torch.allclose(layer.weight(3, 5), five)
    assert torch.allclose(layer.weight(3, 3), three)


@pytest.mark.parametrize(
    "changes",
    [
        {"kernels": [4]},
        {"depths": [2, 1]},
        {"resolutions": []},
        {"stages": []},
        {"stages": [{"width": 8}]},
        {"x": 1},
    ],
)
def test_bad_configurations_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(SpaceError):
        MobileNetV3.from_config(changes)


def test_single_pixels_are_convolved_to_the_last_bit_in_a_training() -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(*shape, generator=generator) for shape in ((8, 24, 1, 1), (12, 24, 1, 1), (12,))
    )
    convolved = torch.nn.functional.conv2d(x, weight, bias)
    assert torch.equal(pixel_conv(x, weight, bias), convolved)
    with torch.inference_mode():
        torch.testing.assert_close(pixel_conv(x, weight, bias), convolved, rtol=0, atol=1e-5)
