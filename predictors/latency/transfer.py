"""Few-shot transfer: a new device from 5-20 measurements and source devices on the same space.

See :mod:`predictors.latency.source_devices` for the features and :mod:`predictors.latency.few_shot` for the
model. Learning across devices follows HELP (Lee et al., 2021), and diverse samples follow NASFLAT (Akhauri
& Abdelfattah, 2024). Here both are closed-form Bayesian models: a fit takes milliseconds and has an
interval that is calibrated on the source devices.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from predictors.arrays import Array, Arrays, stored
from predictors.errors import NotFittedError
from predictors.latency.few_shot import DOF, FewShot, Prior
from predictors.latency.source_devices import SourceDevice, SourceDevices
from predictors.predictor import Predictor, Values, load
from predictors.scope import Scope
from supernets.families.family import Family
from supernets.spaces.space import Population


class FewShotTransfer(Predictor):
    """See the module docstring. ``known`` are predictors of source devices, ideally fitted to hundreds of rows each.

    Needs 5 rows, ideally selected by :meth:`choose`. Without source devices it is a Bayesian linear model on
    encoding and layers. The interval is Student's, with a factor calibrated on the source devices.
    """

    name = "transfer"
    fewest_rows = 5
    most_rows = 2_000
    uses_sources = True

    def __init__(
        self,
        family: Family,
        scope: Scope,
        seed: int = 0,
        known: Sequence[Predictor] | SourceDevices = (),
    ) -> None:
        super().__init__(family, scope, seed)
        if not isinstance(known, SourceDevices):
            known = SourceDevices(family, [SourceDevice(predictor) for predictor in known])
        self.known = known
        self._model: FewShot | None = None

    def choose(self, n: int, pool: Population, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows of ``pool (m, d)`` to measure first; see :meth:`SourceDevices.choose`."""
        return self.known.choose(n, pool, rng)

    def fresh(self) -> Self:
        """An unfitted predictor with the same source devices."""
        return type(self)(self.family, self.scope, self.seed, self.known)

    def fit(self, archs: Population, y: Values, errors: Values | None = None) -> None:
        """See :meth:`Predictor.fit`; the interval is calibrated on the source devices if there are at least two."""
        super().fit(archs, y, errors)
        assert self._model is not None
        if len(self.known.targets) >= 2:
            self._dof = DOF
            self._scale = self.known.scale(self.rows)

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        self._model = FewShot(self.known.basis(archs), y, self.known.prior)
        return self._model.left_out, len(y) / 2

    def _answer(self, archs: Population) -> tuple[Values, Values]:
        if self._model is None:
            raise NotFittedError(f"{self.name} must be fitted before it predicts, got no rows yet")
        return self._model(self.known.basis(np.ascontiguousarray(archs)))

    def _state(self) -> Mapping[str, Array]:
        kin = json.dumps([target.kin for target in self.known.targets]).encode()
        state: dict[str, Array] = {
            "prior": self.known.prior.as_array(),
            "kin": stored(kin),
        }
        for index, target in enumerate(self.known.targets):
            state[f"known{index}"] = stored(target.predictor.dump())
        return state

    def _restore(self, state: Arrays) -> None:
        assert self._archs is not None
        kin: list[str] = json.loads(state.content("kin"))
        files = [state.content(f"known{index}") for index in range(len(kin))]
        targets = [SourceDevice(load(file, self.family), k) for file, k in zip(files, kin, strict=True)]
        self.known = SourceDevices(self.family, targets, Prior.from_array(state.floats("prior")))
        self._model = FewShot(self.known.basis(self._archs), self._y, self.known.prior)
