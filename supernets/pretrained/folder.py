"""A folder as Hugging Face writes it: ``config.json``, weights, and a tokenizer. No code in it is run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from supernets import PRETRAINED
from supernets.errors import CheckpointError, ConvertError
from supernets.pretrained.tokenizer import tokenizer_of
from supernets.torch_file import UnsafeFileError, read_torch, require_small

CONFIG = "config.json"
SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
INDEX = ".index.json"
"""Ending of the file that says which of several files holds which tensor."""
MAX_CONFIG, MAX_WEIGHTS, MAX_SHARDS = 1 << 24, 8 << 30, 1000
HINTS = {
    "deit": "a DeiT of this type has a distillation token, which family 'vit' has not; the DeiT without one have "
    "model_type 'vit'",
    "roberta": "save an encoder of type bert or distilbert in its place",
    "gpt_neox": "save a decoder of type gpt2 in its place",
}
"""What can be done about some architectures that are not read."""


@dataclass(frozen=True)
class PretrainedFolder:
    """The files of a pretrained network; they are read when they are needed."""

    path: Path

    def __post_init__(self) -> None:
        if not self.path.is_dir():
            raise ConvertError(f"a pretrained network must be a folder, got {str(self.path)!r}")

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """``config.json``; raises ``ConvertError`` if it is absent or of an unknown architecture."""
        values = self.json_file(CONFIG)
        if values is None:
            raise ConvertError(
                f"a pretrained network needs {CONFIG}, {self.path.name!r} has {', '.join(self._names()) or 'no file'}"
            )
        kind = values.get("model_type")
        if kind not in PRETRAINED:
            hint = f"; {HINTS[kind]}" if isinstance(kind, str) and kind in HINTS else ""
            raise ConvertError(
                f"model_type must be one of {', '.join(PRETRAINED)}, {CONFIG} has {kind!r}{hint}"
            )
        return values

    def json_file(self, name: str) -> dict[str, Any] | None:
        """A JSON object of the folder, or None where there is no such file."""
        path = self.path / name
        if not path.is_file():
            return None
        try:
            if path.stat().st_size > MAX_CONFIG:
                raise ConvertError(f"{name} may have {MAX_CONFIG:,} bytes, got {path.stat().st_size:,}")
            values = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise ConvertError(f"{name} must be JSON: {error}") from error
        if not isinstance(values, dict):
            raise ConvertError(f"{name} must be a JSON object, got {type(values).__name__}")
        return values

    @property
    def tokenizer(self) -> bytes:
        """``tokenizer.json``, also made of older vocabularies; raises ``ConvertError`` where there is none."""
        return tokenizer_of(self.path, self.json_file)

    def tensors(self) -> dict[str, Tensor]:
        """All weights by name, in float32; from one file, or from those that an index names."""
        found: dict[str, Tensor] = {}
        paths = self.weight_files()
        if (size := sum(path.stat().st_size for path in paths)) > MAX_WEIGHTS:
            raise ConvertError(f"the weights may have {MAX_WEIGHTS:,} bytes, got {size:,}")
        for path in paths:
            found |= _read(path)
        return {name: value.float() if value.is_floating_point() else value for name, value in found.items()}

    def weight_files(self) -> list[Path]:
        """The files with the weights; raises ``ConvertError`` where there are none, or some are missing."""
        for name in (SAFE, PICKLED):
            if (self.path / name).is_file():
                return [self.path / name]
            if (index := self.json_file(name + INDEX)) is not None:
                return self._shards(name + INDEX, index)
        raise ConvertError(
            f"a pretrained network needs {SAFE} or {PICKLED}, whole or with {INDEX}, {self.path.name!r} has "
            f"{', '.join(self._names())}"
        )

    def _shards(self, name: str, index: Mapping[str, Any]) -> list[Path]:
        """The files that an index names, each of which must lie in the folder itself."""
        places = index.get("weight_map")
        files = (
            sorted(set(places.values())) if isinstance(places, dict) and _are_names(places.values()) else []
        )
        if not 0 < len(files) <= MAX_SHARDS:
            raise ConvertError(
                f"weight_map of {name} must have 1 to {MAX_SHARDS} files by tensors, names without a folder"
            )
        if absent := [file for file in files if not (self.path / file).is_file()]:
            raise ConvertError(
                f"{name} names {len(files)} files, and {len(absent)} are missing: {absent[:5]}"
            )
        return [self.path / file for file in files]

    def _names(self) -> list[str]:
        return sorted(path.name for path in self.path.iterdir())[:20]


def _are_names(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) and Path(value).name == value and value for value in values)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of one file by name; pickled ones without running code."""
    try:
        state = load_safetensors(path.read_bytes()) if path.suffix == ".safetensors" else read_torch(path)
        if not isinstance(state, dict) or not all(isinstance(each, Tensor) for each in state.values()):
            raise ConvertError(f"{path.name} must hold tensors by name, got {type(state).__name__}")
        require_small(state.values(), path)
    except UnsafeFileError as error:
        raise ConvertError(f"{path.name} must hold tensors only: {error}") from error
    except (SafetensorError, CheckpointError, OSError) as error:
        raise ConvertError(f"{path.name} cannot be read: {str(error).partition(chr(10))[0]}") from error
    return state
