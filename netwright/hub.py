"""An exported network as a folder in the layout of the Hugging Face hub: model, card, settings of the preprocessing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netwright.client.http.decode import read

PREFIX = "netwright."
MODEL, CARD = "model.onnx", "README.md"
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
BILINEAR = 2
"""Number of this filter in Pillow, which preprocessor settings of the hub use."""
PRECISION_COLUMNS = (
    "precision",
    "latency in ms",
    "of fp32, in turns with it",
    "change in quality",
    "processor",
    "8-bit dot products",
)
DOT_PRODUCTS_NOTE = (
    "Latencies of precisions are medians on one thread. int8 may be slower than fp32 on a processor without an "
    "instruction for 8-bit dot products (VNNI on x86), and fp16 on a CPU saves space alone."
)
PIPELINES = {"image_classification": "image-classification"}
USE = """import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
batch = np.zeros({shape}, np.float32)  # see preprocessor_config.json
scores = session.run(None, {{session.get_inputs()[0].name: batch}})[0]
"""


@dataclass(frozen=True, slots=True)
class Latency:
    """A measured latency in ms with its standard error, on a target of this name."""

    target: str
    value: float
    standard_error: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Processor:
    """What latencies of precisions were measured on."""

    cpu: str


@dataclass(frozen=True, slots=True)
class Change:
    """What another precision changes, by kind of file: quality on ``n`` examples, latency in ms, and size.

    ``difference`` is that of the quality, with its standard error. ``activation`` is the kind of an int8 file, and
    ``dot_products`` whether the processor has an instruction for those of 8-bit integers.
    """

    metric: str
    n: int
    quality: dict[str, float]
    difference: float
    standard_error: float
    latency_ms: dict[str, float]
    bytes: dict[str, int]
    device: Processor | None = None
    dot_products: bool | None = None
    activation: str | None = None


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an image becomes an input: sizes in pixels, ``fit``, mean and standard deviation of each channel."""

    channels: int
    height: int
    width: int
    fit: str
    mean: list[float]
    std: list[float]
    crop: float = 1.0


@dataclass(frozen=True, slots=True)
class Quality:
    """The quality of the subnet on a split."""

    metric: str
    value: float
    n: int
    split: str
    standard_error: float | None = None


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The metadata of an exported file that the folder repeats."""

    supernet: str
    arch: dict[str, object]
    weights_sha256: str
    task: str
    classes: list[str]
    preprocessing: Preprocessing
    quality: Quality | None = None
    licence: str | None = None


def facts_of(metadata: Mapping[str, str]) -> FileFacts:
    """The facts in the metadata of an exported file."""
    return read(FileFacts, {name.removeprefix(PREFIX): json.loads(text) for name, text in metadata.items()})


def hub_files(
    metadata: Mapping[str, str],
    costs: Mapping[str, float],
    latencies: Sequence[Latency] = (),
    changes: Mapping[str, Change] | None = None,
) -> dict[str, str]:
    """Text files of the folder, by name.

    Args:
        metadata: of the exported file.
        costs: ``params``, ``macs`` and the like of the subnet.
        latencies: measured ones, for the card.
        changes: what each other precision in which the subnet was exported changes.
    """
    facts = facts_of(metadata)
    return {
        CARD: _card(facts, costs, latencies, changes or {}),
        CONFIG: json.dumps(_config(facts), indent=2) + "\n",
        PREPROCESSOR: json.dumps(_preprocessor(facts.preprocessing), indent=2) + "\n",
    }


def _config(facts: FileFacts) -> dict[str, object]:
    how, classes = facts.preprocessing, facts.classes
    return {
        "model_type": "netwright",
        "task": facts.task,
        "num_channels": how.channels,
        "image_size": [how.height, how.width],
        "id2label": {str(index): name for index, name in enumerate(classes)},
        "label2id": {name: index for index, name in enumerate(classes)},
        "supernet": facts.supernet,
        "arch": facts.arch,
        "weights_sha256": facts.weights_sha256,
    }


def _preprocessor(how: Preprocessing) -> dict[str, object]:
    """The settings in the hub's format, which has none for padded images: ``fit`` states it."""
    size = {"height": how.height, "width": how.width}
    cropped = how.fit == "crop"
    edge = {"shortest_edge": round(how.height / how.crop)}
    return {
        "do_resize": True,
        "size": edge if cropped else size,
        "do_center_crop": cropped,
        **({"crop_size": size} if cropped else {}),
        "resample": BILINEAR,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": how.mean,
        "image_std": how.std,
        "do_convert_rgb": how.channels == 3,
        "fit": how.fit,
    }


def _card(
    facts: FileFacts,
    costs: Mapping[str, float],
    latencies: Sequence[Latency],
    changes: Mapping[str, Change],
) -> str:
    how, quality = facts.preprocessing, facts.quality
    shape = (1, how.channels, how.height, how.width)
    parts = [
        "---\n" + "\n".join(_front_matter(facts)) + "\n---",
        f"# {facts.supernet}",
        f"A subnet of the supernet `{facts.supernet}`, found and exported by Netwright. Input: float32 "
        f"`(N, {', '.join(map(str, shape[1:]))})`. Outputs: {len(facts.classes)}.",
    ]
    if quality:
        error = quality.standard_error
        spread = "" if error is None else f" ± {error:.4f}"
        parts.append(
            f"**{quality.metric}** {quality.value:.4f}{spread} on {quality.n} {quality.split} examples."
        )
    parts.append(_table(("cost", "value"), ((name, f"{value:,.6g}") for name, value in costs.items())))
    if latencies:
        rows = ((row.target, _with_error(row), str(row.n)) for row in latencies)
        parts.append(_table(("target", "latency in ms", "n"), rows))
    if changes:
        parts += [_table(PRECISION_COLUMNS, map(_changed, changes, changes.values())), DOT_PRODUCTS_NOTE]
    parts.append(f"```python\n{USE.format(shape=shape)}```")
    return "\n\n".join(parts) + "\n"


def _front_matter(facts: FileFacts) -> Iterable[str]:
    """Lines of YAML; texts are quoted as in JSON, which YAML contains."""
    if facts.licence:
        yield f"license: {json.dumps(facts.licence.lower())}"
    yield "library_name: onnx"
    if facts.task in PIPELINES:
        yield f"pipeline_tag: {PIPELINES[facts.task]}"
    yield 'tags: ["onnx", "onnxruntime", "neural-architecture-search"]'
    quality = facts.quality
    if quality:
        metric = {"type": quality.metric, "value": quality.value}
        data = {"name": "test split of its data", "type": "images", "split": quality.split}
        task = {"type": PIPELINES.get(facts.task, facts.task)}
        results = [{"task": task, "dataset": data, "metrics": [metric]}]
        yield f"model-index: {json.dumps([{'name': facts.supernet, 'results': results}])}"


def _changed(precision: str, change: Change) -> tuple[str, ...]:
    """A row of what a precision changes."""
    times, known = change.latency_ms, {True: "yes", False: "no", None: "unknown"}
    return (
        precision,
        f"{times[change.activation or precision]:.4g}",
        f"{times['fp32']:.4g}",
        f"{change.difference:+.4f} ± {change.standard_error:.4f}",
        change.device.cpu if change.device is not None else "unknown",
        known[change.dot_products],
    )


def _with_error(row: Latency) -> str:
    return f"{row.value:.4g}" if row.standard_error is None else f"{row.value:.4g} ± {row.standard_error:.2g}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write the text files into ``folder``, which is made if it is absent."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
