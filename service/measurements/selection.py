"""Which subnets a request means."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.errors import InvalidError
from service.measurements.schemas import Selection
from supernets.errors import ArchError
from supernets.families.family import Family
from supernets.spaces.space import Population, Space


def check_archs(space: Space, selection: Selection) -> None:
    """Refuse archs outside the space, and more subnets than there are."""
    for index, arch in enumerate(selection.archs or []):
        try:
            space.arch(arch)
        except ArchError as error:
            raise InvalidError(
                f"archs.{index}", arch, "an arch of the supernet's space", str(error)
            ) from error
    if selection.count is not None and selection.count > space.size():
        raise InvalidError("count", selection.count, f"at most {space.size()}, the size of the space")


def choose(family: Family, params: dict[str, Any], *, for_latency: bool) -> Population:
    """The population ``(n, d)`` that checked parameters mean: given archs, or a spread with both ends."""
    from predictors.acquire import spread_sample
    from predictors.latency.features import LayerFeatures

    space = family.space()
    if params["archs"] is not None:
        population = space.encode(space.arch(arch) for arch in params["archs"])
        _, first = np.unique(population, axis=0, return_index=True)
        return population[np.sort(first)]
    if params["count"] == 1:
        return space.encode([space.max()])
    features = LayerFeatures(family).standardised if for_latency else None
    return spread_sample(family, params["count"], np.random.default_rng(params["seed"]), features=features)
