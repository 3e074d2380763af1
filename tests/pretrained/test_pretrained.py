"""Folders of the ``transformers`` package become supernets whose largest arch computes the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from supernets import PRETRAINED
from supernets.checkpoints import load_supernet
from supernets.elastic.active import use
from supernets.errors import ConvertError, DataError
from supernets.pretrained.directory import convert_folder, read_pretrained
from supernets.pretrained.folder import PretrainedFolder
from supernets.recipes.recipe import Recipe
from tests.small import small_corpus, small_texts

transformers = pytest.importorskip("transformers")

CLASSES = ("animal", "person", "machine")
TOKENS = 60
BERT = {
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "vocab_size": TOKENS,
    "max_position_embeddings": 32,
    "num_labels": 3,
}
DISTIL = {
    "dim": 24,
    "n_layers": 3,
    "n_heads": 3,
    "hidden_dim": 40,
    "vocab_size": TOKENS,
    "max_position_embeddings": 32,
    "num_labels": 3,
}
GPT = {"n_embd": 24, "n_layer": 3, "n_head": 3, "n_positions": 32, "vocab_size": TOKENS}
VIT = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "image_size": 16,
    "patch_size": 4,
    "num_channels": 1,
    "num_labels": 3,
}


def random(model: Any) -> Any:
    """Weights that are far from their initial values, so that a mistake shows."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2 + 0.02)
    return model.eval()


MODELS: dict[str, Callable[[], Any]] = {
    "bert": lambda: transformers.BertForSequenceClassification(transformers.BertConfig(**BERT)),
    "distilbert": lambda: transformers.DistilBertForSequenceClassification(
        transformers.DistilBertConfig(**DISTIL)
    ),
    "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT)),
    "vit": lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**VIT)),
}


def write_tokenizer(folder: Path, tokens: int = TOKENS) -> None:
    """A word-level tokenizer with special tokens around a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "the",
        "cat",
        "a",
        "dog",
        "my",
        "bird",
        "one",
        "horse",
        "eats",
    ]
    words += ["writes", "computes", "times", *map(str, range(10))]
    vocabulary = {word: index for index, word in enumerate(words)}
    vocabulary |= {f"unused{k}": k for k in range(len(words), tokens)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def write(folder: Path, kind: str) -> Any:
    """The folder of a small model of this kind; returns the model."""
    model = random(MODELS[kind]())
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return model


def test_every_architecture_is_tested() -> None:
    assert set(MODELS) == set(PRETRAINED)


@pytest.mark.parametrize("kind", list(MODELS))
@pytest.mark.parametrize("sort", [False, True])
def test_the_largest_arch_computes_what_the_original_does(kind: str, sort: bool, tmp_path: Path) -> None:
    model = write(tmp_path, kind)
    found = read_pretrained(
        PretrainedFolder(tmp_path),
        None if kind == "gpt2" else CLASSES,
        sort=sort,
        **({} if kind == "vit" else {"sequence": 16}),
    )
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, TOKENS, (4, 16), generator=generator)
    mask = (torch.arange(16) < torch.tensor([[16], [9], [3], [12]])).long()
    inputs: tuple[torch.Tensor, ...] = (ids, mask)
    if kind == "vit":
        inputs = (torch.randn(4, 1, 16, 16, generator=generator),)
    if kind == "gpt2":
        inputs = (ids,)
    with torch.no_grad(), use(found.net, found.family.space().max()):
        expected, got = model(*inputs).logits, found.net(*inputs)
    assert (got - expected).abs().max() <= 1e-5 * max(1.0, float(expected.abs().max()))
    assert found.classifier == ("none" if kind == "gpt2" else "kept") and found.new == ()


def test_a_folder_without_a_head_or_with_other_classes_gets_a_new_classifier(tmp_path: Path) -> None:
    random(transformers.BertModel(transformers.BertConfig(**BERT))).save_pretrained(tmp_path)
    found = read_pretrained(PretrainedFolder(tmp_path), CLASSES, sequence=16)
    assert found.classifier == "new" and found.new == ("classifier.bias", "classifier.weight")
    write(tmp_path, "bert")
    found = read_pretrained(PretrainedFolder(tmp_path), ("a", "b"), sequence=16)
    assert found.classifier == "new"


def test_classes_of_another_order_take_their_own_outputs(tmp_path: Path) -> None:
    model = random(MODELS["bert"]())
    model.config.id2label = dict(enumerate(CLASSES))
    model.config.label2id = {name: k for k, name in enumerate(CLASSES)}
    model.save_pretrained(tmp_path)
    found = read_pretrained(PretrainedFolder(tmp_path), CLASSES[::-1], sequence=16)
    assert found.classifier == "kept"
    assert torch.equal(found.net.state_dict()["classifier.bias"], model.classifier.bias.detach().flip(0))


def test_pickled_weights_are_read_without_running_code(tmp_path: Path) -> None:
    model = write(tmp_path, "bert")
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    assert read_pretrained(PretrainedFolder(tmp_path), CLASSES, sequence=16).classifier == "kept"
    torch.save({"a": nn.Linear(1, 1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ConvertError, match="must hold tensors only"):
        read_pretrained(PretrainedFolder(tmp_path), CLASSES, sequence=16)


def drop(state: dict[str, torch.Tensor]) -> None:
    del state["bert.encoder.layer.1.output.dense.bias"]


def add(state: dict[str, torch.Tensor]) -> None:
    state["bert.encoder.layer.1.lora.weight"] = torch.ones(2)


def cut(state: dict[str, torch.Tensor]) -> None:
    state["bert.encoder.layer.0.intermediate.dense.bias"] = torch.ones(2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, r"1 missing \['encoder.layer.1.output.dense.bias'\]"),
        (add, r"1 unexpected \['encoder.layer.1.lora.weight'\]"),
        (cut, r"1 of another shape \['layers.0.feed_forward.up.bias \(2,\) instead of \(40,\)'\]"),
    ],
)
def test_tensors_that_do_not_fit_are_named_and_refused(
    change: Callable[[dict[str, torch.Tensor]], None], message: str, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    write(tmp_path, "bert")
    state = load_file(tmp_path / "model.safetensors")
    change(state)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ConvertError, match=message):
        read_pretrained(PretrainedFolder(tmp_path), CLASSES, sequence=16)


def test_a_folder_becomes_a_supernet_that_is_evaluated_and_trained_further(tmp_path: Path) -> None:
    from supernets.data import load_data
    from supernets.evaluate import evaluate_arch
    from supernets.training.further import read_source
    from supernets.training.loop import start, train_step
    from supernets.training.plan import TrainingPlan

    write(tmp_path / "hf", "bert")
    data = small_texts(tmp_path / "texts")
    out = tmp_path / "out"
    manifest = convert_folder(
        tmp_path / "hf", data, out, name="tiny", task="text_classification", sequence=16
    )
    assert manifest.preprocessing["prefix"] == [2] and manifest.preprocessing["suffix"] == [3]
    shutil.rmtree(tmp_path / "hf")  # the tokenizer came along
    supernet = load_supernet(out)
    loaded = load_data(manifest.data.name)
    evaluation = evaluate_arch(supernet, loaded, supernet.space.min(), "validation")
    assert evaluation.metric == "accuracy" and evaluation.stats_sha256 is None
    recipe = Recipe.read("instatune").with_steps(2)
    source = read_source(out)
    plan = TrainingPlan(recipe, supernet.family, loaded, supernet.task, 0, source)
    training = start(plan)
    assert set(train_step(training)) == {"max", "random1", "min"}


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (
            {"model_type": "llama"},
            {},
            "model_type must be one of bert, distilbert, gpt2, vit, config.json has 'llama'",
        ),
        ({"hidden_size": "wide"}, {}, "must have hidden_size, a positive whole number"),
        ({"hidden_act": "silu"}, {}, "hidden_act must be one of gelu"),
        ({"position_embedding_type": "relative_key"}, {}, "position_embedding_type must be 'absolute'"),
        ({}, {"task": "image_classification"}, "task must be one of language_modelling, text_classification"),
        ({}, {"sequence": 64}, "sequence must lie in 1 to 32"),
        ({}, {"task": "language_modelling"}, "no token_outputs|needs running text"),
        ({"vocab_size": 61}, {}, "the tokenizer must have the 61 tokens of the embedding"),
    ],
)
def test_folders_that_do_not_fit_are_refused_and_nothing_is_written(
    config: dict[str, Any], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write(tmp_path / "hf", "bert")
    path = tmp_path / "hf" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    chosen = {"task": "text_classification", "sequence": 16, **options}
    with pytest.raises(ConvertError, match=message):
        convert_folder(tmp_path / "hf", small_texts(tmp_path / "t"), tmp_path / "out", name="x", **chosen)
    assert not (tmp_path / "out").exists()


def test_folders_without_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match=r"needs config.json, .* has no file"):
        _ = PretrainedFolder(tmp_path).config
    with pytest.raises(ConvertError, match="must be a folder"):
        PretrainedFolder(tmp_path / "none")
    write(tmp_path, "bert")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match="must be a file of the tokenizers library"):
        convert_folder(
            tmp_path, small_texts(tmp_path / "t"), tmp_path / "out", name="x", task="text_classification"
        )
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ConvertError, match=r"needs tokenizer.json, .* has config.json"):
        convert_folder(
            tmp_path, small_texts(tmp_path / "t"), tmp_path / "out", name="x", task="text_classification"
        )
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ConvertError, match="needs model.safetensors or pytorch_model.bin"):
        read_pretrained(PretrainedFolder(tmp_path), CLASSES, sequence=16)


def test_a_language_model_keeps_its_perplexity(tmp_path: Path) -> None:
    model = write(tmp_path / "hf", "gpt2")
    data = small_corpus(tmp_path / "corpus")
    out = tmp_path / "out"
    manifest = convert_folder(tmp_path / "hf", data, out, name="lm", task="language_modelling", sequence=16)
    from supernets.data import load_data
    from supernets.evaluate import evaluate_arch

    supernet, loaded = load_supernet(out), load_data(manifest.data.name)
    found = evaluate_arch(supernet, loaded, supernet.space.max(), "validation")
    ids = loaded.validation.stored.long()
    with torch.no_grad():
        losses = nn.functional.cross_entropy(model(ids).logits.transpose(1, 2), loaded.validation.labels)
    assert found.metric == "perplexity" and found.value == pytest.approx(float(losses.exp()), rel=1e-4)
