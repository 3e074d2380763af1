"""BatchNorm statistics of a subnet, computed without touching the supernet."""

from __future__ import annotations

import torch
from torch import Tensor

from supernets.elastic.active import ElasticModel, use
from supernets.elastic.norm import BNStats, CollectStats
from supernets.errors import DataError
from supernets.spaces.space import Arch

BATCH_SIZE = 256


def recalibrate(net: ElasticModel, arch: Arch, images: Tensor, batch_size: int = BATCH_SIZE) -> BNStats:
    """Statistics of every BatchNorm of ``arch`` over ``images`` ``(n, c, h, w)``, prepared for that arch.

    ``images`` are cut into equal batches of at least ``batch_size``.
    Pure: nothing is written into ``net``. Batch means and biased variances are averaged, weighted by
    batch size, while the batch's own statistics normalise (once-for-all, Cai et al., 2020). The same
    weights, arch, images and batch size give the same statistics, bit for bit.
    """
    if len(images) < 2:
        raise DataError(f"recalibration needs at least 2 images, got {len(images)}")
    collect = CollectStats()
    was_training = net.training
    net.eval()
    try:
        with torch.inference_mode(), use(net, arch, norm=collect):
            # Equal shares, never a last batch of one image: it would have no variance at 1 x 1 pixels.
            for batch in images.tensor_split(max(1, len(images) // batch_size)):
                net(batch)
    finally:
        net.train(was_training)
    return collect.stats(arch)
