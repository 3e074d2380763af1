"""BatchNorm statistics of a subnet, computed without touching the supernet."""

from __future__ import annotations

import torch

from supernets.elastic.active import ElasticModel, Inputs, use
from supernets.elastic.norm import BNStats, CollectStats
from supernets.errors import DataError
from supernets.spaces.space import Arch

BATCH_SIZE = 256


def recalibrate(net: ElasticModel, arch: Arch, inputs: Inputs, batch_size: int = BATCH_SIZE) -> BNStats:
    """Statistics of every BatchNorm of ``arch`` over ``n`` examples, prepared for that arch.

    The examples are divided into equal batches of at least ``batch_size``. Nothing is written into ``net``.
    Batch means and biased variances are averaged, weighted by batch size, while the batch's own statistics
    normalise (once-for-all, Cai et al., 2020). The same weights, arch, examples and batch size give the same
    statistics, bit for bit. A network without BatchNorm has none, and does not run.
    """
    if not net.norms():
        return BNStats(arch.id, {})
    n = len(inputs[0])
    if n < 2:
        raise DataError(f"recalibration needs at least 2 examples, got {n}")
    collect = CollectStats(overwrite=net.norms_may_overwrite)
    was_training = net.training
    net.eval()
    try:
        with torch.inference_mode(), use(net, arch, norm=collect):
            # Equal shares, never a last batch of one example: it would have no variance at 1 x 1 pixels.
            parts = (each.tensor_split(max(1, n // batch_size)) for each in inputs)
            for batch in zip(*parts, strict=True):
                net(*batch)
    finally:
        net.train(was_training)
    return collect.stats(arch)
