"""A recipe: the parts a training method is made of, typed, from one TOML file."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from supernets import LOSSES, SAMPLERS
from supernets.errors import RecipeError
from supernets.recipes.parts import Loss, Sampler

RECIPE_DIR = Path(__file__).parent


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartSettings(BaseModel):
    """A registered part and the options of its constructor."""

    model_config = ConfigDict(frozen=True, extra="allow")
    kind: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything beside ``kind``."""
        return dict(self.__pydantic_extra__ or {})


class OptimizerSettings(_Part):
    """Stochastic gradient descent with Nesterov momentum; norms, biases and kernel matrices are not decayed."""

    kind: Literal["sgd"] = "sgd"
    lr: float = Field(gt=0, description="learning rate at the peak of the schedule")
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=3e-5, ge=0)
    clip_norm: float | None = Field(
        default=None, gt=0, description="largest norm of a step's summed gradient"
    )


class ScheduleSettings(_Part):
    """Linear warm-up, then a cosine down to ``floor`` times the peak."""

    kind: Literal["cosine"] = "cosine"
    warmup_steps: int = Field(default=0, ge=0)
    floor: float = Field(default=0.0, ge=0, lt=1)


class AugmentSettings(_Part):
    """Random crop after padding, and mirroring."""

    pad: int = Field(default=0, ge=0, description="pixels of padding at the data set's own resolution")
    flip: bool = False


class Recipe(_Part):
    """All that decides how a supernet is trained, beside family, data and seed.

    A step trains one subnet per item of the sampler's plan on one batch and applies the *sum* of their
    gradients; ``steps`` counts optimizer steps.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    steps: int = Field(gt=0, le=10_000_000)
    batch_size: int = Field(gt=1, le=65_536)
    dropout: float = Field(default=0.0, ge=0, lt=1, description="before the classifier, of regularised items")
    zero_init_residual: bool = Field(
        default=True, description="last BatchNorm of residual blocks starts at 0 (BigNAS)"
    )
    sampler: PartSettings
    loss: PartSettings
    optimizer: OptimizerSettings
    schedule: ScheduleSettings = ScheduleSettings()
    augment: AugmentSettings = AugmentSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.schedule.warmup_steps >= self.steps:
            raise ValueError(
                f"warmup_steps must be below steps ({self.steps}), got {self.schedule.warmup_steps}"
            )
        return self

    @classmethod
    def read(cls, source: str | Path) -> Recipe:
        """The recipe of a TOML file, or the built-in one of this name; raises ``RecipeError``."""
        path = Path(source) if str(source).endswith(".toml") else RECIPE_DIR / f"{source}.toml"
        if not path.is_file():
            raise RecipeError(
                f"no recipe {str(source)!r}; give a .toml file or one of: {', '.join(built_in())}"
            )
        try:
            return cls.parse(tomllib.loads(path.read_text()))
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{path.name} is not valid TOML: {error}") from error

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Recipe:
        """The recipe with these values; names the part, what was got and the choices."""
        try:
            recipe = cls.model_validate(values)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors()
            )
            raise RecipeError(f"recipe does not fit: {faults}") from error
        recipe.make_sampler()
        recipe.make_loss()
        return recipe

    def make_sampler(self) -> Sampler:
        """The sampler with its options."""
        return _make(SAMPLERS, self.sampler)  # type: ignore[no-any-return]

    def make_loss(self) -> Loss:
        """The loss with its options."""
        return _make(LOSSES, self.loss)  # type: ignore[no-any-return]

    def as_json(self) -> dict[str, Any]:
        """Every value, defaults too."""
        return self.model_dump(mode="json")

    @property
    def sha256(self) -> str:
        """Hash of :meth:`as_json`."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()


def _make(registry: Any, part: PartSettings) -> Any:
    try:
        return registry.load(part.kind)(**part.options)
    except KeyError as error:
        raise RecipeError(str(error)) from error
    except TypeError as error:
        raise RecipeError(f"{registry.kind} {part.kind!r} does not take these options: {error}") from error


def built_in() -> tuple[str, ...]:
    """Names of the recipes that come with the project."""
    return tuple(sorted(path.stem for path in RECIPE_DIR.glob("*.toml")))
