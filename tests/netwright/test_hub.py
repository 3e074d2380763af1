"""The folder for the Hugging Face hub: what its readers parse, and that it holds the verified file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from netwright import Client
from netwright.errors import NetwrightError
from netwright.hub import Change, Latency, Processor, hub_files
from service.db.tables import Export
from supernets.export.metadata import file_metadata
from tests.netwright.house import ONNX, House

HOW: dict[str, Any] = {
    "channels": 3, "height": 28, "width": 28, "base_resolution": 32, "fit": "crop", "crop": 0.875,
    "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "resize": "bilinear-antialias", "range": "0..1",
}  # fmt: skip
QUALITY = {"metric": "accuracy", "value": 0.9, "standard_error": 0.01, "n": 100, "split": "test"}


def metadata(licence: str | None = None, quality: dict[str, Any] | None = None, **how: Any) -> dict[str, str]:
    return file_metadata(
        supernet="a: b", arch={"resolution": 28}, weights_sha256="1" * 64, stats_sha256="2" * 64,
        preprocessing={**HOW, **how}, classes=["cat", "dog"], task="image_classification", quality=quality,
        licence=licence,
    )  # fmt: skip


def front_matter(card: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return found


def test_the_card_states_licence_task_quality_costs_and_latencies() -> None:
    latencies = [Latency("board", 3.25, 0.01, 40)]
    card = hub_files(metadata("CC-BY-4.0", QUALITY), {"params": 1000}, latencies)["README.md"]
    matter = front_matter(card)
    assert (matter["license"], matter["pipeline_tag"]) == ("cc-by-4.0", "image-classification")
    [entry] = matter["model-index"]
    assert entry["name"] == "a: b"
    assert entry["results"][0]["metrics"] == [{"type": "accuracy", "value": 0.9}]
    assert "0.9000 ± 0.0100 on 100 test examples" in card
    assert "| params | 1,000 |" in card and "| board | 3.25 ± 0.01 | 40 |" in card
    assert "(1, 3, 28, 28)" in card


def test_what_was_not_stated_is_absent() -> None:
    matter = front_matter(hub_files(metadata(), {})["README.md"])
    assert "license" not in matter and "model-index" not in matter


def test_classes_and_preprocessing_are_in_the_words_of_the_hub() -> None:
    files = hub_files(metadata(), {})
    config, how = json.loads(files["config.json"]), json.loads(files["preprocessor_config.json"])
    assert config["id2label"] == {"0": "cat", "1": "dog"} and config["label2id"]["dog"] == 1
    assert how["size"] == {"shortest_edge": 32} and how["crop_size"] == {"height": 28, "width": 28}
    assert how["image_mean"] == HOW["mean"] and how["rescale_factor"] == pytest.approx(1 / 255)
    squeezed = json.loads(hub_files(metadata(fit="squeeze"), {})["preprocessor_config.json"])
    assert squeezed["size"] == {"height": 28, "width": 28} and not squeezed["do_center_crop"]


def test_the_folder_holds_the_verified_file(
    client: Client, house: House, ids: dict[str, str], tmp_path: Path
) -> None:
    export = client.exports.create(ids["subnet"]).wait()
    house.change(Export, export.id, facts=metadata("MIT"))
    folder = export.refresh().save_hub(tmp_path / "hub")
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.onnx", "README.md", "config.json", "preprocessor_config.json"}
    assert (folder / "model.onnx").read_bytes() == ONNX
    assert "| cpu |" in (folder / "README.md").read_text()


def test_another_format_is_refused(client: Client, ids: dict[str, str], tmp_path: Path) -> None:
    export = client.exports.create(ids["subnet"], format="pt2").wait()
    with pytest.raises(NetwrightError, match="this export is pt2"):
        export.save_hub(tmp_path)


def test_the_card_states_what_a_precision_changes_and_on_which_processor() -> None:
    times = {"fp32": 9.5, "u8": 12.25, "s8": 13.0}
    change = Change(
        metric="accuracy",
        n=500,
        quality={"fp32": 0.91, "int8": 0.9},
        difference=-0.01,
        standard_error=0.002,
        latency_ms=times,
        bytes={"fp32": 1000, "int8": 300},
        device=Processor("Example CPU"),
        dot_products=False,
        activation="u8",
    )
    card = hub_files(metadata(), {"macs": 1.0}, (), {"int8": change})["README.md"]
    assert "| int8 | 12.25 | 9.5 | -0.0100 ± 0.0020 | Example CPU | no |" in card
    assert "instruction for 8-bit dot products (VNNI on x86)" in card
