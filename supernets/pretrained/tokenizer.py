"""The tokenizer of a pretrained folder: its ``tokenizer.json``, or one made of the vocabulary of older folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from supernets.data.text.tokenization import TOKENIZER_FILE
from supernets.errors import ConvertError

WORD_PIECES, BYTE_PAIRS = "vocab.txt", ("vocab.json", "merges.txt")
SETTINGS = "tokenizer_config.json"
MAX_VOCABULARY = 64 << 20
JsonFile = Callable[[str], Mapping[str, Any] | None]


def tokenizer_of(folder: Path, json_file: JsonFile) -> bytes:
    """The content of a ``tokenizer.json`` for the folder.

    ``vocab.txt`` is read as BERT's word pieces, ``vocab.json`` with ``merges.txt`` as GPT-2's byte pairs.

    Args:
        folder: of the pretrained network.
        json_file: reads a JSON object of it, None where there is none.

    Raises:
        ConvertError: the folder has none of these files, or they hold no vocabulary.
    """
    if (folder / TOKENIZER_FILE).is_file():
        return (folder / TOKENIZER_FILE).read_bytes()
    if (folder / WORD_PIECES).is_file():
        return _word_pieces(_text(folder / WORD_PIECES), json_file(SETTINGS) or {})
    if all((folder / name).is_file() for name in BYTE_PAIRS):
        return _byte_pairs(json_file(BYTE_PAIRS[0]) or {}, _text(folder / BYTE_PAIRS[1]))
    names = sorted(path.name for path in folder.iterdir())[:20]
    raise ConvertError(
        f"a pretrained network of texts needs {TOKENIZER_FILE}, {WORD_PIECES}, or {' with '.join(BYTE_PAIRS)}, "
        f"{folder.name!r} has {', '.join(names)}"
    )


def _text(path: Path) -> str:
    if (size := path.stat().st_size) > MAX_VOCABULARY:
        raise ConvertError(f"{path.name} may have {MAX_VOCABULARY:,} bytes, got {size:,}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConvertError(f"{path.name} must be text in UTF-8: {error}") from error


def _word_pieces(content: str, settings: Mapping[str, Any]) -> bytes:
    """BERT's tokenizer (Devlin et al., 2019): one word piece a line, in order of the ids."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    vocabulary = {piece: index for index, piece in enumerate(content.splitlines())}
    special = {
        name: str(settings.get(name, f"[{name[:3].upper()}]"))
        for name in ("unk_token", "cls_token", "sep_token")
    }
    if absent := [piece for piece in special.values() if piece not in vocabulary]:
        raise ConvertError(
            f"{WORD_PIECES} must have the pieces {', '.join(special.values())}, and has no {absent[0]}"
        )
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer(
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True) is not False,
        strip_accents=settings.get("strip_accents"),
        lowercase=settings.get("do_lower_case", True) is not False,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    first, last = special["cls_token"], special["sep_token"]
    ends = [(first, vocabulary[first]), (last, vocabulary[last])]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=ends)
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([*special.values(), *({"[PAD]", "[MASK]"} & vocabulary.keys())])
    return str(tokenizer.to_str()).encode()


def _byte_pairs(vocabulary: Mapping[str, Any], merges: str) -> bytes:
    """GPT-2's tokenizer (Radford et al., 2019)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    lines = [line.split(" ") for line in merges.splitlines() if line and not line.startswith("#version")]
    pairs = [(pair[0], pair[1]) for pair in lines if len(pair) == 2]
    if len(pairs) != len(lines) or not all(isinstance(index, int) for index in vocabulary.values()):
        raise ConvertError("merges.txt must have two pieces a line, and vocab.json an id for each piece")
    try:
        tokenizer = Tokenizer(models.BPE(dict(vocabulary), pairs))
    except Exception as error:  # the library raises Exception itself
        raise ConvertError(f"vocab.json and merges.txt do not fit: {str(error).splitlines()[0]}") from error
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"] if "<|endoftext|>" in vocabulary else [])
    return str(tokenizer.to_str()).encode()
