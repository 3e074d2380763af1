"""From a finished training to a supernet directory: statistics, report card, curve, manifest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from supernets import TASKS
from supernets.checkpoints import pack, save_supernet, write_bytes, write_manifest
from supernets.data import DataSet
from supernets.data_facts.report import data_text
from supernets.data_facts.spec import OF_SUPERNET, DataSpec
from supernets.errors import TrainingError
from supernets.evaluate import CALIBRATION_EXAMPLES, calibrate
from supernets.families.family import Family
from supernets.manifest import Manifest
from supernets.metrics import LATENCY, MACS, metric_named
from supernets.records import DataRecord, StageRecord, TrainingRecord
from supernets.report_card.card import report_card
from supernets.report_card.kept import KeptScores
from supernets.report_card.plots import plot_curve, plot_front
from supernets.spaces.space import Arch, Choice
from supernets.training.loop import METRICS_FILE, Training
from supernets.training.sizes import resolution_problems
from supernets.words import counted


def settle(training: Training) -> None:
    """Write the statistics of each network's largest subnet into its running ones: training never touched them."""
    whole = training.family.space()
    for shard in training.shards:
        net = shard.result.eval()
        stats = calibrate(
            net, training.task, training.data, (shard.region if len(training.shards) > 1 else whole).max()
        )
        with torch.no_grad():
            for name, norm in net.norms().items():
                if name not in stats.values:
                    continue  # a region may not reach every layer
                mean, variance = (value.to(norm.weight.device) for value in stats.values[name])
                assert norm.running_mean is not None and norm.running_var is not None
                norm.running_mean[: len(mean)].copy_(mean)
                norm.running_var[: len(variance)].copy_(variance)


def finish(
    training: Training,
    name: str,
    run_dir: Path,
    out_dir: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    alone: Mapping[Arch, float] | None = None,
    licence: str | None = None,
) -> Manifest:
    """Write the supernet directory ``out_dir`` of a finished training whose state and metrics lie in ``run_dir``.

    The report card reads the test split here, and nowhere else in training. Scores are kept in ``run_dir`` until all is
    written, so that a call that was stopped is not begun again. ``alone``: validation quality of
    nets trained by themselves; the card shows how far the supernet orders them alike. ``licence``: of the weights, if
    their owner states it.
    """
    if not training.finished:
        raise TrainingError(
            f"only a finished training can be saved, got step {training.step} of {training.recipe.steps}"
        )
    settle(training)
    net = training.result.eval().without_zeros()
    family = cast(Family, net.family)
    weights = pack(net)
    weights_sha256 = hashlib.sha256(weights).hexdigest()
    kept = KeptScores(run_dir / f"card-{_card_of(training, family, weights_sha256)}")
    report = report_card(net, training.task, training.data, alone=alone, progress=progress, kept=kept)
    data = training.data
    if data.report is not None:
        problems = [*data.report.problems, *resolution_problems(data.report, family)]
        report["data"] = data.report.model_copy(update={"problems": problems}).model_dump(mode="json")
    report |= training.original
    manifest = Manifest(
        name=name,
        family=family.name,
        config=family.config(),
        task=training.task.name,
        quality=training.task.quality,
        weights_sha256=weights_sha256,
        space_sha256=family.space().sha256,
        data=DataRecord.model_validate(
            {**data.describe(), "name": with_own_tokenizer(data), "outputs": data.outputs}
        ),
        preprocessing=data.preprocessing(),
        classes=list(data.classes),
        recipe={**training.recipe.as_json(), "sha256": training.recipe.sha256},
        training=_cost(training),
        report=report,
        shards=_shards(training),
        licence=licence,
    )
    save_supernet(out_dir, net, manifest, data.tokenizer_file())
    metrics = (run_dir / METRICS_FILE).read_bytes()
    write_bytes(out_dir / METRICS_FILE, metrics)
    write_bytes(
        out_dir / "curve.png",
        plot_curve([json.loads(line) for line in metrics.splitlines()], name, training.task.quality),
    )
    write_bytes(out_dir / "report.md", report_text(manifest).encode())
    kept.remove()
    return manifest


def _card_of(training: Training, family: Family, weights_sha256: str) -> str:
    """Identifies what the scores of a report card depend on: weights, configuration, task, and all splits."""
    card = [weights_sha256, family.config(), training.task.name, training.data.describe()]
    return hashlib.sha256(json.dumps(card, sort_keys=True, default=str).encode()).hexdigest()[:16]


def with_own_tokenizer(data: DataSet) -> str:
    """The name of data as their supernet records it: a tokenizer file is the one that lies with its weights."""
    if data.tokenizer_file() is None:
        return data.name
    return str(DataSpec.parse(data.name).model_copy(update={"tokenizer": OF_SUPERNET}))


def add_front(directory: Path, front: Mapping[str, object]) -> Manifest:
    """Put a front against a device's latency (:mod:`predictors.card_front`) into the report card in ``directory``."""
    known = Manifest.read(directory)
    manifest = known.model_copy(update={"report": {**known.report, "front": dict(front)}})
    write_bytes(directory / "front.png", plot_front(front, manifest.name, manifest.quality))
    write_bytes(directory / "report.md", report_text(manifest).encode())
    write_manifest(directory, manifest)
    return manifest


def _shards(training: Training) -> list[dict[str, list[Choice]]]:
    """For each network of a split training, the axes that are narrower in its region than in the family."""
    if len(training.shards) == 1:
        return []
    return [
        {
            axis.name: [axis.choices[k] for k in allowed]
            for axis, allowed in zip(shard.region.axes, shard.region.allowed, strict=True)
            if len(allowed) < len(axis.choices)
        }
        for shard in training.shards
    ]


def _cost(training: Training) -> TrainingRecord:
    """What all stages cost together, and the record of each."""
    stages = [*training.earlier, training.record()]
    return TrainingRecord(
        seed=training.seed,
        steps=sum(stage.steps for stage in stages),
        passes=sum(stage.passes for stage in stages),
        billed_passes=round(sum(stage.billed_passes for stage in stages), 2),
        images=sum(stage.images for stage in stages),
        seconds=round(sum(stage.seconds for stage in stages), 2),
        stages=stages,
        calibration_images=min(CALIBRATION_EXAMPLES, len(training.data.train)),
        torch=torch.__version__,
    )


def report_text(manifest: Manifest) -> str:
    """The report card for people."""
    report, training = manifest.report, manifest.training
    space = manifest.make_family().space()
    lines = [
        f"# {manifest.name}",
        "",
        f"{manifest.family}, {space.size():.3g} subnets: " + _effort(training),
        "",
        *[
            _stage_text(place, stage, _examples(manifest))
            for place, stage in enumerate(training.stages, start=1)
        ],
        *_shard_text(manifest.shards),
        "",
        *(["![training curve](curve.png)", ""] if training.stages else []),
        "| split | examples | smallest | largest | panel mean | small / middle / large third |",
        "|---|---|---|---|---|---|",
    ]
    for split, row in report["summary"].items():
        ends = [
            f"{row[end]['value']:.4f} ± {row[end]['standard_error']:.4f}" for end in ("smallest", "largest")
        ]
        thirds = " / ".join(f"{mean:.4f}" for mean in row["tercile_means"])
        lines.append(
            f"| {split} | {row['smallest']['n']} | {ends[0]} | {ends[1]} | {row['panel_mean']:.4f} | {thirds} |"
        )
    ranking, quality = report["random"], metric_named(manifest.quality)
    quantiles = " / ".join(f"{q:.4f}" for q in ranking["quality_quantiles"])
    better = "higher" if quality.direction == "max" else "lower"
    lines += [
        "",
        *_original_text(report.get("original"), quality.label),
        f"The panel is the smallest and the largest subnet and {len(report['panel']) - 2} random ones, as many from "
        f"each third of the MACs. Values are {quality.label} ± standard error ({quality.unit}, {better} is better); "
        f"test examples were used once"
        f"{' for each finished stage' if len(training.stages) > 1 else ''}.",
        "",
        f"{ranking['n']} random subnets on validation: {quality.label} {quantiles} (minimum, quartiles, maximum); "
        f"Spearman of MACs and {quality.label} {_figure(ranking['spearman_macs_quality'])}; between two halves of the "
        f"examples "
        f"(the noise ceiling of a predictor) {_figure(ranking['noise_ceiling'])}.",
        "",
        *_further_text(report.get("further", {})),
        *data_text(report.get("data")),
        *_alone_text(report.get("kendall_alone"), quality.label),
        *_front_text(report.get("front"), quality.label),
    ]
    return "\n".join(lines)


def _effort(training: TrainingRecord) -> str:
    if not training.stages:
        return "the weights are those of the network that was converted; nothing was trained."
    return f"{counted(training.steps, 'step')}, {training.passes} subnet passes, {_time(training.seconds)} in all."


def _original_text(original: Mapping[str, Any] | None, quality: str) -> list[str]:
    """The network as it came, where the supernet was made of one."""
    if original is None:
        return []
    found = " and ".join(
        f"{original[split]['value']:.4f} ± {original[split]['standard_error']:.4f} on {split}"
        for split in ("validation", "test")
    )
    macs = original["costs"][MACS] / 1e6
    return [
        f"The original, as it came and with its own statistics: {quality} {found}, {macs:.3g} million MACs.",
        "",
    ]


def _further_text(further: Mapping[str, Any]) -> list[str]:
    """Other qualities of the ends."""
    lines = []
    for name, splits in further.items():
        found = "; ".join(
            f"{split}: "
            + ", ".join(
                f"{end} {row['value']:.4f} ± {row['standard_error']:.4f}" for end, row in ends.items()
            )
            for split, ends in splits.items()
        )
        lines += [f"{metric_named(name).label.capitalize()}: {found}.", ""]
    return lines


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _front_text(front: Mapping[str, Any] | None, quality: str) -> list[str]:
    if front is None:
        return []
    points = front["points"]
    settings = ", ".join(f"{key} {value}" for key, value in front["settings"].items())
    counted = Counter(point["verdict"] for point in points)
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in counted.most_common())
    lines = [
        f"## Against the latency of {front['device']}",
        "",
        f"{len(points)} of {front['asked']} subnets that span the space have a latency (verdicts: {verdicts}), timed "
        f"interleaved in one run ({front['runtime']}; {settings}); {quality} on validation. Spearman of MACs and "
        f"latency {_figure(front['spearman_macs_latency'])}, of latency and {quality} "
        f"{_figure(front['spearman_latency_quality'])}. Those on the front:",
        "",
        f"![{quality} against latency](front.png)",
        "",
        f"| latency ms | million MACs | {quality} |",
        "|---|---|---|",
    ]
    for point in points:
        if point["on_front"]:
            lines.append(
                f"| {point[LATENCY]:.3f} ± {point['standard_error_ms']:.3f} | {point[MACS] / 1e6:.3g} "
                f"| {point['value']:.4f} ± {point['standard_error']:.4f} |"
            )
    return [*lines, ""]


def _alone_text(found: Mapping[str, object] | None, quality: str) -> list[str]:
    if found is None:
        return []
    tau = "none (too few nets, or all alike)" if found["tau"] is None else f"{found['tau']:.2f}"
    return [
        f"{found['n']} nets trained alone: Kendall's tau of their {quality} and the supernet's {tau}.",
        "",
    ]


def _shard_text(shards: Sequence[Mapping[str, Sequence[Choice]]]) -> list[str]:
    if not shards:
        return []
    words = [
        ", ".join(f"{axis} {' or '.join(map(str, choices))}" for axis, choices in shard.items())
        for shard in shards
    ]
    return ["", f"{counted(len(shards), 'network')}, each for the subnets with: {'; '.join(words)}."]


def _gpus(stage: StageRecord) -> str:
    names = {sitting.device for sitting in stage.sittings} - {"cpu"}
    return f" on {' and '.join(sorted(names))}" if names else ""


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"


def _examples(manifest: Manifest) -> str:
    """What the examples of a supernet are called."""
    return "texts" if TASKS.load(manifest.task).reads == "text" else "images"


def _stage_text(place: int, stage: StageRecord, examples: str) -> str:
    source = stage.source
    began = f", from {source.name} ({' and '.join(source.carried or ())})" if source else ""
    return (
        f"{place}. {stage.recipe['name']} on {stage.data.name}: {counted(stage.steps, 'step')} of "
        f"{stage.recipe['batch_size']} {examples}, {stage.billed_passes:.0f} passes billed, "
        f"{_time(stage.seconds)} in {len(stage.sittings)} sitting(s){_gpus(stage)}, seed {stage.seed}{began}."
    )
