"""Initial weights."""

from __future__ import annotations

import math

from torch import nn


def initialise(net: nn.Module, norm_eps: float) -> None:
    """He initialisation by fan-out (He et al., 2015), small normal classifiers, and BatchNorms with ``norm_eps``."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0, math.sqrt(2.0 / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.eps = norm_eps
