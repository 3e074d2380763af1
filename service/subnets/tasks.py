"""Tasks of a child process: evaluate subnets, or export one."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import JsonValue

from service.measurements.models import Quality
from service.runtime.task import Deadline, Progress, Rows, StepData
from service.settings import Settings
from service.supernets.bench import Bench, BenchSpec, StoredFile, open_bench
from supernets.spaces.space import Arch
from supernets.words import counted

if TYPE_CHECKING:
    from torch import nn

    from supernets.checkpoints import Supernet as LoadedSupernet
    from supernets.data import DataSet


SHARED_IMAGES = 10_000
"""Subnets times images from which on an evaluation is shared among workers: below, the others would take longer to
load the supernet and its data."""


class EvaluateIn(StepData):
    """Subnets to evaluate on a split, or on a part of it; nothing new is started after this many ``seconds``."""

    bench: BenchSpec
    population: Rows
    split: str
    seconds: float | None = None
    images: int | None = None
    batch: int = 256
    split_images: int = 0
    """How many images the split has."""

    def shares(self, workers: int) -> list[EvaluateIn]:
        """Four parts a worker where it takes long, or eight where the time is limited.

        The limit is for the whole: a part that was begun is executed to its end.
        """
        images = self.split_images if self.images is None else self.images
        if images * len(self.population) < SHARED_IMAGES:
            return []
        size = math.ceil(len(self.population) / ((4 if self.seconds is None else 8) * workers))
        starts = range(0, len(self.population), size)
        parts = (self.population[at : at + size] for at in starts)
        return [self.model_copy(update={"population": part, "seconds": None}) for part in parts]

    @property
    def limit_s(self) -> float | None:
        """The seconds of the whole."""
        return self.seconds

    def here(self, settings: Settings) -> EvaluateIn:
        """With the folders of this machine."""
        return self.model_copy(update={"bench": self.bench.here(settings)})

    NEEDS_LESS = "a smaller resolution, or a machine with more"

    def smaller(self) -> tuple[EvaluateIn, str]:
        """One thread and a quarter of the images at once."""
        batch = max(1, self.batch // 4)
        changes = {"batch": batch, "bench": self.bench.model_copy(update={"threads": 1})}
        return self.model_copy(
            update=changes
        ), f"in a new process, with one thread and {counted(batch, 'image')} at once"


class Evaluated(StepData):
    """Qualities in the order of the population, fewer where the time ran out, and the images that they took now."""

    evaluations: list[Quality]
    images: int = 0

    @classmethod
    def joined(cls, parts: Sequence[Evaluated]) -> Evaluated:
        """All evaluations, in the order of the parts, up to the first that was not begun.

        Parts are begun in their order, so that none is lost unless a worker died on one when the time ran out.
        """
        begun = list(itertools.takewhile(lambda part: part.evaluations, parts))
        return cls(
            evaluations=[each for part in begun for each in part.evaluations],
            images=sum(part.images for part in begun),
        )


class StatedQuality(StepData):
    """The quality that an exported file states of itself."""

    metric: str
    value: float
    standard_error: float | None
    n: int
    split: str | None
    precision: str


class FineTunedWeights(StepData):
    """The stored weights of a fine-tune, its data, and its record."""

    weights: StoredFile
    data: str
    record: dict[str, JsonValue]


class ExportIn(StepData):
    """A subnet to export, and in what form; without ``batch`` the file takes any.

    Its weights are those of the supernet unless there is a ``finetune``. ``licence`` is what their owner states now.
    """

    bench: BenchSpec
    arch: dict[str, int | float | str]
    format: str
    opset: int
    precision: str
    batch: int | None
    quality: StatedQuality | None
    licence: str | None = None
    ir_version: int | None = None
    finetune: FineTunedWeights | None = None


class Exported(StepData):
    """A stored file, its exporter, its parity with the network, and its metadata."""

    sha256: str
    bytes: int
    exporter: dict[str, JsonValue]
    parity: dict[str, JsonValue]
    metadata: dict[str, str]


def evaluate(request: EvaluateIn, progress: Progress) -> Evaluated:
    """Quality of a population on a split."""
    from supernets.evaluate import evaluate_archs

    deadline = Deadline(request.seconds)
    bench, split = open_bench(request.bench), request.split
    data = bench.data
    archs = bench.family.space().decode(bench.population(request.population))
    in_time = itertools.takewhile(lambda _: not deadline.passed, archs)
    # On a part of the images statistics are of fewer, and the subnet is seldom evaluated in the same way again.
    kept = None if request.images is not None else partial(bench.statistics, batch=request.batch)
    found = []
    batch, images = request.batch, request.images
    for evaluation in evaluate_archs(bench.supernet, data, in_time, split, batch, images, kept):
        found.append(Quality.model_validate({**evaluation.as_json(), "part": request.images is not None}))
        progress(len(found), len(archs), f"evaluated {len(found)} of {len(archs)} on {split}")
    return Evaluated(evaluations=found)


def export(request: ExportIn, progress: Progress) -> Exported:
    """Write a subnet, compare it with the network on real images, and store it."""
    from supernets.export.subnet import FileRequest, write_subnet

    bench = open_bench(request.bench)
    arch = bench.family.space().arch(request.arch)
    progress(0, 3, "preparing the subnet")
    subnet = _own(bench, arch) if request.finetune is None else _finetuned(bench, arch, request.finetune)
    supernet = subnet.supernet.licensed(request.licence)
    form = FileRequest(request.format, request.precision, request.opset, request.batch, request.ir_version)
    quality = None if request.quality is None else request.quality.model_dump()
    with tempfile.TemporaryDirectory(prefix="netwright-export-") as folder:
        progress(1, 3, "writing the file and comparing it with the network")
        written = write_subnet(
            supernet, subnet.data, arch, subnet.net, subnet.stats_sha256, form, Path(folder), quality
        )
        _name_device(written.parity)
        progress(2, 3, "storing the file")
        sha256, size = bench.store.put_file(written.path)
    return Exported(
        sha256=sha256,
        bytes=size,
        exporter=written.exporter,
        parity=written.parity,
        metadata=written.metadata,
    )


def _name_device(parity: dict[str, object]) -> None:
    """State on which machine the latency of a reduced precision was measured."""
    from predictors.measuring.machine import describe_device, has_dot_products

    change = parity.get("change")
    if isinstance(change, dict):
        change |= {"device": describe_device(), "dot_products": has_dot_products()}


class _PlainSubnet(NamedTuple):
    """A plain network in evaluation mode, what describes it, and the data that it is compared on."""

    supernet: LoadedSupernet
    data: DataSet
    net: nn.Module
    stats_sha256: str | None


def _own(bench: Bench, arch: Arch) -> _PlainSubnet:
    """The subnet with the supernet's weights, recalibrated."""
    from supernets.evaluate import BATCH_SIZE
    from supernets.extract import extract

    data, stats = bench.data, bench.statistics(arch, BATCH_SIZE)
    return _PlainSubnet(bench.supernet, data, extract(bench.supernet.net, arch, stats), stats.recorded)


def _finetuned(bench: Bench, arch: Arch, given: FineTunedWeights) -> _PlainSubnet:
    """The subnet with the weights of a fine-tune."""
    from safetensors.torch import load

    from supernets.data import load_data
    from supernets.training.finetune import FineTuneRecord, finetuned_data, finetuned_net, finetuned_supernet

    record = FineTuneRecord.model_validate(given.record)
    loaded = load_data(given.data, bench.data_dir, beside=bench.directory)
    data = finetuned_data(record, loaded, bench.supernet.task)
    supernet = finetuned_supernet(bench.manifest, record)
    net = finetuned_net(supernet, arch, load(bench.store.read(given.weights.sha256)))
    return _PlainSubnet(supernet, data, net, record.stats_sha256)
