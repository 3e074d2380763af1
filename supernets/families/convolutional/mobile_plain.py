"""A subnet of inverted bottlenecks as a plain network: nothing elastic, ready to export."""

from __future__ import annotations

from torch import Tensor, nn


class PlainMobileNet(nn.Module):
    """Stem, blocks, head and classifier, in order.

    ``head`` holds, in order of execution, ``final_expand_layer`` (where there is one), ``pool`` and
    ``feature_mix_layer``.
    """

    def __init__(
        self,
        first_conv: nn.Module,
        blocks: list[nn.Module],
        head: dict[str, nn.Module],
        classifier: nn.Linear,
    ) -> None:
        super().__init__()
        self.first_conv = first_conv
        self.blocks = nn.Sequential(*blocks)
        self._head = tuple(head)
        for name, module in head.items():
            self.add_module(name, module)
        self.classifier = nn.Sequential()
        self.classifier.add_module("linear", classifier)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, classes)`` for images ``(n, c, h, w)``."""
        x = self.blocks(self.first_conv(x))
        for name in self._head:
            x = getattr(self, name)(x)
        logits: Tensor = self.classifier(x.flatten(1))
        return logits
