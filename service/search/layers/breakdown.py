"""What a subnet is made of: each layer's costs, its share of the latency on a target, and what is predicted."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from predictors.latency.kernels import FUSED, KernelSum
from predictors.predictor import Predictor as Model
from service.artifacts import ArtifactStore
from service.db import queries
from service.db.tables import Predictor, Subnet, Supernet, Target
from service.measurements.queries import measured_rows, scope_of
from service.search.layers.schemas import LatencyParts, LayersView, LayerView
from service.search.request.plan import Key, find_predictors, load_models
from service.search.request.schemas import PredictedValue
from service.supernets.bench import model_scope
from service.supernets.checkpoints import family_of, manifest_of
from supernets.families.family import Family
from supernets.metrics import LATENCY, METRICS
from supernets.spaces.layers import BYTES_PER_ELEMENT, LayerSpec
from supernets.spaces.space import Arch

LOW, HIGH = 0.05, 0.95
MEGA = 1e6


def layers_of(
    session: Session, project: str, store: ArtifactStore, subnet: Subnet, target: str | None
) -> LayersView:
    """Layers, latency parts and predictions of a subnet; latency only where a target is named."""
    supernet = queries.get(session, project, Supernet, subnet.supernet_id)
    family = family_of(supernet)
    arch = family.space().arch(subnet.arch)
    parts, latencies = None, None
    if target is not None:
        target = queries.given(session, project, Target, target, "target").id
        parts, latencies = _latency(session, project, supernet, family, arch, target)
    rows = family.layers(arch)
    return LayersView(
        subnet=subnet.id,
        target=target,
        layers=[_layer(row, None if latencies is None else latencies[i]) for i, row in enumerate(rows)],
        latency=parts,
        predicted=_predicted(session, project, store, supernet, family, arch, target),
    )


def _layer(row: LayerSpec, latency: float | None) -> LayerView:
    return LayerView(
        name=row.name,
        kind=row.kind,
        in_channels=row.in_channels,
        out_channels=row.out_channels,
        in_positions=row.in_positions,
        out_positions=row.out_positions,
        kernel=row.kernel,
        stride=row.stride,
        params=row.params,
        macs=row.macs,
        activation_mb=row.live_elements * BYTES_PER_ELEMENT / MEGA,
        latency_ms=latency,
    )


def _latency(
    session: Session, project: str, supernet: Supernet, family: Family, arch: Arch, target: str
) -> tuple[LatencyParts | None, list[float] | None]:
    """The latency of each layer by a sum of kernels fitted to what was measured on the target."""
    found = measured_rows(session, project, supernet.id, LATENCY, scope_of(target))
    if len(found) < KernelSum.fewest_rows:
        return None, None
    model = KernelSum(family, model_scope(manifest_of(supernet), LATENCY, target))
    space = family.space()
    archs = space.encode(space.arch(choices) for choices, _ in found)
    model.learn_costs(archs, [row.value for _, row in found])
    choices = arch.as_dict()
    latencies: list[float] = []
    for segment in family.segments():
        rows = segment.layers({axis: choices[axis] for axis in segment.axes if axis in choices})
        latencies += _by_layer(rows, model.kernel_latencies(rows))
    return LatencyParts(fixed_ms=model.fixed_latency, layers_ms=sum(latencies), rows=len(found)), latencies


def _by_layer(rows: tuple[LayerSpec, ...], kernels: list[float]) -> list[float]:
    """Latencies of kernels, each with the layer that begins it; a layer fused into it costs nothing more."""
    left, found = list(kernels), []
    for index, row in enumerate(rows):
        fused = row.kind in FUSED and index > 0
        found.append(0.0 if fused else left.pop(0))
    return found


def _predicted(
    session: Session,
    project: str,
    store: ArtifactStore,
    supernet: Supernet,
    family: Family,
    arch: Arch,
    target: str | None,
) -> list[PredictedValue]:
    quality = supernet.quality
    keys: list[Key] = [(quality, None)] if quality in METRICS else []
    if target is not None:
        keys += [
            (name, target)
            for name in queries.get(session, project, Target, target).metrics
            if METRICS[name].source == "measured"
        ]
    stored, _ = find_predictors(session, project, supernet.id, keys, [])
    versions = {key: row.version or "" for key, row in stored.items()}
    models = load_models(versions, store.read, family, manifest_of(supernet))
    return [_value(key, stored, models, family, arch) for key in models]


def _value(
    key: Key, stored: Mapping[Key, Predictor], models: Mapping[Key, Model], family: Family, arch: Arch
) -> PredictedValue:
    population, model = family.space().encode([arch]), models[key]
    return PredictedValue(
        metric=key[0],
        target=key[1],
        mean=float(model.predict(population)[0][0]),
        low=float(model.quantile(population, LOW)[0]),
        high=float(model.quantile(population, HIGH)[0]),
        predictor=stored[key].id,
        version=stored[key].version,
    )
