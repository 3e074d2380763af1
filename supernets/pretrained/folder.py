"""A folder as Hugging Face writes it: ``config.json``, weights, and a tokenizer. No code in it is run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from supernets import PRETRAINED
from supernets.errors import ConvertError

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
MAX_CONFIG, MAX_WEIGHTS = 1 << 24, 8 << 30


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
            raise ConvertError(f"model_type must be one of {', '.join(PRETRAINED)}, {CONFIG} has {kind!r}")
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
    def tokenizer(self) -> Path:
        """``tokenizer.json``; raises ``ConvertError`` where it is absent."""
        path = self.path / TOKENIZER
        if not path.is_file():
            raise ConvertError(
                f"a pretrained network of texts needs {TOKENIZER}, {self.path.name!r} has {', '.join(self._names())}; "
                f"save its fast tokenizer: AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)"
            )
        return path

    def tensors(self) -> dict[str, Tensor]:
        """All weights by name, in float32."""
        path = next((self.path / name for name in (SAFE, PICKLED) if (self.path / name).is_file()), None)
        if path is None:
            raise ConvertError(
                f"a pretrained network needs {SAFE} or {PICKLED} (weights in one file), {self.path.name!r} has "
                f"{', '.join(self._names())}"
            )
        if path.stat().st_size > MAX_WEIGHTS:
            raise ConvertError(f"{path.name} may have {MAX_WEIGHTS:,} bytes, got {path.stat().st_size:,}")
        try:
            if path.name == SAFE:
                state = load_safetensors(path.read_bytes())
            else:
                state = torch.load(path, map_location="cpu", weights_only=True)
        except (SafetensorError, RuntimeError, OSError, EOFError, ValueError) as error:
            raise ConvertError(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from error
        except Exception as error:  # the unpickler's refusals have no common class
            raise ConvertError(f"{path.name} must hold tensors only: {str(error).splitlines()[0]}") from error
        if not isinstance(state, dict) or not all(isinstance(each, Tensor) for each in state.values()):
            raise ConvertError(f"{path.name} must hold tensors by name, got {type(state).__name__}")
        return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}

    def _names(self) -> list[str]:
        return sorted(path.name for path in self.path.iterdir())[:20]
