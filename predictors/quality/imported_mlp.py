"""An imported MLP that was trained on evaluated subnets, in the format published by once-for-all.

Fully connected layers with ReLU between them, ``0.weight 0.bias 2.weight …``; once-for-all's has 128-400-400-400-1
(Cai et al., 2020). Inputs are one-hot: the kernel of every block, then the expansion of every block (all zero
if a block is skipped), then slots for the resolution. The output is the quality in its unit.

The error of such a network on this supernet is unknown. With at least 10 evaluated subnets, its output is shifted and
scaled to fit them (regularised towards no change), and the interval is computed from the residuals. With fewer, the
output is used unchanged with a very wide interval, and ``calibrated`` is false.
"""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from predictors.arrays import Array, Arrays, read_arrays
from predictors.errors import FitError, PredictorFileError
from predictors.predictor import Predictor, Values
from predictors.scope import Scope
from supernets.child import ChildError, Progress, call
from supernets.families.family import Family
from supernets.spaces.space import Choice, Population, Space

Layer = tuple[NDArray[np.float64], NDArray[np.float64]]

MOST_LAYERS, MOST_BYTES = 16, 64 * 2**20
READ_TIMEOUT_S = 120
# The resolution slots of once-for-all start at 112 pixels in steps of 16; the first is never used.
SLOTS, FIRST_RESOLUTION, RESOLUTION_STEP = 8, 112, 16
# Regularisation of the scale towards 1, in rows; and the error assumed without any row.
PULL = 2.0
UNKNOWN_ERROR = 0.1
TINY = 1e-12


class Layout:
    """The inputs of such an MLP for a space: kernels and expansions of all blocks, and the resolution."""

    def __init__(self, space: Space) -> None:
        self._space = space
        offsets = np.concatenate([[0], np.cumsum(space.cardinalities)]).tolist()
        kernels, expansions = (
            [
                column
                for index, axis in enumerate(space.axes)
                if axis.kind == kind
                for column in range(offsets[index], offsets[index + 1])
            ]
            for kind in ("kernel", "expand")
        )
        self._columns = np.array([*kernels, *expansions], dtype=np.int64)
        self._resolution = next((i for i, axis in enumerate(space.axes) if axis.kind == "resolution"), None)
        self._slots, slots = _slots(() if self._resolution is None else space.axes[self._resolution].choices)
        self.width = len(self._columns) + slots
        self.words = (
            f"{len(kernels)} for kernels, {len(expansions)} for expansions, {slots} for the resolution"
        )

    def __call__(self, archs: Population) -> NDArray[np.float64]:
        """Inputs ``(n, width)`` of archs ``(n, d)``."""
        inputs = np.zeros((len(archs), self.width))
        inputs[:, : len(self._columns)] = self._space.features(archs)[:, self._columns]
        if self._resolution is not None:
            slots = self._slots[archs[:, self._resolution]]
            inputs[np.arange(len(archs)), len(self._columns) + slots] = 1.0
        return inputs


def _slots(resolutions: Sequence[Choice]) -> tuple[NDArray[np.int64], int]:
    """The slot of each resolution and their number: those of once-for-all if they fit, otherwise one per choice."""
    at = [
        (resolution - FIRST_RESOLUTION) / RESOLUTION_STEP
        for resolution in resolutions
        if not isinstance(resolution, str)
    ]
    if at and all(slot == int(slot) and 0 <= slot < SLOTS for slot in at):
        return np.array(at, dtype=np.int64), SLOTS
    return np.arange(len(at)), len(at)


class ImportedMlp(Predictor):
    """See the module docstring. ``layers`` are ``(weight (out, in), bias (out,))``, from :func:`read_layers`."""

    name = "imported_mlp"
    fewest_rows = 10
    suits = ("evaluated",)
    imported = True

    def __init__(self, family: Family, scope: Scope, seed: int = 0, layers: Sequence[Layer] = ()) -> None:
        super().__init__(family, scope, seed)
        self._layout = Layout(self.space)
        self._layers = tuple(layers)
        if layers:
            check_layers(self._layers, self._layout)
        self._numbers = np.array([0.0, 1.0, 0.0, 0.0, UNKNOWN_ERROR])

    def fresh(self) -> Self:
        """The same MLP, not yet calibrated."""
        return type(self)(self.family, self.scope, self.seed, self._layers)

    @property
    def calibrated(self) -> bool:
        """Whether the interval was calibrated on evaluated subnets."""
        return self.rows > 0

    def adopt(self) -> None:
        """Use the MLP without calibration; the interval is very wide."""
        self._archs = np.zeros((0, self.space.d), dtype=np.int64)
        self._y, self._scale, self._dof = np.zeros(0), 1.0, float(PULL + 2)
        self._numbers = np.array([0.0, 1.0, 0.0, 0.0, UNKNOWN_ERROR])

    def _raw(self, archs: Population) -> Values:
        if not self._layers:
            raise FitError(f"{self.name} needs weights before anything else: import a file")
        values = self._layout(archs)
        for index, (weight, bias) in enumerate(self._layers):
            values = values @ weight.T + bias
            if index < len(self._layers) - 1:
                values = np.maximum(values, 0.0)
        return np.asarray(values[:, 0])

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        raw = self._raw(archs)
        middle, n = float(raw.mean()), len(y)
        centred = raw - middle
        squares = float(np.square(centred).sum())
        pull = PULL * squares / n + TINY
        slope = (float(centred @ (y - y.mean())) + pull) / (squares + pull)
        offset = float(y.mean()) - slope * middle
        weight = 1 / n + np.square(centred) / (squares + pull)
        errors = y - offset - slope * raw
        noise = max(float(np.sqrt(np.square(errors).sum() / max(n - 2, 1))), TINY)
        self._numbers = np.array([offset, slope, middle, 1 / (squares + pull), noise])
        # Factor between the residual and the leave-one-out error of a row (Cook & Weisberg, 1982).
        left = np.maximum(1 - weight, 1e-6)
        return errors / np.sqrt(left) / noise, 2.0

    def _answer(self, archs: Population) -> tuple[Values, Values]:
        offset, slope, middle, inverse, noise = self._numbers.tolist()
        raw = self._raw(archs)
        open_ = 1 / max(self.rows, 1) + np.square(raw - middle) * inverse
        return offset + slope * raw, noise * np.sqrt(1 + open_)

    def _bounds(self) -> tuple[float, float]:
        if self.scope.definition.unit != "fraction" and not self.calibrated:
            return -np.inf, np.inf
        return super()._bounds()

    def _state(self) -> Mapping[str, Array]:
        state: dict[str, Array] = {"numbers": self._numbers}
        for index, (weight, bias) in enumerate(self._layers):
            state |= {f"{2 * index}.weight": weight, f"{2 * index}.bias": bias}
        return state

    def _restore(self, state: Arrays) -> None:
        self._numbers = state.floats("numbers")
        self._layers = _layers_of(Arrays({k: v for k, v in state.items() if k != "numbers"}))


def read_layers(data: bytes) -> list[Layer]:
    """The layers in an npz file or a torch checkpoint (which is read without running code in it).

    Raises:
        PredictorFileError: neither format, or not such an MLP.
    """
    if len(data) > MOST_BYTES:
        raise PredictorFileError(f"a network may take at most {MOST_BYTES} bytes, got {len(data)}")
    arrays = _converted(data) if _is_checkpoint(data) else read_arrays(data)
    return list(_layers_of(arrays))


def _is_checkpoint(data: bytes) -> bool:
    """Whether the bytes are a torch file: an archive with a pickle, or a plain pickle."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return data.startswith(b"\x80")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return any(name.endswith(".pkl") for name in archive.namelist())


def _converted(data: bytes) -> Arrays:
    with tempfile.TemporaryDirectory(prefix="netwright-import-") as folder:
        source, result = Path(folder) / "network.pth", Path(folder) / "network.npz"
        source.write_bytes(data)
        try:
            call(_convert, [str(source), str(result)], timeout_s=READ_TIMEOUT_S)
        except ChildError as error:
            raise PredictorFileError(
                f"a network must be an npz file or a torch checkpoint of tensors: {error}"
            ) from error
        with np.load(result, allow_pickle=False) as archive:
            return Arrays({name: archive[name] for name in archive.files})


def _convert(paths: Sequence[str], _progress: Progress) -> None:
    """Convert a torch checkpoint to npz without running code in it, in a separate process."""
    import torch

    from supernets.torch_file import read_torch, require_small

    source, result = paths
    found = read_torch(Path(source))
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise TypeError("a checkpoint must hold tensors by name")
    require_small(found.values(), Path(source))
    np.savez(result, **{name: value.double().numpy() for name, value in found.items()})


def _layers_of(arrays: Arrays) -> tuple[Layer, ...]:
    count = len(arrays) // 2
    expected = {f"{2 * index}.{part}" for index in range(count) for part in ("weight", "bias")}
    if not 1 <= count <= MOST_LAYERS or set(arrays) != expected:
        got = ", ".join(sorted(arrays, key=_natural)[:8]) or "nothing"
        raise PredictorFileError(f"a network must hold 0.weight, 0.bias, 2.weight, 2.bias, …, got {got}")
    return tuple(
        (arrays.floats(f"{2 * index}.weight"), arrays.floats(f"{2 * index}.bias")) for index in range(count)
    )


def _natural(name: str) -> tuple[int, str]:
    digits = re.match(r"\d+", name)
    return (int(digits[0]) if digits else 10**9, name)


def check_layers(layers: Sequence[Layer], layout: Layout) -> None:
    """Check the shapes of the layers against each other and against the inputs of the space.

    Raises:
        PredictorFileError: shapes that do not fit; the message has the expected and the actual shape.
    """
    width = layout.width
    for index, (weight, bias) in enumerate(layers):
        name, last = f"{2 * index}.weight", index == len(layers) - 1
        outputs = "1" if last else "any"
        whose = f"the {layout.words}" if index == 0 else "what the layer before it gives"
        if weight.ndim != 2 or weight.shape[1] != width or (last and weight.shape[0] != 1):
            raise PredictorFileError(
                f"{name} must have shape ({outputs}, {width}), {whose}, got {tuple(weight.shape)}"
            )
        if bias.shape != (weight.shape[0],):
            raise PredictorFileError(
                f"{2 * index}.bias must have shape ({weight.shape[0]},), got {bias.shape}"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise PredictorFileError(f"{name} and its bias must be finite")
        width = weight.shape[0]
