"""Which data set, and how its images become examples: ``folder:photos,channels=3,fit=pad``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from supernets import DATA_SOURCES
from supernets.errors import DataError, nearest

MAX_RESOLUTION = 1024
MAX_TEXT = 2000
PATH_SOURCES = ("folder", "parquet", "stream", "text", "corpus")
"""What stands behind the colon of these is a path; behind ``hub:`` it is a name."""
TEXT_SOURCES = ("text", "corpus", "python_source")
MAX_WINDOW = 4096
BYTES, OF_SUPERNET = "bytes", "supernet"
"""Tokenizers that are no path: bytes, and the file that lies with the weights of a supernet."""
OPTIONS = ("channels", "resolution", "fit", "range", "unlabelled", "tokenizer", "window")
TEXT_OPTIONS = ("tokenizer", "window")
OPTIONS_TEXT = re.compile(r"(?:,[A-Za-z_]+=[^,]*)+$")
FORMS = (
    "digits, fashion_mnist, cifar10, folder:PATH, parquet:PATH, stream:PATH, hub:NAME, text:PATH, corpus:PATH or "
    "python_source"
)


class DataSpec(BaseModel):
    """A data set and its options; immutable.

    As text: ``SOURCE``, ``SOURCE:LOCATION`` or ``SOURCE:LOCATION,OPTION=VALUE,...``. :meth:`parse` reads it, ``str``
    writes it, defaults left out. As JSON: an object with these fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(description="Name of a data source", examples=["folder"])
    location: str = Field("", description="Path of folder, parquet or stream; name of a data set of the hub")
    channels: Literal[1, 3] | None = Field(
        None, description="1 (grey) or 3 (RGB); as the images are if absent"
    )
    resolution: Annotated[int, Field(ge=1, le=MAX_RESOLUTION)] | None = Field(
        None, description="Height and width of the stored images, in pixels; that of the source if absent"
    )
    fit: Literal["crop", "squeeze", "pad"] = Field(
        "crop",
        description="How an image that is not square becomes square: centre crop, other aspect, or black bars",
    )
    range: tuple[float, float] | None = Field(
        None, description="Values of 16-bit, 32-bit and float images that become black and white"
    )
    unlabelled: Literal["refuse", "drop"] = Field(
        "refuse", description="What to do with rows without a label (null, or -1 where classes have names)"
    )

    tokenizer: str = Field(
        BYTES,
        min_length=1,
        max_length=MAX_TEXT,
        description="How texts become tokens: bytes, the path of a tokenizer.json, or supernet: as the supernet that "
        "they are for",
    )
    window: Annotated[int, Field(ge=8, le=MAX_WINDOW)] | None = Field(
        None, description="Tokens of a stored text; longer texts are cut. 256 if absent"
    )

    @field_validator("range", mode="before")
    @classmethod
    def _two_numbers(cls, value: object) -> object:
        return tuple(value.split("..")) if isinstance(value, str) else value

    @field_validator("channels", "window", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _ = DATA_SOURCES[self.source]
        takes_location = self.source in PATH_SOURCES or self.source == "hub"
        if takes_location != bool(self.location.strip()):
            raise ValueError(f"a data set is one of {FORMS}, but got {self.source}:{self.location}")
        if len(self.location) > MAX_TEXT or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", self.location):
            raise ValueError(f"a location may have {MAX_TEXT} characters, and no control characters")
        if self.range is not None and not -1e30 < self.range[0] < self.range[1] < 1e30:
            raise ValueError(f"range=LOW..HIGH needs two numbers with LOW < HIGH, but got {self.range}")
        takes = self._takes()
        if given := sorted(self.options().keys() - set(takes)):
            raise ValueError(
                f"{self.source} takes the options {', '.join(takes)}, but got {', '.join(given)}"
            )
        return self

    def _takes(self) -> tuple[str, ...]:
        """The options of this source."""
        if self.source in TEXT_SOURCES:
            return TEXT_OPTIONS
        images = tuple(option for option in OPTIONS if option not in TEXT_OPTIONS)
        return images if self.is_path or self.source == "hub" else ("resolution",)

    @classmethod
    def parse(cls, value: str | dict[str, object] | DataSpec) -> DataSpec:
        """The spec that a text or a JSON object means.

        Raises:
            UnknownNameError: no such source.
            DataError: anything else that is wrong; the message states the rule, what was got, and the choices.
        """
        if isinstance(value, DataSpec):
            return value
        fields = _fields(value) if isinstance(value, str) else dict(value)
        _ = DATA_SOURCES[str(fields.get("source", ""))]
        if unknown := sorted(map(str, fields.keys() - set(cls.model_fields))):
            hint = nearest(unknown[0], OPTIONS)
            raise DataError(
                f"the options of a data set are {', '.join(OPTIONS)}, but got {unknown[0]!r}{hint}", "spec"
            )
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise DataError("; ".join(map(_words, error.errors())), "spec") from error

    def options(self) -> dict[str, str]:
        """The options that differ from their defaults, as text."""
        found = {}
        for name in OPTIONS:
            value = getattr(self, name)
            if value != type(self).model_fields[name].default:
                found[name] = f"{value[0]:.12g}..{value[1]:.12g}" if isinstance(value, tuple) else str(value)
        return found

    def __str__(self) -> str:
        place = f":{self.location}" if self.location else ""
        return self.source + place + "".join(f",{name}={value}" for name, value in self.options().items())

    @property
    def is_path(self) -> bool:
        """Whether the location is a path of this machine."""
        return self.source in PATH_SOURCES

    def below(self, root: Path | None = None) -> DataSpec:
        """The same spec with absolute paths; relative ones are taken from ``root``, or the working directory."""
        changes = {}
        if self.is_path:
            changes["location"] = _absolute(self.location, root)
        if self.tokenizer not in (BYTES, OF_SUPERNET):
            changes["tokenizer"] = _absolute(self.tokenizer, root)
        return self.model_copy(update=changes)


def _absolute(path: str, root: Path | None) -> str:
    return os.path.abspath(os.path.join(root or os.getcwd(), os.path.expanduser(path)))


def _fields(text: str) -> dict[str, object]:
    """The fields that a text has, as strings."""
    if len(text) > MAX_TEXT:
        raise DataError(f"a data set may have a text of {MAX_TEXT} characters, but got {len(text)}", "spec")
    found = OPTIONS_TEXT.search(text)
    head, tail = (text[: found.start()], text[found.start() :]) if found else (text, "")
    source, colon, location = head.partition(":")
    pairs = [part.partition("=")[::2] for part in tail.split(",")[1:]]
    names = [name for name, _ in pairs]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"an option may be stated once, but {text!r} has {repeated!r} twice", "spec")
    if reserved := next((name for name in names if name in ("source", "location")), None):
        raise DataError(f"the options of a data set are {', '.join(OPTIONS)}, but got {reserved!r}", "spec")
    if colon and not location:
        _ = DATA_SOURCES[source]
        raise DataError(f"a data set is one of {FORMS}, but got {text!r}", "spec")
    return {"source": source, "location": location, **dict(pairs)}


def _words(error: ErrorDetails) -> str:
    """One complaint of pydantic in our words."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    name = str(error["loc"][0]) if error["loc"] else "data"
    rules = {
        "channels": "channels must be 1 (grey) or 3 (RGB)",
        "resolution": f"1 <= resolution <= {MAX_RESOLUTION} must hold",
        "fit": "fit must be crop, squeeze or pad",
        "range": "range must be LOW..HIGH, two numbers",
        "unlabelled": "unlabelled must be refuse or drop",
        "window": f"8 <= window <= {MAX_WINDOW} must hold",
    }
    return f"{rules.get(name, f'{name} must be a text')}, but got {error['input']!r}"
