"""What a conversion of a pretrained folder is for, checked before weights and data are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from supernets import PRETRAINED, TASKS
from supernets.data.text.tokenization import Tokenization
from supernets.data_facts.spec import TEXT_SOURCES, DataSpec
from supernets.errors import ConvertError, DataError, nearest
from supernets.pretrained.architecture import Architecture
from supernets.pretrained.folder import PretrainedFolder
from supernets.tasks.task import Task

RUNNING = ("corpus", "python_source")
"""Sources of texts without labels."""
USUAL_SEQUENCE = 64


@dataclass(frozen=True)
class FolderRequest:
    """What a conversion of a folder is for; ``sequence`` is None for images."""

    folder: PretrainedFolder
    architecture: Architecture
    task: Task
    sequence: int | None


def check_request(path: Path, data: str, task: str | None, sequence: int | None) -> FolderRequest:
    """The request without its weights and its data, which are read by the conversion itself.

    Raises:
        ConvertError: names the field: ``folder``, ``data``, ``task`` or ``sequence``.
    """
    folder = PretrainedFolder(path)
    kind = folder.config["model_type"]
    architecture: Architecture = PRETRAINED.load(kind)(folder)
    fitting = [each for each in TASKS if TASKS.load(each).reads == architecture.reads]
    name = task or task_of(path, data)
    if name not in fitting:
        raise ConvertError(
            f"task must be one of {', '.join(fitting)} for model_type {kind!r}, got {name!r}{nearest(name, fitting)}",
            "task", name, fitting,
        )  # fmt: skip
    is_text = architecture.reads == "text"
    if (DataSpec.parse(data).source in TEXT_SOURCES) != is_text:
        sources = (
            [f"{each}:PATH" for each in ("text", "corpus")] if is_text else ["folder:PATH", "parquet:PATH"]
        )
        raise ConvertError(
            f"data must be {architecture.reads} for model_type {kind!r}, such as {' or '.join(sources)}, got {data!r}",
            "data", data, sources,
        )  # fmt: skip
    if not is_text and sequence is not None:
        raise ConvertError(
            f"sequence is of texts, but model_type {kind!r} reads images", "sequence", sequence, "absent"
        )
    architecture.settings(2)
    folder.weight_files()
    length = None
    if is_text:
        length = _sequence(architecture, sequence)
        _check_tokenizer(architecture)
    return FolderRequest(folder, architecture, TASKS.load(name)(), length)


def task_of(path: Path, data: str) -> str:
    """The task that fits a folder and a data set: classification, or language modelling of running text."""
    config = PretrainedFolder(path).config
    architecture = PRETRAINED.load(config["model_type"])
    running = DataSpec.parse(data).source in RUNNING
    if architecture.reads == "images":
        return "image_classification"
    return "language_modelling" if running else "text_classification"


def _sequence(architecture: Architecture, sequence: int | None) -> int:
    positions = int(architecture.settings(2)["positions"])
    chosen = min(USUAL_SEQUENCE, positions) if sequence is None else sequence
    if not 1 <= chosen <= positions:
        rule = f"1 to {positions} (the positions of the network)"
        raise ConvertError(f"sequence must lie in {rule}, got {chosen}", "sequence", chosen, rule)
    return int(chosen)


def _check_tokenizer(architecture: Architecture) -> None:
    rows = architecture.whole("vocab_size")
    try:
        tokens = Tokenization.of(architecture.folder.tokenizer).vocabulary
    except DataError as error:
        raise ConvertError(str(error), "folder") from error
    if tokens != rows:
        raise ConvertError(
            f"the tokenizer must have the {rows:,} tokens of the embedding (vocab_size of config.json), got {tokens:,}",
            "folder",
        )
