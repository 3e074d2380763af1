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
from supernets.data import load_data
from supernets.elastic.active import use
from supernets.errors import CheckpointError, ConvertError, DataError
from supernets.pretrained.directory import convert_folder, read_pretrained, sort
from supernets.pretrained.folder import PretrainedFolder
from supernets.pretrained.seen import mean_squares
from supernets.recipes.recipe import Recipe
from supernets.tasks.image_classification import ImageClassification
from supernets.tasks.language_modelling import LanguageModelling
from supernets.tasks.text_classification import TextClassification
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
@pytest.mark.parametrize("sorted_by_data", [False, True])
def test_the_largest_arch_computes_what_the_original_does(
    kind: str, sorted_by_data: bool, tmp_path: Path
) -> None:
    model = write(tmp_path, kind)
    found = read_pretrained(
        PretrainedFolder(tmp_path),
        None if kind == "gpt2" else CLASSES,
        **({} if kind == "vit" else {"sequence": 16}),
    )
    if sorted_by_data:
        task = LanguageModelling() if kind == "gpt2" else TextClassification()
        spec = small_corpus(tmp_path / "data") if kind == "gpt2" else small_texts(tmp_path / "data")
        if kind == "vit":
            task, data = ImageClassification(), load_data("digits,resolution=16")
        else:
            data = load_data(f"{spec},tokenizer={tmp_path / 'tokenizer.json'}")
        before = {name: value.clone() for name, value in found.net.state_dict().items()}
        sort(found.net, task, data)
        seen = mean_squares(found.net, task, data)
        for group in found.net.channel_groups():
            weight = found.net.state_dict()[group.importance[0]]
            worth = (weight.square().sum(0) * seen[group.importance[0]]).view(-1, group.block).sum(1)
            assert (worth.diff() <= 1e-5 * worth.max()).all()
        assert any(not torch.equal(value, before[name]) for name, value in found.net.state_dict().items())
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
    assert manifest.data.name.endswith(",tokenizer=supernet")
    shutil.rmtree(tmp_path / "hf")  # the tokenizer came along
    out = out.rename(tmp_path / "moved")
    supernet = load_supernet(out)
    loaded = load_data(manifest.data.name, beside=out)
    evaluation = evaluate_arch(supernet, loaded, supernet.space.min(), "validation")
    assert evaluation.metric == "accuracy" and evaluation.stats_sha256 is None
    recipe = Recipe.read("instatune").with_steps(2)
    source = read_source(out)
    plan = TrainingPlan(recipe, supernet.family, loaded, supernet.task, 0, source)
    training = start(plan)
    assert set(train_step(training)) == {"max", "random1", "min"}
    (out / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer.json must have SHA-256"):
        load_supernet(out)
    (out / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"must hold its tokenizer.json"):
        load_supernet(out)
    with pytest.raises(DataError, match=r"tokenizer=supernet is that of the supernet"):
        load_data(manifest.data.name)


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (
            {"model_type": "llama"},
            {},
            "model_type must be one of bert, distilbert, gpt2, vit, config.json has 'llama'",
        ),
        ({"model_type": "deit"}, {}, "has a distillation token, which family 'vit' has not"),
        (
            {},
            {"data": "digits"},
            r"data must be text for model_type 'bert', such as text:PATH or corpus:PATH",
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
    data = chosen.pop("data", small_texts(tmp_path / "t"))
    with pytest.raises(ConvertError, match=message):
        convert_folder(tmp_path / "hf", data, tmp_path / "out", name="x", **chosen)
    assert not (tmp_path / "out").exists()


def test_folders_without_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match=r"needs config.json, .* has no file"):
        _ = PretrainedFolder(tmp_path).config
    with pytest.raises(ConvertError, match="must be a folder"):
        PretrainedFolder(tmp_path / "none")
    write(tmp_path, "bert")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConvertError, match="must be a file of the tokenizers library"):
        convert_folder(
            tmp_path, small_texts(tmp_path / "t"), tmp_path / "out", name="x", task="text_classification"
        )
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ConvertError, match=r"needs tokenizer.json, vocab.txt, or .* has config.json"):
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
    from supernets.evaluate import evaluate_arch

    supernet, loaded = load_supernet(out), load_data(manifest.data.name, beside=out)
    found = evaluate_arch(supernet, loaded, supernet.space.max(), "validation")
    ids = loaded.validation.stored.long()
    with torch.no_grad():
        losses = nn.functional.cross_entropy(model(ids).logits.transpose(1, 2), loaded.validation.labels)
    assert found.metric == "perplexity" and found.value == pytest.approx(float(losses.exp()), rel=1e-4)


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_weights_in_several_files_are_read_as_one(form: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    write(tmp_path, "bert")
    whole = read_pretrained(PretrainedFolder(tmp_path), CLASSES, sequence=16).net.state_dict()
    state = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    stem = "model" if form == "safetensors" else "pytorch_model"
    names, places = sorted(state), {}
    for k, part in enumerate((names[:9], names[9:]), start=1):
        file = f"{stem}-{k:05}-of-00002.{form}"
        tensors = {name: state[name] for name in part}
        save_file(tensors, tmp_path / file) if form == "safetensors" else torch.save(tensors, tmp_path / file)
        places |= dict.fromkeys(part, file)
    index = tmp_path / f"{stem}.{form}.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    parts = read_pretrained(PretrainedFolder(tmp_path), CLASSES, sequence=16).net.state_dict()
    assert all(torch.equal(parts[name], value) for name, value in whole.items())
    (tmp_path / f"{stem}-00002-of-00002.{form}").unlink()
    with pytest.raises(ConvertError, match=r"names 2 files, and 1 are missing"):
        PretrainedFolder(tmp_path).tensors()
    index.write_text(json.dumps({"weight_map": {"a": "../secret.bin"}}))
    with pytest.raises(ConvertError, match="names without a folder"):
        PretrainedFolder(tmp_path).tensors()


def test_older_vocabularies_give_the_tokens_of_the_transformers_package(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "the",
        "cat",
        "##s",
        "eat",
        "caf",
        "##e",
        ".",
        "\u4e2d",
    ]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n")
    own = Tokenizer.from_str(PretrainedFolder(tmp_path).tokenizer.decode())
    theirs = transformers.BertTokenizerFast(vocab=str(tmp_path / "vocab.txt"))
    for text in ("The cats eat.", "CAF\u00c9s  the\u4e2d cat", "unknown [SEP] cat", ""):
        assert own.encode(text).ids == theirs(text)["input_ids"], text
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    cased = Tokenizer.from_str(PretrainedFolder(tmp_path).tokenizer.decode())
    assert cased.encode("The cat").tokens == ["[CLS]", "[UNK]", "cat", "[SEP]"]
    (tmp_path / "vocab.txt").write_text("the\ncat\n")
    with pytest.raises(ConvertError, match=r"must have the pieces \[UNK\], \[CLS\], \[SEP\]"):
        _ = PretrainedFolder(tmp_path).tokenizer


def test_byte_pairs_without_a_tokenizer_file_are_read(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    letters = ["h", "e", "l", "o", "\u0120", "he", "ll", "hell", "hello", "<|endoftext|>"]
    (tmp_path / "vocab.json").write_text(json.dumps({piece: k for k, piece in enumerate(letters)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nh e\nl l\nhe ll\nhell o\n")
    own = Tokenizer.from_str(PretrainedFolder(tmp_path).tokenizer.decode())
    assert own.encode("hello hello").tokens == ["hello", "\u0120", "hello"]
    assert own.decode(own.encode("hello hello").ids) == "hello hello"
    (tmp_path / "merges.txt").write_text("h\n")
    with pytest.raises(ConvertError, match="two pieces a line"):
        _ = PretrainedFolder(tmp_path).tokenizer
