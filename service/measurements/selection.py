"""Which subnets a request means."""

from __future__ import annotations

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


def choose(family: Family, selection: Selection, *, for_latency: bool) -> Population:
    """The population ``(n, d)`` that a checked selection means: its archs, or a spread with both ends."""
    from predictors.acquire import spread_sample
    from predictors.latency.features import features_of

    space = family.space()
    if selection.archs is not None:
        population = space.encode(space.arch(arch) for arch in selection.archs)
        _, first = np.unique(population, axis=0, return_index=True)
        return population[np.sort(first)]
    assert selection.count is not None
    if selection.count == 1:
        return space.encode([space.max()])
    features = features_of(family).standardised if for_latency else None
    return spread_sample(family, selection.count, np.random.default_rng(selection.seed), features=features)
