"""An ensemble of small networks: quality from hundreds of evaluated subnets, in time linear in their number.

Each member is an MLP with a parallel linear path, on encoding and sizes, trained on four fifths of the rows. Its
predictions for the other fifth calibrate the interval, so no additional fits are needed. The spread of the members
estimates the model uncertainty (Lakshminarayanan et al., 2017, "Simple and scalable predictive uncertainty estimation
using deep ensembles"), and their error on held-out rows the remaining uncertainty.

All members are trained together as batched matrix products in NumPy. At this size this is as fast as a framework,
and a saved file contains plain arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictors.arrays import Array, Arrays
from predictors.predictor import Predictor, Values
from predictors.quality.inputs import QualityInputs
from predictors.scope import Scope
from supernets.families.family import Family
from supernets.spaces.space import Population

FOLDS, MEMBERS_A_FOLD = 5, 2
MEMBERS = FOLDS * MEMBERS_A_FOLD
HIDDEN = 32
STEPS, BATCH = 600, 256
LEARNING_RATE, DECAY = 0.01, 0.02
MOMENTS = 0.9, 0.999
TINY = 1e-12
LEAST_NOISE = 1e-3  # relative to the spread of the values: rows are never exact


class Members(NamedTuple):
    """The weights of all members, or their gradients or moments; the names and their order are those of a saved file.

    ``first (members, k, hidden)``, ``second (members, hidden, hidden)``, ``last (members, hidden, 1)``, and the
    parallel linear path ``linear (members, k, 1)``.
    """

    first: NDArray[np.float64]
    first_bias: NDArray[np.float64]
    second: NDArray[np.float64]
    second_bias: NDArray[np.float64]
    last: NDArray[np.float64]
    linear: NDArray[np.float64]
    last_bias: NDArray[np.float64]


class MlpEnsemble(Predictor):
    """See the module docstring. Needs 10 rows, useful from a few hundred."""

    name = "mlp_ensemble"
    fewest_rows = 10
    suits = ("evaluated",)

    def __init__(self, family: Family, scope: Scope, seed: int = 0) -> None:
        super().__init__(family, scope, seed)
        self._inputs = QualityInputs(family)
        self._members: Members | None = None
        self._offset, self._unit, self._noise = 0.0, 1.0, 1.0

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        self._offset, self._unit = float(y.mean()), max(float(y.std()), TINY)
        inputs, target = self._inputs(archs), (y - self._offset) / self._unit
        fold = np.random.default_rng(self.seed).permutation(len(y)) % min(FOLDS, len(y))
        seen = np.stack([fold != member % FOLDS for member in range(MEMBERS)])
        self._members = train(inputs, target, seen, self.seed)
        outputs = answer(self._members, inputs)
        held = ~seen
        count = held.sum(axis=0)
        mean = (outputs * held).sum(axis=0) / count
        spread = (np.square(outputs - mean) * held).sum(axis=0) / np.maximum(count - 1, 1)
        errors = target - mean
        # The held-out error of members consists of their spread and the noise; subtracting the spread gives the noise.
        left = float(np.square(errors).mean() - spread.mean())
        self._noise = max(left, LEAST_NOISE**2, 0.25 * float(np.square(errors).mean()))
        # With few rows, members may memorise theirs; the effective number of parameters is about half the rows.
        return errors / np.sqrt(spread + self._noise), len(y) / 2

    def _answer(self, archs: Population) -> tuple[Values, Values]:
        assert self._members is not None
        outputs = answer(self._members, self._inputs(archs))
        mean = outputs.mean(axis=0)
        variance = outputs.var(axis=0, ddof=1) + self._noise
        return self._offset + self._unit * mean, self._unit * np.sqrt(variance)

    def _state(self) -> Mapping[str, Array]:
        assert self._members is not None
        return {**self._members._asdict(), "numbers": np.array([self._offset, self._unit, self._noise])}

    def _restore(self, state: Arrays) -> None:
        self._offset, self._unit, self._noise = state.numbers("numbers")
        self._members = Members(*(state.floats(name) for name in Members._fields))


def started(width: int, rng: np.random.Generator) -> Members:
    """Weights before training: each layer keeps the variance of its input, and the outputs are 0."""

    def drawn(inputs: int, outputs: int) -> NDArray[np.float64]:
        return np.asarray(rng.standard_normal((MEMBERS, inputs, outputs)) / np.sqrt(inputs))

    return Members(
        first=drawn(width, HIDDEN),
        first_bias=np.zeros((MEMBERS, 1, HIDDEN)),
        second=drawn(HIDDEN, HIDDEN),
        second_bias=np.zeros((MEMBERS, 1, HIDDEN)),
        last=np.zeros((MEMBERS, HIDDEN, 1)),
        linear=np.zeros((MEMBERS, width, 1)),
        last_bias=np.zeros((MEMBERS, 1, 1)),
    )


def answer(members: Members, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Output of each member ``(members, n)`` for shared inputs ``(n, k)`` or separate inputs ``(members, n, k)``."""
    return _forward(members, inputs)[0]


def _forward(
    members: Members, inputs: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    first = np.tanh(inputs @ members.first + members.first_bias)
    second = np.tanh(first @ members.second + members.second_bias)
    output = second @ members.last + inputs @ members.linear + members.last_bias
    return np.asarray(output[..., 0]), first, second


def train(inputs: NDArray[np.float64], target: Values, seen: NDArray[np.bool_], seed: int) -> Members:
    """Members trained on the rows of their mask ``seen (members, n)``, with AdamW on the mean squared error.

    Takes ``STEPS`` steps on batches of at most ``BATCH`` rows, with a cosine learning rate schedule down to 0.
    """
    rng = np.random.default_rng((seed, 1))
    members = started(inputs.shape[1], rng)
    first_moment, second_moment = (Members(*map(np.zeros_like, members)) for _ in range(2))
    decays = [0.0 if name.endswith("bias") else DECAY for name in Members._fields]
    rows = [np.flatnonzero(mask) for mask in seen]
    batch = min(BATCH, min(len(each) for each in rows))
    for step in range(1, STEPS + 1):
        picked = np.stack([rng.permutation(each)[:batch] for each in rows])
        gradients = _gradients(members, inputs[picked], target[picked])
        rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * step / STEPS))
        for weight, gradient, first, second, decay in zip(
            members, gradients, first_moment, second_moment, decays, strict=True
        ):
            first += (1 - MOMENTS[0]) * (gradient - first)  # in place, like the two below
            second += (1 - MOMENTS[1]) * (np.square(gradient) - second)
            mean, square = first / (1 - MOMENTS[0] ** step), second / (1 - MOMENTS[1] ** step)
            weight -= rate * (mean / (np.sqrt(square) + 1e-8) + decay * weight)
    return members


def _gradients(members: Members, inputs: NDArray[np.float64], target: NDArray[np.float64]) -> Members:
    """Gradients of the mean squared error of each member on its own batch: inputs ``(members, n, k)``."""
    output, first, second = _forward(members, inputs)
    error = ((output - target) * (2 / target.shape[1]))[..., None]
    back = error @ members.last.transpose(0, 2, 1) * (1 - np.square(second))
    further = back @ members.second.transpose(0, 2, 1) * (1 - np.square(first))
    return Members(
        first=inputs.transpose(0, 2, 1) @ further,
        first_bias=further.sum(axis=1, keepdims=True),
        second=first.transpose(0, 2, 1) @ back,
        second_bias=back.sum(axis=1, keepdims=True),
        last=second.transpose(0, 2, 1) @ error,
        linear=inputs.transpose(0, 2, 1) @ error,
        last_bias=error.sum(axis=1, keepdims=True),
    )
