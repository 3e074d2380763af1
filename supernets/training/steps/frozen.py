"""Weights that a training leaves as they are."""

from __future__ import annotations

from torch import nn

from supernets.errors import RecipeError


def freeze(net: nn.Module, beginnings: tuple[str, ...]) -> None:
    """No gradients for the weights whose names begin so, and no place in the optimizer.

    Raises:
        RecipeError: a beginning that no weight has, or nothing left to train.
    """
    names = [name for name, _ in net.named_parameters()]
    for beginning in beginnings:
        if not any(name.startswith(beginning) for name in names):
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
            raise RecipeError(
                f"frozen must name weights of the network by the beginnings of their names ({parts}), got {beginning!r}"
            )
    for name, parameter in net.named_parameters():
        if name.startswith(beginnings):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise RecipeError(f"frozen must leave weights to train, got {list(beginnings)}")
