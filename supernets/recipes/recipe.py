"""A recipe: the parts a training method is made of, typed, from one TOML file."""

from __future__ import annotations

import hashlib
import inspect
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from supernets import CONTROLLERS, HOOKS, LOSSES, PRUNERS, SAMPLERS
from supernets.errors import RecipeError, nearest
from supernets.recipes.parts import AVERAGE, TEACHER, Controller, Hook, Loss, Part, Sampler
from supernets.recipes.pruners.pruner import Pruner
from supernets.registry import Registry
from supernets.spaces.coupled import couple
from supernets.spaces.space import Choice, Space

RECIPE_DIR = Path(__file__).parent
LOCAL = 0.05
"""Smallest share of an image that a local crop has, unless a recipe says otherwise."""
MAX_PARTS = 32
"""The most controllers, hooks and stages of a schedule."""


class _Part(BaseModel):
    """``added`` names fields that came after recipes had been hashed: at their default they leave the hash alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    added: ClassVar[frozenset[str]] = frozenset()

    def hashed(self) -> dict[str, object]:
        """The JSON values that identify a recipe."""
        values = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if name in self.added and value == info.get_default(call_default_factory=True):
                continue
            dumped = self.model_dump(mode="json", include={name})[name]
            values[name] = value.hashed() if isinstance(value, _Part) else dumped
        return values


class PartSettings(BaseModel):
    """A registered part and the options of its constructor."""

    model_config = ConfigDict(frozen=True, extra="allow")
    kind: str

    @property
    def options(self) -> dict[str, object]:
        """Everything except ``kind``."""
        return dict(self.__pydantic_extra__ or {})


class OptimizerSettings(_Part):
    """``sgd`` with Nesterov momentum, or ``adamw`` (Loshchilov and Hutter, 2019), as transformers need it.

    Norms, biases and kernel matrices are not decayed.
    """

    added = frozenset({"second_momentum"})
    kind: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(gt=0, description="learning rate at the peak of the schedule")
    momentum: float = Field(default=0.9, ge=0, lt=1)
    second_momentum: float = Field(default=0.999, ge=0, lt=1, description="adamw: decay of squared gradients")
    weight_decay: float = Field(default=3e-5, ge=0)
    clip_norm: float | None = Field(
        default=None, gt=0, description="largest norm of a step's summed gradient"
    )


class StageSettings(_Part):
    """A part of the training with a schedule of its own, from the fraction ``start`` of the steps on."""

    start: float = Field(ge=0, lt=1)
    lr: float = Field(gt=0, description="peak of this stage, as a factor on the optimizer's learning rate")
    warmup_steps: int = Field(default=0, ge=0)


class ScheduleSettings(_Part):
    """Linear warm-up, then a cosine (or an exponential, or nothing) down to ``floor`` times the peak.

    With ``stages`` each stage runs through this by itself.
    """

    added = frozenset({"decay", "stages"})
    kind: Literal["cosine", "exponential", "constant"] = "cosine"
    warmup_steps: int = Field(default=0, ge=0)
    floor: float = Field(default=0.0, ge=0, lt=1)
    decay: float = Field(default=5.0, gt=0, description="exponential: the rate falls by e^-decay in all")
    stages: tuple[StageSettings, ...] = Field(default=(), max_length=MAX_PARTS)

    @model_validator(mode="after")
    def _ascending(self) -> ScheduleSettings:
        starts = [stage.start for stage in self.stages]
        if starts and (starts[0] != 0 or starts != sorted(set(starts)) or self.warmup_steps):
            raise ValueError(
                f"stages must start at 0 and ascend, with warm-up of their own only, got {starts} "
                f"and warmup_steps {self.warmup_steps}"
            )
        return self


class SpaceSettings(_Part):
    """Which part of the family's space is trained: axes or kinds narrowed, kinds that follow another kind."""

    restrict: dict[str, list[Choice]] = {}
    couple: dict[str, str] = Field(default={}, description="follower kind to leader kind, stage by stage")

    def of(self, space: Space) -> Space:
        """That part of ``space``; raises ``SpaceError`` where it does not fit."""
        narrowed = space.restrict(self.restrict) if self.restrict else space
        return couple(narrowed, self.couple) if self.couple else narrowed


class AugmentSettings(_Part):
    """Random crop after padding, mirroring, and what makes two views of an image differ."""

    added = frozenset({"crop", "colour", "grey", "local"})
    pad: int = Field(default=0, ge=0, description="pixels of padding at the data set's own resolution")
    flip: bool = False
    crop: float = Field(
        default=1.0, gt=0, le=1, description="smallest share of the image that a crop, resized again, has"
    )
    colour: float = Field(
        default=0.0, ge=0, lt=1, description="brightness, contrast and saturation change by up to this factor"
    )
    grey: float = Field(default=0.0, ge=0, le=1, description="share of images without colour")
    local: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description=f"smallest share that a local crop has, whose largest is crop; {LOCAL}, at most crop, if absent",
    )

    @model_validator(mode="after")
    def _local_is_smaller(self) -> AugmentSettings:
        if self.local is not None and self.local > self.crop:
            raise ValueError(f"local must be at most crop, got {self.local} and crop {self.crop}")
        return self

    def options(self, *, local: bool) -> dict[str, Any]:
        """What :meth:`supernets.tasks.task.Task.augment` takes, for a local crop or a view of the whole image."""
        found = self.model_dump(exclude={"local"})
        smallest = min(LOCAL, self.crop) if self.local is None else self.local
        return {**found, "crop": smallest, "largest": self.crop} if local else found


class Recipe(_Part):
    """All that decides how a supernet is trained, except family, task, data and seed.

    A step trains one subnet per item of the sampler's plan on one batch and applies the *sum* of their
    gradients; ``steps`` counts optimizer steps.
    """

    added = frozenset(
        {
            "space",
            "controllers",
            "hooks",
            "ema_decay",
            "ema_final",
            "precision",
            "teacher",
            "pruner",
            "frozen",
        }
    )
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
    space: SpaceSettings = SpaceSettings()
    controllers: tuple[PartSettings, ...] = Field(
        default=(), max_length=MAX_PARTS, description="what changes structure, in order"
    )
    hooks: tuple[PartSettings, ...] = Field(
        default=(), max_length=MAX_PARTS, description="what is done to items' gradients, in order"
    )
    pruner: PartSettings | None = Field(default=None, description="what removes units of the network")
    ema_decay: float | None = Field(
        default=None, gt=0, lt=1, description="evaluate and keep an average of the weights that decays so"
    )
    ema_final: float | None = Field(
        default=None, gt=0, lt=1, description="what ema_decay becomes in the end, by a cosine"
    )
    frozen: tuple[str, ...] = Field(
        default=(),
        max_length=MAX_PARTS,
        description="weights that stay as they are, by the beginnings of their names",
    )
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="bf16: autocast in forward passes")

    teacher: Literal["own", "external"] = Field(
        default="own", description="external: none is frozen on the way, the training names one"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.schedule.warmup_steps >= self.steps:
            raise ValueError(
                f"warmup_steps must be below steps ({self.steps}), got {self.schedule.warmup_steps}"
            )
        if self.ema_final is not None and (self.ema_decay is None or self.ema_final < self.ema_decay):
            raise ValueError(
                f"ema_final must be at least ema_decay, got {self.ema_final} and ema_decay {self.ema_decay}"
            )
        return self

    @classmethod
    def read(cls, source: str | Path) -> Recipe:
        """The recipe of a TOML file, or the built-in one of this name; raises ``RecipeError``."""
        path = Path(source) if str(source).endswith(".toml") else RECIPE_DIR / f"{source}.toml"
        if not path.is_file():
            raise RecipeError(
                f"no recipe {str(source)!r}; give a .toml file or one of: {', '.join(built_in())}"
                f"{nearest(str(source), built_in())}"
            )
        try:
            return cls.parse(tomllib.loads(path.read_text()))
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{path.name} is not valid TOML: {error}") from error

    @classmethod
    def parse(cls, values: dict[str, object]) -> Recipe:
        """The recipe with these values; names the part, what was got and the choices."""
        try:
            recipe = cls.model_validate(values)
        except ValidationError as error:
            faults = "; ".join(_fault(cls, e) for e in error.errors())
            raise RecipeError(f"recipe does not fit: {faults}") from error
        recipe._check_parts()
        return recipe

    def with_steps(self, steps: int) -> Recipe:
        """This recipe with another number of steps; see :func:`with_steps`."""
        return self.parse(with_steps(self.as_json(), steps))

    def keeping(self, goal: str | Mapping[str, float]) -> Recipe:
        """This recipe with a pruner that keeps a share of a metric, ``macs=0.4`` or ``{"macs": 0.4}``.

        Raises:
            RecipeError: a goal of another form, or a recipe without a pruner.
        """
        if self.pruner is None:
            able = ", ".join(name for name in built_in() if Recipe.read(name).pruner is not None)
            raise RecipeError(f"keep is for recipes with a pruner ({able}), and {self.name!r} has none")
        keep = _goal(goal) if isinstance(goal, str) else dict(goal)
        options = {name: value for name, value in self.pruner.options.items() if name != "sparsity"}
        return self.parse({**self.as_json(), "pruner": {"kind": self.pruner.kind, **options, "keep": keep}})

    def _check_parts(self) -> None:
        """Refuse a part that needs what no other provides, and two parts that both decide the same value."""
        parts: list[tuple[str, Part]] = [
            (f"sampler {self.sampler.kind!r}", self.make_sampler()),
            (f"loss {self.loss.kind!r}", self.make_loss()),
        ]
        parts += [
            (f"controller {s.kind!r}", p)
            for s, p in zip(self.controllers, self.make_controllers(), strict=True)
        ]
        parts += [(f"hook {s.kind!r}", p) for s, p in zip(self.hooks, self.make_hooks(), strict=True)]
        if (pruner := self.make_pruner()) is not None and self.pruner is not None:
            parts.append((f"pruner {self.pruner.kind!r}", pruner))
        self._check_needs(parts)
        self._check_own_weights(parts)
        moving = [(name, part) for name, part in parts if isinstance(part, Controller)]
        for opener, opening in moving:
            for splitter, splitting in moving:
                if opening.last_opening >= splitting.first_split:
                    raise RecipeError(
                        f"regions open before they split, but {opener} opens the last at {opening.last_opening} "
                        f"of the steps and {splitter} splits at {splitting.first_split}"
                    )
        self._check_growing(moving)
        ramps = [name for name, part in parts if isinstance(part, Hook) and part.scales_rate]
        if ramps and self.optimizer.kind != "sgd":
            raise RecipeError(
                f"{ramps[0]} needs optimizer.kind 'sgd', got {self.optimizer.kind!r}: it changes a learning rate by "
                f"scaling gradients, and adamw undoes the scale of a gradient"
            )
        apart = [name for name, part in parts if isinstance(part, Hook) and part.per_item]
        if len(apart) > 1:
            raise RecipeError(f"at most one hook may combine items' gradients, got {' and '.join(apart)}")

    def _check_needs(self, parts: Sequence[tuple[str, Part]]) -> None:
        """Refuse a part that needs what no other provides."""
        given = frozenset[str]().union(*(part.gives for _, part in parts))
        if self.teacher == "external":
            given |= {TEACHER}
        if self.ema_decay is not None:
            given |= {AVERAGE}
        for name, part in parts:
            if absent := sorted(part.needs - given):
                raise RecipeError(
                    f"{name} needs a part that gives {' and '.join(map(repr, absent))}, got only "
                    f"{', '.join(known for known, _ in parts)}; the 'stages' controller gives 'opening', "
                    f"and 'teacher' with teacher = true; teacher = \"external\" promises one from outside; ema_decay "
                    f"gives 'average'"
                )

    def _check_own_weights(self, parts: Sequence[tuple[str, Part]]) -> None:
        """Refuse a loss on averaged weights whose subnets do not learn from these, and one whose weights would not."""
        loss, sampler = self.make_loss(), self.make_sampler()
        if AVERAGE in loss.needs and AVERAGE not in sampler.needs:
            raise RecipeError(
                f"loss {self.loss.kind!r} needs a sampler whose subnets learn from averaged weights, got "
                f"{self.sampler.kind!r}; choose sampler 'poa'"
            )
        apart = [name for name, part in parts if isinstance(part, Hook) and part.per_item]
        if apart and loss.own_weights:
            raise RecipeError(
                f"{apart[0]} combines gradients of the network's weights, and loss {self.loss.kind!r} has weights of "
                f"its own, which it would leave out"
            )

    def _check_growing(self, moving: Sequence[tuple[str, Controller]]) -> None:
        """What changes the space is alone: other controllers and pruners know the one at the start."""
        growing = [name for name, part in moving if part.grows]
        if not growing or (len(moving) == 1 and self.pruner is None):
            return
        others = [name for name, _ in moving if name != growing[0]]
        others += [] if self.pruner is None else [f"pruner {self.pruner.kind!r}"]
        raise RecipeError(
            f"{growing[0]} changes the space that other controllers and pruners know: leave out "
            f"{' and '.join(others) or 'the second one'}"
        )

    def check_teacher(self, given: bool) -> None:
        """Refuse an external teacher that no subnet uses, and a recipe with an external teacher that was not named."""
        if not given and self.teacher == "external":
            raise RecipeError(f"recipe {self.name!r} needs an external teacher; name one (--teacher)")
        if given and TEACHER not in self.make_sampler().needs:
            raise RecipeError(
                f"no subnet of recipe {self.name!r} uses a teacher: its sampler must request one, as "
                f"'uniform' does with teacher = true"
            )

    def make_sampler(self) -> Sampler:
        """The sampler with its options."""
        return _make(SAMPLERS, self.sampler)  # type: ignore[return-value]

    def make_loss(self) -> Loss:
        """The loss with its options."""
        return _make(LOSSES, self.loss)  # type: ignore[return-value]

    def make_controllers(self) -> tuple[Controller, ...]:
        """The controllers with their options, in order."""
        return tuple(_make(CONTROLLERS, part) for part in self.controllers)  # type: ignore[misc]

    def make_hooks(self) -> tuple[Hook, ...]:
        """The hooks with their options, in order."""
        return tuple(_make(HOOKS, part) for part in self.hooks)  # type: ignore[misc]

    def make_pruner(self) -> Pruner | None:
        """The pruner with its options."""
        return None if self.pruner is None else _make(PRUNERS, self.pruner)  # type: ignore[return-value]

    def as_json(self) -> dict[str, object]:
        """Every value, defaults too."""
        return self.model_dump(mode="json")

    @property
    def sha256(self) -> str:
        """Hash of :meth:`hashed`: every value, but for later fields at their default."""
        return hashlib.sha256(json.dumps(self.hashed(), sort_keys=True).encode()).hexdigest()


def _goal(text: str) -> dict[str, float]:
    metric, _, share = text.partition("=")
    try:
        return {metric: float(share)}
    except ValueError:
        raise RecipeError(f"keep must be a metric and a share, such as macs=0.4, got {text!r}") from None


def _make(registry: Registry, part: PartSettings) -> Part:
    try:
        made: Part = registry.load(part.kind)(**part.options)
        return made
    except KeyError as error:
        raise RecipeError(str(error)) from error
    except TypeError as error:
        known = dict(inspect.signature(registry.load(part.kind).__init__).parameters)
        known.pop("self")
        taken = ", ".join(str(option).replace("'", "") for option in known.values())
        unknown = [name for name in part.options if name not in known]
        raise RecipeError(
            f"{registry.kind} {part.kind!r} does not take these options: got {part.options}, "
            f"it takes {taken or 'none'}{nearest(unknown[0], known) if unknown else ''}"
        ) from error


def _fault(model: type[BaseModel], error: ErrorDetails) -> str:
    """One complaint of pydantic: where, what rule, what was got; for an unknown name, the choices."""
    where = ".".join(map(str, error["loc"])) or "recipe"
    if error["type"] == "extra_forbidden":
        *path, name = error["loc"]
        table, choices = ".".join(map(str, path)) or "recipe", _choices(model, path)
        return f"unknown {name!r} in {table}; choices: {', '.join(choices)}{nearest(str(name), choices)}"
    rule = error["msg"].removeprefix("Value error, ")
    got = "" if error["type"] in ("missing", "value_error") else f", got {error['input']!r}"
    return f"{where}: {rule}{got}"


def _choices(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Names that a table of the recipe takes; ``path`` leads to it."""
    for key in path:
        if isinstance(key, str):
            kind = model.model_fields[key].annotation  # a table, or a list or an option of one
            kinds = (kind, *get_args(kind))
            model = next(k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel))
    return list(model.model_fields)


def with_steps(values: Mapping[str, object], steps: int) -> dict[str, object]:
    """A recipe's values with other steps; where these are fewer, warm-ups are shorter in proportion.

    A longer training keeps the warm-ups as they are. Values need not be valid: what has another type stays as it is.
    """
    own, schedule = values.get("steps"), values.get("schedule")
    if not isinstance(own, int) or own <= steps or not isinstance(schedule, Mapping):
        return {**values, "steps": steps}
    shorter, stages = _warmed_for(schedule, steps / own), schedule.get("stages")
    if isinstance(stages, Sequence) and not isinstance(stages, str):
        shorter["stages"] = [
            _warmed_for(stage, steps / own) if isinstance(stage, Mapping) else stage for stage in stages
        ]
    return {**values, "steps": steps, "schedule": shorter}


def _warmed_for(schedule: Mapping[str, object], share: float) -> dict[str, object]:
    """A schedule, or a stage of it, whose warm-up has this share of its steps, rounded down."""
    warmup = schedule.get("warmup_steps")
    return {**schedule, **({"warmup_steps": int(warmup * share)} if isinstance(warmup, int) else {})}


def built_in() -> tuple[str, ...]:
    """Names of the recipes that come with the project."""
    return tuple(sorted(path.stem for path in RECIPE_DIR.glob("*.toml")))
