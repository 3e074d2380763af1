"""Fine-tuning: one subnet trained further on a user's images or texts, from the weights it has in its supernet.

A fine-tune is a training whose recipe has the space of that subnet, so it runs in the only loop and resumes bit for
bit. Its result is a plain network with statistics of its own, and a record of what its file needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from supernets import FAMILIES
from supernets.checkpoints import Supernet
from supernets.data import DataSet
from supernets.elastic.active import ElasticModel
from supernets.elastic.sharded import ShardedNet
from supernets.errors import CheckpointError, DataError
from supernets.evaluate import calibrate, example_scores
from supernets.extract import extract
from supernets.families.family import Family
from supernets.manifest import Manifest
from supernets.official import imagenet
from supernets.recipes.recipe import Recipe, SpaceSettings
from supernets.records import DataRecord, JsonObject, Record, Sha256, StageRecord
from supernets.spaces.space import Arch
from supernets.tasks.task import CategoricalTask, Task
from supernets.training.change import ChangeRecord, Classifier, QualityRecord
from supernets.training.further import Source
from supernets.training.loop import start
from supernets.training.plan import TrainingPlan
from supernets.training.steps.training import Training


class FineTuneRecord(Record):
    """A finished fine-tune without its weights.

    ``config`` is that of the family with the classes of ``data``. Where the supernet had other classes the
    ``classifier`` is new, and ``before`` is the quality with its random weights.
    """

    config: JsonObject
    data: DataRecord
    preprocessing: JsonObject
    classes: list[str]
    classifier: Classifier
    weights_sha256: Sha256
    stats_sha256: Sha256 | None
    change: ChangeRecord
    stage: StageRecord


@dataclass(frozen=True, eq=False)
class FineTune:
    """A fine-tune that can start."""

    plan: TrainingPlan
    arch: Arch
    classifier: Classifier


def plan_finetune(supernet: Supernet, arch: Arch, data: DataSet, recipe: Recipe, seed: int) -> FineTune:
    """The training of ``arch`` alone, from its weights in ``supernet``, on ``data``.

    Examples are prepared as those of the supernet. Where its classes are others, the classifier starts at random.

    Raises:
        DataError: data of other channels or another tokenizer, or that mix with the splits of the supernet.
        RecipeError: a recipe that does not fit.
    """
    task, manifest = supernet.task, supernet.manifest
    outputs = known_outputs(task, manifest, data)
    classifier: Classifier = "new" if outputs is None else "kept"
    own = tuple(range(len(data.classes))) if outputs is None else outputs
    data = task.prepared_like(data, manifest.preprocessing, own, manifest.name)
    family = supernet.family if outputs is not None else sized_family(supernet.family, len(data.classes))
    net = supernet.net.of(arch) if isinstance(supernet.net, ShardedNet) else supernet.net
    weights = dict(net.state_dict())
    if outputs is None:
        weights |= _new_classifier(family, seed)
    source = Source(
        name=manifest.name,
        family=family,
        task=task.name,
        data=manifest.data.name,
        stages=tuple(manifest.training.stages),
        tensors={f"net.{name}": value for name, value in weights.items()},
        sha256=manifest.weights_sha256,
    )
    plan = TrainingPlan(narrowed(recipe, arch), family, data, task, seed, source)
    return FineTune(plan, arch, classifier)


def narrowed(recipe: Recipe, arch: Arch) -> Recipe:
    """The recipe for one subnet; its space has this subnet alone."""
    only = SpaceSettings(restrict={axis: [choice] for axis, choice in arch.choices})
    return recipe.model_copy(update={"space": only})


def sized_family(family: Family, outputs: int) -> Family:
    """The family with another number of outputs; raises ``DataError`` where it has none to set."""
    setting = type(family).fitted.get("outputs")
    if setting is None:
        raise DataError(f"family {family.name!r} has no setting for the number of classes")
    sized: Family = type(family).from_config({**family.config(), setting: outputs})
    return sized


def known_outputs(task: Task, manifest: Manifest, data: DataSet) -> tuple[int, ...] | None:
    """The output of the supernet that stands for each class of ``data``; None where it has other classes."""
    own = manifest.data
    if not isinstance(task, CategoricalTask) or data.classes == tuple(manifest.classes):
        return tuple(range(len(data.classes)))
    if own.outputs is None and tuple(manifest.classes) != tuple(imagenet.class_names()):
        return None
    if own.outputs is not None and own.splits == DataRecord.model_validate(data.describe()).splits:
        return tuple(own.outputs)
    named = {*imagenet.wordnet_ids(), *imagenet.class_names()}
    return imagenet.outputs_of(data.classes) if set(data.classes) <= named else None


def _new_classifier(family: Family, seed: int) -> dict[str, Tensor]:
    """Random values of the weights whose shape depends on the number of outputs."""
    outputs = family.dimensions(family.space().max())["outputs"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = family.build().state_dict()
    with torch.device("meta"):
        other = sized_family(family, outputs + 1).build().state_dict()
    return {name: value for name, value in fresh.items() if value.shape != other[name].shape}


def finish_finetune(finetune: FineTune, training: Training) -> tuple[FineTuneRecord, bytes]:
    """The record of a finished training and the plain network's weights as a safetensors file.

    The quality before is that of the weights that the training started from, recalibrated.
    """
    plan, arch = finetune.plan, finetune.arch
    data, task, net = plan.data, plan.task, training.result
    before = _scores(start(plan, device=training.device).net, task, data, arch)
    stats = calibrate(net, task, data, arch)
    after = example_scores(net, task, data, arch, stats, "test")
    difference, error = task.difference(after, before)
    weights = save_safetensors(
        {
            name: value.detach().cpu().contiguous()
            for name, value in extract(net, arch, stats).state_dict().items()
        }
    )
    record = FineTuneRecord(
        config=plan.family.config(),
        data=DataRecord.model_validate({**data.describe(), "outputs": data.outputs}),
        preprocessing=data.preprocessing(),
        classes=list(data.classes),
        classifier=finetune.classifier,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        stats_sha256=stats.recorded,
        change=ChangeRecord(
            metric=task.quality,
            split="test",
            n=len(after),
            before=_quality(task, before),
            after=_quality(task, after),
            difference=difference,
            standard_error=error,
        ),
        stage=training.record(),
    )
    return record, weights


def _scores(net: ElasticModel, task: Task, data: DataSet, arch: Arch) -> Tensor:
    return example_scores(net, task, data, arch, calibrate(net, task, data, arch), "test")


def _quality(task: Task, scores: Tensor) -> QualityRecord:
    value, error = task.summarise(scores)
    return QualityRecord(value=value, standard_error=error)


def finetuned_supernet(manifest: Manifest, record: FineTuneRecord) -> Supernet:
    """The supernet that a file of a fine-tuned subnet is described by: its classes, preprocessing and weights' hash.

    Its network has random weights: only those of the one subnet were trained.
    """
    changed = manifest.model_copy(
        update={
            "config": record.config,
            "preprocessing": record.preprocessing,
            "classes": record.classes if record.classifier == "new" else manifest.classes,
            "weights_sha256": record.weights_sha256,
            "data": record.data,
        }
    )
    family: Family = FAMILIES.load(manifest.family).from_config(record.config)
    with torch.random.fork_rng(devices=[]):
        return Supernet(changed, family, family.build().eval())


def finetuned_net(supernet: Supernet, arch: Arch, weights: Mapping[str, Tensor]) -> nn.Module:
    """The plain network of ``arch`` with these weights; ``supernet`` is that of :func:`finetuned_supernet`.

    Raises:
        CheckpointError: weights of another network.
    """
    net = extract(supernet.net, arch, None)
    try:
        net.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise CheckpointError(f"the weights do not fit the subnet: {error}") from error
    return net.eval()


def finetuned_data(record: FineTuneRecord, data: DataSet, task: Task) -> DataSet:
    """``data`` prepared as while fine-tuning; refused where its splits are others.

    Raises:
        DataError: names the split.
    """
    for name, known in record.data.splits.items():
        got = data.split(name).sha256
        if got != known.sha256:
            raise DataError(
                f"{name} split of {data.name!r} must have hash {known.sha256[:12]} (that of the fine-tune), "
                f"got {got[:12]}"
            )
    outputs = tuple(record.data.outputs or range(len(data.classes)))
    return task.prepared_like(data, record.preprocessing, outputs, "the fine-tune")
