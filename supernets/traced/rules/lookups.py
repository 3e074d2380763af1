"""Operators that choose entries or give them other places: indexing, embeddings, shuffles. No torch."""

from __future__ import annotations

import numpy as np

from supernets.traced.follow import Rule, Step, Unfollowed, Val
from supernets.traced.graph import Ref
from supernets.traced.slots import Labels


def _shuffle_in(step: Step) -> Val:
    """``pixel_shuffle``: ``r * r`` channels become one of ``r`` times the height and width."""
    source, result = step.tensor("self"), step.result()
    factor = step.integer("upscale_factor")
    labels = source.labels[-3]
    step.freeze_axes(source, "it is a position, not a channel", [source.ndim - 2, source.ndim - 1])
    result.labels[:-3], result.zero[:-3] = source.labels[:-3], source.zero[:-3]
    if labels is not None:
        rows = step.tie(labels.reshape(-1, factor * factor))
        result.labels[-3] = rows if len(rows) > 1 else None
        if len(rows) == 1:
            step.freeze(rows, "all of them make one channel")
        result.zero[-3] = source.zero[-3] and len(rows) > 1
    return result


def _shuffle_out(step: Step) -> Val:
    source, result = step.tensor("self"), step.result()
    factor = step.integer("downscale_factor")
    labels = source.labels[-3]
    step.freeze_axes(source, "it is a position, not a channel", [source.ndim - 2, source.ndim - 1])
    result.labels[:-3], result.zero[:-3] = source.labels[:-3], source.zero[:-3]
    if labels is not None:
        result.labels[-3], result.zero[-3] = np.repeat(labels, factor * factor), source.zero[-3]
    return result


def _channel_shuffle(step: Step) -> Val:
    source, result = step.tensor("self"), step.result()
    result.labels, result.zero = list(source.labels), list(source.zero)
    labels = source.labels[1]
    if labels is not None:
        groups = step.integer("groups")
        places = step.tie(np.ascontiguousarray(labels.reshape(groups, -1).T))
        result.labels[1] = np.repeat(places, groups)
    return result


def _index(step: Step) -> Val:
    """Indexing: the indexed axes stop, the others go on, behind or around one block of index tensors."""
    source, result = step.tensor("self"), step.result()
    given = step.raw("indices")
    if not isinstance(given, list):
        raise Unfollowed("its indices are not constant")
    indices = step.listed("indices") + [None] * (source.ndim - len(given))
    places = [axis for axis, index in enumerate(indices) if index is not None]
    if not places or places != list(range(places[0], places[-1] + 1)):
        raise Unfollowed("several blocks of indices")
    for index in indices:
        step.freeze_axes(index, "it is an index")
    step.freeze_axes(source, "entries of it are chosen by an index", places)
    found = [index for index in indices if index is not None]
    if any("bool" in _dtype(step, each) for each in given):
        raise Unfollowed("a mask chooses entries")
    rank = max(index.ndim for index in found)
    blank: list[Labels | None] = [None] * rank
    result.labels = source.labels[: places[0]] + blank + source.labels[places[-1] + 1 :]
    result.zero = source.zero[: places[0]] + [False] * rank + source.zero[places[-1] + 1 :]
    return result


def _dtype(step: Step, value: object) -> str:
    return step.dtype_of(value.name) if isinstance(value, Ref) else ""


def _index_select(step: Step) -> Val:
    source, result = step.tensor("self"), step.result()
    axis = step.integer("dim") % source.ndim
    step.freeze_axes(source, "entries of it are chosen by an index", [axis])
    result.labels, result.zero = list(source.labels), list(source.zero)
    result.labels[axis], result.zero[axis] = None, False
    step.freeze_axes(step.value("index"), "it is an index")
    return result


def _embedding(step: Step) -> Val:
    weight, result = step.tensor("weight"), step.result()
    step.produces("weight", 1)
    step.freeze_axes(weight, "rows of the table are chosen by the data", [0])
    step.freeze_axes(step.value("indices"), "it is an index")
    result.labels[-1], result.zero[-1] = weight.labels[1], weight.zero[1]
    result.constant = False
    return result


def _along(step: Step) -> Val:
    """``flip``, ``roll``: entries move along some axes, which stop; the others go on."""
    source, result = step.tensor("self"), step.result()
    axes = [axis % source.ndim for axis in step.integers("dims")] or list(range(source.ndim))
    step.freeze_axes(source, "its entries change places", axes)
    for axis in range(source.ndim):
        if axis not in axes:
            result.labels[axis], result.zero[axis] = source.labels[axis], source.zero[axis]
    return result


RULES: dict[str, Rule] = {
    "pixel_shuffle": _shuffle_in,
    "pixel_unshuffle": _shuffle_out,
    "channel_shuffle": _channel_shuffle,
    "index": _index,
    "index_select": _index_select,
    "embedding": _embedding,
    **dict.fromkeys(("flip", "roll"), _along),
}
