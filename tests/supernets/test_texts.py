"""Texts as data: tokens, special tokens, splits, windows, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from supernets.data import load_data
from supernets.data.text.dataset import NO_TOKEN
from supernets.data.text.tokenization import Tokenization
from supernets.errors import DataError, PlanError
from supernets.recipes.recipe import Recipe
from supernets.tasks.language_modelling import NO_TARGET, LanguageModelling
from supernets.tasks.task import at_sequence
from supernets.tasks.text_classification import TextClassification
from supernets.training.plan import FamilyRequest, TrainingRequest, resolve
from tests.pretrained.test_pretrained import write_tokenizer
from tests.small import TEXT_FAMILY, small_corpus, small_texts


def table(folder: Path, **columns: Any) -> str:
    pq.write_table(pa.table(columns), folder / "t.parquet")
    return f"text:{folder / 't.parquet'}"


def test_bytes_are_tokens_and_lengths_are_kept(tmp_path: Path) -> None:
    texts = [f"text {k} é" for k in range(120)]
    data = load_data(
        table(tmp_path, text=texts, label=[k % 2 for k in range(120)], split=["train", "val", "test"] * 40)
    )
    assert [len(data.split(name)) for name in ("train", "validation", "test")] == [40, 40, 40]
    row = data.train.head(1)[0]
    assert bytes(row[row != NO_TOKEN].tolist()).decode() == "text 0 é"
    assert data.classes == ("0", "1") and data.preprocessing()["vocabulary"] == 256


def test_special_tokens_and_truncation_are_the_tokenizers_own(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    write_tokenizer(tmp_path)
    spec = small_texts(tmp_path / "texts")
    data = load_data(f"{spec},tokenizer={tmp_path / 'tokenizer.json'}")
    task = TextClassification()
    for length in (4, 5, 12):
        ids, mask = task.prepare(data.test.stored, data.preprocessing(), {"sequence": length})
        reference = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        reference.enable_truncation(length)
        reference.enable_padding(length=length, pad_id=0)
        texts = [data.tokenization.decode(row[row >= 0].tolist()) for row in data.test.stored]
        expected = reference.encode_batch(texts)
        assert ids.tolist() == [each.ids for each in expected]
        assert mask.tolist() == [each.attention_mask for each in expected]
    with pytest.raises(DataError, match="sequence must be at least 3"):
        task.prepare(data.test.stored, data.preprocessing(), {"sequence": 2})


def test_a_window_is_followed_by_its_targets_and_splits_share_no_piece(tmp_path: Path) -> None:
    data = load_data(small_corpus(tmp_path))
    for name in ("train", "validation", "test"):
        tokens, following = data.held(name).stored, data.held(name).labels
        assert torch.equal(tokens[:, 1:].long(), following[:, :-1])
    shown = LanguageModelling().show(data.test.stored[0], data.test.labels[0], data)
    assert shown.content.decode()[1:] == shown.target[:-1]


def test_padding_has_no_target_and_a_shorter_sequence_is_the_first_tokens() -> None:
    task = LanguageModelling()
    outputs = torch.randn(2, 3, 5)
    targets = torch.tensor([[1, 2, NO_TARGET, 4], [0, NO_TARGET, NO_TARGET, 4]])
    logits, right = task.rows(outputs, targets)
    assert right.tolist() == [1, 2, 0] and torch.equal(
        logits, torch.stack([outputs[0, 0], outputs[0, 1], outputs[1, 0]])
    )
    losses = torch.nn.functional.cross_entropy(logits, right, reduction="none")
    assert torch.allclose(task.scores(outputs, targets).float(), torch.stack([losses[:2].mean(), losses[2]]))
    value, _ = task.summarise(torch.tensor([2.0, 4.0]))
    assert value == pytest.approx(20.0855, rel=1e-4)
    assert task.metric.direction == "min"


def test_a_sequence_longer_than_the_positions_is_refused() -> None:
    sizes = {"sequence": 16, "positions": 24}
    assert at_sequence(sizes, 0) == sizes and at_sequence(sizes, 24)["sequence"] == 24
    assert at_sequence({"height": 8}, 24) == {"height": 8}
    with pytest.raises(DataError, match="at most 24, the positions of the network, got 25"):
        at_sequence(sizes, 25)


LABELS = [k % 2 for k in range(120)]
TEXTS = [f"text {k}" for k in range(120)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": list(range(120)), "label": LABELS}, "must have one column of texts"),
        ({"text": TEXTS, "label": [k + 0.5 for k in range(120)]}, "whole numbers or text"),
        ({"text": [*TEXTS[:5], " ", *TEXTS[6:]], "label": LABELS}, "row 5 has ' '"),
        ({"text": [*TEXTS[:5], None, *TEXTS[6:]], "label": LABELS}, "row 5 has none"),
        ({"text": TEXTS, "label": [*LABELS[:7], None, *LABELS[8:]]}, "row 7 has none"),
        ({"text": TEXTS}, "must have one label column"),
        (
            {"text": TEXTS, "label": LABELS, "split": ["train"] * 119 + ["other"]},
            "must hold train, validation or test",
        ),
        ({"text": TEXTS, "label": LABELS, "split": ["test"] * 120}, "must have rows of train"),
        ({"text": TEXTS[:10], "label": LABELS[:10]}, "too few to cut out"),
    ],
)
def test_bad_texts_are_refused(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_data(table(tmp_path, **columns))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("text:{f}/none.parquet", "there is none at"),
        ("corpus:{f}", "there is none at"),
        ("corpus:{f}/small.txt", "needs at least 20 windows"),
        ("text:{f}/small.txt", "must be a parquet file"),
        ("text:{f},channels=3", "takes the options tokenizer, window"),
        ("digits,window=8", "takes the options resolution"),
        ("corpus:{f}/small.txt,window=3", "8 <= window"),
        ("corpus:{f}/small.txt,tokenizer={f}/small.txt", "must be a file of the tokenizers library"),
        ("corpus:{f}/small.txt,tokenizer={f}/none.json", "cannot be read"),
    ],
)
def test_bad_specs_are_refused(spec: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text("a few words")
    folder = tmp_path if "small" in spec or "none" in spec else tmp_path / "empty"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        load_data(spec.replace("{f}", str(folder)))


@pytest.mark.parametrize(
    ("task", "family", "field", "message"),
    [
        ("image_classification", "bert", "task", "needs images, but"),
        ("language_modelling", "bert", "family.family", "no token_outputs"),
        ("text_classification", "vit", "family.family", "no vocabulary"),
    ],
)
def test_tasks_families_and_data_that_do_not_fit_name_the_field(
    task: str, family: str, field: str, message: str, tmp_path: Path
) -> None:
    spec = small_corpus(tmp_path) if task == "language_modelling" else small_texts(tmp_path)
    data = load_data(spec)
    settings = {} if family == "vit" else TEXT_FAMILY
    request = TrainingRequest(Recipe.read("sandwich"), spec, FamilyRequest(family, settings, True), task)
    with pytest.raises(PlanError, match=message) as refused:
        resolve(request, data)
    assert refused.value.field == field


def test_a_tokenizer_that_changes_the_text_is_refused() -> None:
    with pytest.raises(DataError, match="must be a file of the tokenizers library"):
        Tokenization.of(b"[]")


@pytest.mark.parametrize("special", [True, False])
def test_texts_without_any_token_are_refused(tmp_path: Path, special: bool) -> None:
    """A BERT normaliser removes control and format characters, which are no white space either."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "one": 2}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if special:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A", special_tokens=[("[CLS]", 1)]
        )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    texts = ["one"] * 117 + ["\u200b", "one", "one"]
    spec = table(tmp_path, text=texts, label=[k % 2 for k in range(120)], split=["train", "val", "test"] * 40)
    spec = f"{spec},tokenizer={tmp_path / 'tokenizer.json'}"
    if special:
        assert len(load_data(spec).train) == 40
        return
    with pytest.raises(DataError, match=r"gives none for 1 text of train, the first is '\\u200b'"):
        load_data(spec)
