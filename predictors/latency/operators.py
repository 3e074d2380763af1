"""Latency as a sum over a lookup table of operators, in the format of once-for-all.

The table (YAML) names every operator by its shapes, ``expanded_conv-input:28x28x24-output:14x14x40-expand:96-kernel:5-
stride:2-idskip:0-se:1-hs:0`` for a block (``expand`` is its number of middle channels), and ``Conv``, ``Conv_1``,
``AvgPool2D``, ``Conv_2`` and ``Logits`` for stem and head, and gives ``mean`` (ms) and ``count`` of each (Cai et al.,
2020). A latency is the sum over a network's operators.

The table has no information about the error of the sum. With at least 5 measured networks, the sum is shifted and
scaled to fit them, and the interval is computed from the residuals. With fewer, the sum is used unchanged with a wide
interval.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Self

import numpy as np
from numpy.typing import NDArray

from predictors.arrays import Array, Arrays
from predictors.errors import FitError, PredictorFileError
from predictors.predictor import Predictor, Values
from predictors.scope import Scope
from supernets.families.family import Family
from supernets.json_types import JsonValue
from supernets.spaces.cost import SegmentTable
from supernets.spaces.layers import LayerSpec
from supernets.spaces.space import Population

MOST_BYTES, MOST_OPERATORS = 32 << 20, 500_000
LONGEST_MS = 1e6
SHOWN_MISSING = 5
HEAD = {"head.expand": "Conv_1", "head.pool": "AvgPool2D", "head.mix": "Conv_2"}
# Relative error of an uncalibrated sum: runtimes fuse and overlap operators, which the table does not include.
UNKNOWN_ERROR = 0.3
TINY = 1e-12


def operators_of(layers: Iterable[LayerSpec]) -> list[str]:
    """The names of a network's operators in a table; layers are those of a ``mobilenet_v3``.

    Raises:
        FitError: a layer that has no name in such tables.
    """
    names: list[str] = []
    for block, group in groupby(layers, key=lambda layer: layer.name.rsplit(".", 1)[0].removesuffix(".se")):
        rows = list(group)
        if block == "stem":
            names.append(f"Conv-{_shapes(rows[0])}")
        elif block == "head":
            names += [_head(row) for row in rows]
        else:
            names.append(_block(rows))
    return names


def _block(rows: list[LayerSpec]) -> str:
    depthwise = next((row for row in rows if row.kind == "depthwise"), None)
    if depthwise is None or rows[-1].kind not in ("conv", "add"):
        raise FitError(
            f"a table of operators must be for blocks of mobilenet_v3, got layers {[r.name for r in rows]}"
        )
    project = next(row for row in rows if row.name.endswith(".project"))
    details = {
        "expand": depthwise.in_channels,
        "kernel": depthwise.kernel,
        "stride": depthwise.stride,
        "idskip": int(any(row.kind == "add" for row in rows)),
        "se": int(any(".se." in row.name for row in rows)),
        "hs": int(depthwise.activation == "h_swish"),
    }
    shapes = f"input:{_shape(rows[0].in_positions, rows[0].in_channels)}"
    shapes += f"-output:{_shape(project.out_positions, project.out_channels)}"
    return "-".join(["expanded_conv", shapes, *(f"{name}:{value}" for name, value in details.items())])


def _head(row: LayerSpec) -> str:
    if row.name == "head.classifier":
        return f"Logits-input:{_shape(row.in_positions, row.in_channels)}-output:{row.out_channels}"
    if row.name not in HEAD:
        raise FitError(f"a table of operators must be for the head of mobilenet_v3, got layer {row.name!r}")
    return f"{HEAD[row.name]}-{_shapes(row)}"


def _shapes(row: LayerSpec) -> str:
    return f"input:{_shape(row.in_positions, row.in_channels)}-output:{_shape(row.out_positions, row.out_channels)}"


def _shape(positions: int, channels: int) -> str:
    side = math.isqrt(positions)
    return f"{side}x{side}x{channels}"


def read_operators(content: bytes) -> dict[str, float]:
    """Operator to mean latency in ms, of a YAML file.

    Raises:
        PredictorFileError: not such a table, too large, or operators without a valid mean (the first are listed).
    """
    import yaml

    if len(content) > MOST_BYTES:
        raise PredictorFileError(
            f"a table of operators may take at most {MOST_BYTES} bytes, got {len(content)}"
        )
    try:
        found = yaml.load(io.BytesIO(content), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise PredictorFileError(f"a table of operators must be YAML: {error}") from error
    if not isinstance(found, dict) or not 1 <= len(found) <= MOST_OPERATORS:
        got = f"{len(found)} operators" if isinstance(found, dict) else type(found).__name__
        raise PredictorFileError(
            f"a table of operators must hold 1 to {MOST_OPERATORS} operators by name, got {got}"
        )
    means = {name: _mean(entry) for name, entry in found.items() if isinstance(name, str)}
    usable = {name: mean for name, mean in means.items() if mean is not None}
    bad = [name for name in found if name not in usable]
    if bad:
        shown = ", ".join(f"{name!r}: {found[name]!r}"[:160] for name in bad[:SHOWN_MISSING])
        raise PredictorFileError(
            f"every operator must have a 'mean' above 0 and at most {LONGEST_MS:g} ms, {len(bad)} have not: {shown}"
        )
    return usable


def _mean(entry: JsonValue) -> float | None:
    """The mean of an operator in ms; None where there is none, or none that is possible."""
    mean = entry.get("mean") if isinstance(entry, Mapping) else None
    if not isinstance(mean, int | float) or isinstance(mean, bool):
        return None
    return float(mean) if 0 < mean <= LONGEST_MS else None


class OperatorTable(Predictor):
    """See the module docstring. ``operators`` are those of :func:`read_operators` and must cover the whole space."""

    name = "operator_table"
    fewest_rows = 5
    imported = True

    def __init__(
        self, family: Family, scope: Scope, seed: int = 0, operators: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(family, scope, seed)
        self._operators: dict[str, float] = {}
        self._table: SegmentTable | None = None
        self._forget()
        if operators is not None:
            self._set(operators)

    def _set(self, operators: Mapping[str, float]) -> None:
        """Set the table; a missing operator of the space is an error, not a zero."""
        missing: dict[str, None] = {}

        def total(layers: tuple[LayerSpec, ...]) -> list[float]:
            names = operators_of(layers)
            self._operators |= {name: operators[name] for name in names if name in operators}
            missing.update(dict.fromkeys(name for name in names if name not in operators))
            return [sum(operators.get(name, math.nan) for name in names)]

        self._table = SegmentTable(self.space, self.family.segments(), total)
        if missing:
            needed = len(missing) + len(self._operators)
            raise PredictorFileError(
                f"a table must have every operator of the space, {len(missing)} of {needed} are missing: "
                f"{', '.join(list(missing)[:SHOWN_MISSING])}{', …' if len(missing) > SHOWN_MISSING else ''}"
            )

    def fresh(self) -> Self:
        """The same table, not yet calibrated."""
        return type(self)(self.family, self.scope, self.seed, self._operators or None)

    def adopt(self) -> None:
        """Use the table without calibration; the interval is wide."""
        self._archs, self._y = np.zeros((0, self.space.d), dtype=np.int64), np.zeros(0)
        self._scale, self._dof = 1.0, float(self.fewest_rows)
        self._forget()

    def _forget(self) -> None:
        """Reset to the uncalibrated sum."""
        self._line: NDArray[np.float64] = np.array([0.0, 1.0])
        self._open: NDArray[np.float64] = np.zeros((2, 2))
        self._error = UNKNOWN_ERROR

    def sum(self, archs: Population) -> Values:
        """The uncalibrated sum over the operators of archs ``(n, d)``, ``(n,)`` in ms."""
        if self._table is None:
            raise FitError(f"{self.name} needs a table of operators before anything else: import a file")
        return np.asarray(self._table(self.space, archs)[:, 0])

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        # latency = fixed + factor * sum, by least squares of relative errors; the factor is not negative.
        rows = np.stack([np.ones(len(y)), self.sum(archs)], axis=1) / y[:, None]
        self._line = np.asarray(np.linalg.lstsq(rows, np.ones(len(y)), rcond=None)[0], dtype=np.float64)
        if self._line[1] < 0:
            self._line = np.array([float(np.sum(1 / y) / np.sum(1 / y**2)), 0.0])
        errors = rows @ self._line - 1
        self._open = np.asarray(np.linalg.pinv(rows.T @ rows), dtype=np.float64)
        self._error = max(float(np.sqrt(np.square(errors).sum() / max(len(y) - 2, 1))), 1e-9)
        # Factor between the residual and the leave-one-out error of a row (Cook & Weisberg, 1982).
        left = np.maximum(1 - np.einsum("ij,jk,ik->i", rows, self._open, rows), 1e-6)
        return errors / np.sqrt(left) / self._error, 2.0

    def _answer(self, archs: Population) -> tuple[Values, Values]:
        rows = np.stack([np.ones(len(archs)), self.sum(archs)], axis=1)
        mean = rows @ self._line
        own = np.square(np.maximum(mean, TINY))
        return mean, self._error * np.sqrt(own + np.einsum("ij,jk,ik->i", rows, self._open, rows))

    def _bounds(self) -> tuple[float, float]:
        return super()._bounds() if self.rows else (0.0, np.inf)

    def _state(self) -> Mapping[str, Array]:
        names = sorted(self._operators)
        return {
            "operators": np.array(names),
            "means": np.array([self._operators[name] for name in names], dtype=np.float64),
            "line": self._line,
            "open": self._open,
            "error": np.array([self._error]),
        }

    def _restore(self, state: Arrays) -> None:
        self._set(dict(zip(state.texts("operators"), state.numbers("means"), strict=True)))
        self._line, self._open = state.floats("line"), state.floats("open")
        (self._error,) = state.numbers("error")
