"""A pretrained folder over HTTP: from the folder to an ONNX file that classifies a sentence, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from service.conversions import pretrained
from service.db.session import Database
from service.settings import Settings
from service.subnets import export_job
from supernets.export.metadata import read_metadata
from supernets.export.runtime import session
from tests.service.rows import insert_measured
from tests.service.test_conversions import run
from tests.small import small_texts

pytest.importorskip("transformers")
from tests.pretrained.test_pretrained import write

BODY: dict[str, Any] = {"name": "intents", "folder": "hf", "data": "text:texts.parquet", "sequence": 16}


@pytest.fixture
def imports(settings: Settings) -> Path:
    assert settings.import_dir is not None
    write(settings.import_dir / "hf", "bert")
    small_texts(settings.import_dir)
    return settings.import_dir


def nothing_is_stored(client: TestClient, settings: Settings) -> bool:
    left = [path.name for path in settings.home.glob("pretrained-*")]
    return (
        not left
        and client.get("/v1/jobs").json()["items"] == [] == client.get("/v1/supernets").json()["items"]
    )


def test_a_folder_becomes_a_file_that_classifies_a_sentence(
    client: TestClient, database: Database, settings: Settings, imports: Path, tmp_path: Path
) -> None:
    from tokenizers import Tokenizer

    answer = client.post("/v1/conversions:pretrained", json=BODY)
    assert answer.status_code == 202, answer.text
    assert (
        client.post("/v1/conversions:pretrained", json=BODY).status_code == 409
    )  # the name is taken from now on
    job = answer.json()["job"]["id"]
    run(database, settings, job, pretrained.run)
    supernet = client.get(client.get(f"/v1/jobs/{job}").json()["resource"]["href"]).json()
    assert (supernet["source"], supernet["family"], supernet["quality"]) == ("conversion", "bert", "accuracy")
    assert supernet["data"]["name"].endswith("texts.parquet,tokenizer=supernet")
    shutil.rmtree(imports / "hf")  # the supernet has its own tokenizer

    further = {"source": supernet["id"], "steps": 2}
    for asked, recipe in (
        ({}, "largest_first"),
        ({"recipe": None}, "largest_first"),
        ({"recipe": "random"}, "random"),
    ):
        estimate = client.post("/v1/trainings:estimate", json=further | asked)
        assert estimate.status_code == 200, estimate.text
        assert (estimate.json()["recipe"], estimate.json()["steps"]) == (recipe, 2)

    target = client.post("/v1/targets", json={}).json()
    search = {"supernet": supernet["id"], "targets": [target["id"]], "budget": {"evaluations": 2}}
    for route, body in (
        ("/v1/searches", search | {"constraints": [{"metric": "perplexity", "max": 3}]}),
        ("/v1/predictors", {"supernet": supernet["id"], "metric": "perplexity"}),
    ):
        refused = client.post(route, json=body)
        assert refused.status_code == 422, refused.text
        (error,) = refused.json()["errors"]
        assert error["got"] == "perplexity" and "accuracy" in error["allowed"], error
    subnets = insert_measured(database, supernet["id"], target["id"])
    subnet = subnets[next(iter(subnets))]
    asked = client.post(f"/v1/subnets/{subnet}/exports", json={})
    assert asked.status_code == 202, asked.text
    run(database, settings, asked.json()["job"]["id"], export_job.run)
    (export,) = client.get(f"/v1/subnets/{subnet}").json()["exports"]
    file = tmp_path / "subnet.onnx"
    file.write_bytes(client.get(f"/v1/artifacts/{export['sha256']}").content)
    facts = read_metadata(file)
    assert facts["preprocessing"]["tokenizer_sha256"] == supernet["preprocessing"]["tokenizer_sha256"]
    tokenizer = Tokenizer.from_str(facts["tokenizer"])
    runner = session(file)
    for text in ("the cat eats 3 times", "a dog writes", "one"):
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        (logits,) = runner.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        assert logits.shape == (1, 3) and np.isfinite(logits).all()


def bad_config(**values: Any) -> Callable[[Path], None]:
    def change(imports: Path) -> None:
        path = imports / "hf" / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def table(**columns: list[Any]) -> Callable[[Path], None]:
    return lambda imports: pq.write_table(pa.table(columns), imports / "texts.parquet")


def removed(name: str) -> Callable[[Path], None]:
    return lambda imports: (imports / "hf" / name).unlink()


def unchanged(imports: Path) -> None:
    del imports


@pytest.mark.parametrize(
    ("change", "body", "field", "words"),
    [
        (
            bad_config(model_type="llama"),
            {},
            "folder",
            "one of bert, distilbert, gpt2, vit, config.json has 'llama'",
        ),
        (bad_config(model_type="deit"), {}, "folder", "has a distillation token"),
        (bad_config(vocab_size=61), {}, "folder", "must have the 61 tokens of the embedding"),
        (removed("tokenizer.json"), {}, "folder", "needs tokenizer.json, vocab.txt, or"),
        (removed("model.safetensors"), {}, "folder", "needs model.safetensors or pytorch_model.bin"),
        (removed("config.json"), {}, "folder", "needs config.json"),
        (unchanged, {"folder": "elsewhere"}, "folder", "elsewhere"),
        (unchanged, {"folder": "../hf"}, "folder", "inside it"),
        (unchanged, {"sequence": 64}, "sequence", "1 to 32 .the positions of the network., got 64"),
        (unchanged, {"sequence": 0}, "sequence", ""),
        (
            unchanged,
            {"task": "image_classification"},
            "task",
            "one of language_modelling, text_classification",
        ),
        (unchanged, {"task": "translation"}, "task", "one of image_classification"),
        (
            unchanged,
            {"task": "text_classification", "quality": "perplexity"},
            "quality",
            "one of accuracy, got 'perplexity'",
        ),
        (unchanged, {"quality": "bleu"}, "quality", "one of accuracy"),
        (unchanged, {"data": "digits"}, "data", "must be text for model_type 'bert'"),
        (unchanged, {"data": "text:none.parquet"}, "data", "none.parquet"),
        (table(text=["a", " "] * 40, label=[0, 1] * 40), {}, "data", "needs a text, but row 1 has ' '"),
        (table(text=[1, 2] * 40, label=[0, 1] * 40), {}, "data", "must have one column of texts"),
        (table(text=["a", "b"] * 40, label=[0.5, 1.0] * 40), {}, "data", "label"),
        (table(text=["a", "b"] * 40), {}, "data", "must have one label column"),
    ],
)
def test_what_does_not_fit_names_the_field_and_stores_nothing(
    client: TestClient,
    settings: Settings,
    imports: Path,
    change: Callable[[Path], None],
    body: dict[str, Any],
    field: str,
    words: str,
) -> None:
    import re

    change(imports)
    answer = client.post("/v1/conversions:pretrained", json=BODY | body)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"].split(".")[0] == field and error["allowed"] is not None
    assert re.search(words, answer.json()["detail"]), answer.text
    assert nothing_is_stored(client, settings)


def test_weights_that_do_not_fit_fail_the_job_and_register_nothing(
    client: TestClient, database: Database, settings: Settings, imports: Path
) -> None:
    (imports / "hf" / "model.safetensors").write_bytes(b"0" * 100)
    answer = client.post("/v1/conversions:pretrained", json=BODY)
    assert answer.status_code == 202
    with pytest.raises(Exception, match=r"model.safetensors cannot be read"):
        run(database, settings, answer.json()["job"]["id"], pretrained.run)
    assert client.get("/v1/supernets").json()["items"] == []
