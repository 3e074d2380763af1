"""Open tables of measured archs as spaces with closed-form layers: no torch, no network.

The space comes from the columns alone (:func:`axes_of`); where it is one whose networks are published, the
layers come with it (:data:`LAYERS`), otherwise a table has an encoding and nothing more. A table has no
weights, so that its family is not registered: nothing can be built from it.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from supernets.errors import ArchError, SpaceError
from supernets.families.family import Family
from supernets.spaces.layers import LayerSpec, Segment
from supernets.spaces.space import Arch, Axis, Choice, Population, Space

Choices = Mapping[str, Choice]
Layers = tuple[LayerSpec, ...]
# Words of a column's name that name no device.
GENERIC = {"lat", "latency", "energy", "ms", "mj", "kwh", "help", "eagle", "hw360", "cpu", "gpu", "onnx"}


def read_table(path: str) -> pd.DataFrame:
    """A parquet or CSV file (digits stay text); a bare name is looked up in ``NETWRIGHT_DATA`` too."""
    file = Path(path)
    if not file.exists() and os.environ.get("NETWRIGHT_DATA"):
        file = Path(os.environ["NETWRIGHT_DATA"]) / path
    if file.suffix == ".parquet":
        return pd.read_parquet(file)
    return pd.read_csv(file, dtype={"ops": str, "mlp_ratio": str, "n_head": str})


def device_family(column: str) -> str:
    """The device that a column was measured on, without model and batch: ``lat_help_1080ti_32`` → ``1080ti``."""
    words = [word for word in column.lower().split("_") if word not in GENERIC]
    return words[0] if words else column


# --- spaces from columns -------------------------------------------------------------------------------


def axes_of(table: pd.DataFrame, columns: Sequence[str]) -> Space:
    """The space spanned by the values of ``columns``.

    Text is one axis a character, or a word where it is joined by dashes or bars; where lengths differ, a
    whole-number column equal to the length is the number of active ones. Anything else is one axis.
    """
    missing = [column for column in columns if column not in table]
    if missing:
        raise SpaceError(f"columns must be in the table, {missing} are not; it has {list(table.columns)}")
    plain, texts = [], []
    for column in columns:
        (texts if pd.api.types.is_string_dtype(table[column]) else plain).append(column)
    axes = [Axis(column, column, _sorted(table[column].tolist())) for column in plain]
    for column in texts:
        axes += _text_axes(table, column, plain)
    return Space(axes)


def _text_axes(table: pd.DataFrame, column: str, plain: Sequence[str]) -> list[Axis]:
    words = [_words(value) for value in table[column]]
    lengths = np.array([len(row) for row in words])
    parent = next((name for name in plain if np.array_equal(table[name].to_numpy(), lengths)), None)
    if lengths.min() < lengths.max() and parent is None:
        raise SpaceError(
            f"{column!r} has {lengths.min()} to {lengths.max()} entries, and no column with their number"
        )
    axes = []
    for index in range(int(lengths.max())):
        choices = _sorted([row[index] for row in words if len(row) > index])
        if index < lengths.min():
            axes.append(Axis(f"{column}{index}", column, choices))
        else:
            longer = tuple(n for n in _sorted(lengths.tolist()) if int(n) > index)
            axes.append(Axis(f"{column}{index}", column, choices, parent, longer))
    return axes


def _words(value: str) -> list[Choice]:
    parts = re.split(r"[-|,\s]+", value) if re.search(r"[-|,\s]", value) else list(value)
    return [int(part) if part.isdecimal() else part for part in parts if part]


def _sorted(values: Sequence[Any]) -> tuple[Choice, ...]:
    return tuple(
        sorted(
            {int(v) if isinstance(v, bool | np.bool_) else v for v in values}, key=lambda v: (str(type(v)), v)
        )
    )


def encode(space: Space, table: pd.DataFrame, columns: Sequence[str]) -> Population:
    """The rows of ``table`` as a canonical population ``(n, d)``."""
    rows = np.zeros((len(table), space.d), dtype=np.int64)
    position = [{choice: index for index, choice in enumerate(axis.choices)} for axis in space.axes]
    names = {axis.name: at for at, axis in enumerate(space.axes)}
    for column in columns:
        if column in names:
            at = names[column]
            rows[:, at] = [position[at][value] for value in table[column].tolist()]
            continue
        first = names[f"{column}0"]
        for row, value in enumerate(table[column].tolist()):
            words = _words(value)
            rows[row, first : first + len(words)] = [
                position[first + k][word] for k, word in enumerate(words)
            ]
    if not space.member(rows).all():
        raise ArchError("every row must be a canonical member of its own space")
    return rows


# --- a family without weights --------------------------------------------------------------------------


class TableFamily(Family):
    """Archs of a table; layers where the space is a published one."""

    name = "table"

    def __init__(self, space: Space, segments: tuple[Segment, ...]) -> None:
        self._space, self._segments = space, segments

    @classmethod
    def from_table(cls, table: pd.DataFrame, columns: Sequence[str]) -> TableFamily:
        """The space of the columns, with the layers of the published space that has these axes."""
        space = axes_of(table, columns)
        for recognises, segments in LAYERS:
            if recognises(space):
                return cls(space, segments(space))
        return cls(space, (Segment("none", (space.axes[0].name,), lambda _: ()),))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TableFamily:
        """The family whose :meth:`config` this is."""
        space = Space.from_json(config["space"])
        found = [segments(space) for recognises, segments in LAYERS if recognises(space)]
        return cls(space, found[0] if found else (Segment("none", (space.axes[0].name,), lambda _: ()),))

    def config(self) -> dict[str, Any]:
        """The space, JSON."""
        return {"space": self._space.as_json()}

    def space(self) -> Space:
        """The archs that the columns span."""
        return self._space

    def segments(self) -> tuple[Segment, ...]:
        """Layers, or one empty segment."""
        return self._segments

    def dimensions(self, arch: Arch) -> NoReturn:
        """Refused: there is no network."""
        raise SpaceError(f"a table has no networks, so no input for {arch.id}")

    def build(self) -> NoReturn:
        """Refused: there are no weights."""
        raise SpaceError("a table has no weights to build a network from")


def _conv(
    name: str, c_in: int, c_out: int, kernel: int, side: int, stride: int = 1, groups: int = 1
) -> LayerSpec:
    kind = "depthwise" if groups == c_in == c_out else "conv"
    return LayerSpec(
        name,
        kind,
        c_in,
        c_out,
        side**2,
        (side // stride) ** 2,
        kernel,
        stride,
        groups,
        norm=True,
        activation="relu",
    )


# --- NAS-Bench-201 (Dong & Yang, 2020): six edges of a cell in three stages -----------------------------

# One cell of each stage: that there are five of them changes little but the unit.
NB_STAGES = ((16, 32), (32, 16), (64, 8))
# Edge → (edges from the input, edges to the output) of which one path each must be alive.
NB_FROM = {0: ((),), 1: ((),), 2: ((0,),), 3: ((),), 4: ((0,),), 5: ((1,), (0, 2))}
NB_TO = {0: ((4,), (2, 5)), 1: ((5,),), 2: ((5,),), 3: ((),), 4: ((),), 5: ((),)}


def _is_nb201(space: Space) -> bool:
    return space.d == 6 and all(axis.choices == (0, 1, 2, 3, 4) for axis in space.axes)


def _nb201(space: Space) -> tuple[Segment, ...]:
    ends = Segment("ends", (space.axes[0].name,), lambda _: _nb_ends())
    return (ends, *(_nb_edge(space, edge) for edge in range(6)))


def _nb_ends() -> Layers:
    """What every arch has, so that none is without MACs: stem, the two reductions, classifier."""
    stem = _conv("stem", 3, 16, 3, 32)
    reductions = [
        layer
        for (width, side), (out, _) in itertools.pairwise(NB_STAGES)
        for layer in (
            _conv("reduce", width, out, 3, side, 2),
            _conv("same", out, out, 3, side // 2),
            _conv("short", width, out, 1, side // 2),
        )
    ]
    return (stem, *reductions, LayerSpec("classifier", "linear", 64, 10, 1, 1, bias=True))


def _nb_edge(space: Space, edge: int) -> Segment:
    """The layers of an edge, none where it joins nothing: what a compiler keeps."""
    names = [axis.name for axis in space.axes]
    used = sorted({edge, *(e for paths in (NB_FROM[edge], NB_TO[edge]) for path in paths for e in path)})

    def layers(choices: Choices) -> Layers:
        op = choices[names[edge]]
        alive = {e: choices[names[e]] != 0 for e in used}
        if op == 0 or not all(
            any(all(alive[e] for e in path) for path in paths) for paths in (NB_FROM[edge], NB_TO[edge])
        ):
            return ()
        return tuple(_nb_op(int(op), width, side) for width, side in NB_STAGES)

    return Segment(f"edge{edge}", tuple(names[e] for e in used), layers)


@cache
def _nb_op(op: int, width: int, side: int) -> LayerSpec:
    if op in (2, 3):
        return _conv("conv", width, width, 2 * op - 3, side)
    kind = "add" if op == 1 else "pool"
    return LayerSpec(kind, kind, width, width, side**2, side**2, kernel=1 if op == 1 else 3)


# --- FBNet (Wu et al., 2019): 22 blocks of nine kinds ----------------------------------------------------

FB_SIDE = 112
FB_STAGES = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))
FB_OPS = ((3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1))


def _is_fbnet(space: Space) -> bool:
    return space.d == 22 and all(set(axis.choices) <= set(range(9)) for axis in space.axes)


def _fbnet(space: Space) -> tuple[Segment, ...]:
    segments, width, side = [], 16, FB_SIDE
    strides = [(out, stride if index == 0 else 1) for out, n, stride in FB_STAGES for index in range(n)]
    for axis, (out, stride) in zip(space.axes, strides, strict=True):
        segments.append(
            Segment(axis.name, (axis.name,), partial(_fb_block, axis.name, width, out, side, stride))
        )
        width, side = out, side // stride
    return tuple(segments)


def _fb_block(axis: str, width: int, out: int, side: int, stride: int, choices: Choices) -> Layers:
    op = int(choices[axis])
    if op == 8:
        same = width == out and stride == 1
        return () if same else (_conv("skip", width, out, 1, side, stride),)
    kernel, expand, groups = FB_OPS[op]
    hidden = width * expand
    end = side // stride
    layers = [
        _conv("expand", width, hidden, 1, side, groups=groups),
        _conv("spatial", hidden, hidden, kernel, side, stride, groups=hidden),
        _conv("project", hidden, out, 1, end, groups=groups),
    ]
    if width == out and stride == 1:
        layers.append(LayerSpec("add", "add", out, out, end**2, end**2))
    return tuple(layers)


# --- GPT (HW-GPT-Bench, Sukthanker et al., 2024): width, depth, and heads and MLP of each block ----------

TOKENS = 1024
VOCABULARY = 50257


def _is_gpt(space: Space) -> bool:
    kinds = {axis.kind for axis in space.axes}
    return (
        {"embed_dim", "n_layer", "n_head", "mlp_ratio"}
        <= kinds
        <= {"embed_dim", "n_layer", "n_head", "mlp_ratio", "bias"}
    )


def _gpt(space: Space) -> tuple[Segment, ...]:
    names = [axis.name for axis in space.axes]
    shared = tuple(name for name in names if name in ("embed_dim", "bias"))
    segments = [Segment("ends", shared, _gpt_ends)]
    for index in range(sum(axis.kind == "n_head" for axis in space.axes)):
        pair = (f"n_head{index}", f"mlp_ratio{index}")
        segments.append(Segment(f"block{index}", (*shared, *pair), partial(_gpt_block, pair)))
    return tuple(segments)


def _linear(name: str, c_in: int, c_out: int, bias: bool, activation: str | None = None) -> LayerSpec:
    return LayerSpec(name, "linear", c_in, c_out, TOKENS, TOKENS, bias=bias, activation=activation)


def _gpt_ends(choices: Choices) -> Layers:
    return (_linear("vocabulary", int(choices["embed_dim"]), VOCABULARY, bias=False),)


def _gpt_block(pair: tuple[str, str], choices: Choices) -> Layers:
    """One block; the scores of attention count as elements, for their product has no weights."""
    width, bias = int(choices["embed_dim"]), bool(choices.get("bias", False))
    if pair[0] not in choices:
        return ()
    heads, hidden = int(choices[pair[0]]), int(choices[pair[1]]) * width
    return (
        _linear("qkv", width, 3 * width, bias),
        LayerSpec("scores", "scale", width, heads * TOKENS, TOKENS, TOKENS, activation="softmax"),
        _linear("join", width, width, bias),
        LayerSpec("add", "add", width, width, TOKENS, TOKENS),
        _linear("up", width, hidden, bias, activation="gelu"),
        _linear("down", hidden, width, bias),
        LayerSpec("add", "add", width, width, TOKENS, TOKENS),
    )


LAYERS: tuple[tuple[Callable[[Space], bool], Callable[[Space], tuple[Segment, ...]]], ...] = (
    (_is_nb201, _nb201),
    (_is_fbnet, _fbnet),
    (_is_gpt, _gpt),
)
