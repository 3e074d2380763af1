"""Searches, their fronts, and the quick look before one."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from service.http.schemas import ArchJson, Body, Choice, JobRequest, Labels, Seed, Stamped
from service.problems import Action, View
from supernets.metrics import ACCURACY, LATENCY

MAX_EVALUATIONS = 10_000
MAX_SECONDS = 7 * 24 * 3600.0
MAX_IMAGES = 10**9
DEFAULT_ALGORITHM = "surrogate"


# The excess over a limit is relative to it, and must stay a number.
SMALLEST_LIMIT, LARGEST_LIMIT = 1e-9, 1e15


class ConstraintBody(Body):
    """A limit on a metric; ``target`` is needed only when the search has several."""

    metric: str = Field(examples=[LATENCY])
    target: str | None = None
    max: float | None = None
    min: float | None = None

    @model_validator(mode="after")
    def _possible(self) -> ConstraintBody:
        if self.max is None and self.min is None:
            raise ValueError("give 'max', 'min' or both")
        for limit in (self.max, self.min):
            if limit is not None and not (limit == 0 or SMALLEST_LIMIT <= limit <= LARGEST_LIMIT):
                raise ValueError(
                    f"a limit must be 0 or from {SMALLEST_LIMIT:g} to {LARGEST_LIMIT:g}, got {limit:g}"
                )
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError(f"'min' must not exceed 'max', got min {self.min} and max {self.max}")
        return self


class Spending(Body):
    """What a search may spend; 0 evaluations where it only recomputes the front from existing rows."""

    evaluations: int = Field(ge=0, le=MAX_EVALUATIONS)
    images: int | None = Field(None, ge=1, le=MAX_IMAGES)
    seconds: float | None = Field(None, gt=0, le=MAX_SECONDS)


class Budget(Body):
    """What a search may spend: evaluations, validation images, seconds, or several; the first that is spent ends it."""

    evaluations: int | None = Field(
        None, ge=1, le=MAX_EVALUATIONS, description="Real evaluations: quality, and latency on every target"
    )
    images: int | None = Field(
        None,
        ge=1,
        le=MAX_IMAGES,
        description="Validation images, counted for each subnet that is evaluated on them",
    )
    seconds: float | None = Field(None, gt=0, le=MAX_SECONDS, description="Wall time")

    @model_validator(mode="after")
    def _bounded(self) -> Budget:
        if self.evaluations is None and self.images is None and self.seconds is None:
            raise ValueError("give 'evaluations', 'images', 'seconds' or several of them")
        return self


class StopRule(Body):
    """End when the hypervolume of the front grew by less than ``gain`` of itself over this many evaluations.

    Never before twice as many. ``gain`` 0 never ends a search.
    """

    evaluations: int | None = Field(
        None, ge=1, le=MAX_EVALUATIONS, description="Defaults to a quarter of the budget, at least 32"
    )
    gain: float = Field(0.001, ge=0, lt=1)


class ProfileCreate(Body):
    """A search to be examined before anything is spent."""

    supernet: str
    targets: list[str] = Field(default_factory=list, max_length=16)
    constraints: list[ConstraintBody] = Field(default_factory=list, max_length=32)
    restrict: dict[str, list[Choice]] = Field(
        default_factory=dict, description="Axis or kind of axis to its choices"
    )
    confidence: float = Field(0.95, gt=0.5, lt=1)
    predictors: list[str] = Field(
        default_factory=list, max_length=32, description="Defaults to the newest that fit"
    )
    seed: Seed = 0


class MetricRange(View):
    """A metric over the (restricted) space: smallest, centroid and largest subnet, and the extremes found."""

    metric: str
    target: str | None
    unit: str
    source: str = Field(description="closed_form or predicted")
    smallest: float
    centroid: float
    largest: float
    best: float
    worst: float


class Unmet(View):
    """A constraint that nothing seen meets."""

    metric: str
    target: str | None
    max: float | None
    min: float | None
    best: float


class ProfileView(View):
    """Ranges of every metric, and whether the constraints can be met."""

    metrics: list[MetricRange]
    satisfiable: bool | None = Field(description="null where a predictor is missing")
    share: float | None = Field(description="Share of sampled subnets that meet every constraint")
    unmet: list[Unmet]
    missing: list[Action] = Field(description="Requests that would make the missing predictors")
    sampled: int


class SearchSpec(Body):
    """A problem, an algorithm and what may be spent."""

    supernet: str
    targets: list[str] = Field(default_factory=list, max_length=16)
    front: Literal["per_target", "shared"] = "shared"
    objectives: list[str] = Field(default=[ACCURACY, LATENCY], min_length=1, max_length=6)
    constraints: list[ConstraintBody] = Field(default_factory=list, max_length=32)
    restrict: dict[str, list[Choice]] = Field(default_factory=dict)
    confidence: float = Field(0.95, gt=0.5, lt=1, description="One-sided probability that a limit is met")
    budget: Spending
    stall: StopRule = Field(default_factory=StopRule)
    predictors: list[str] = Field(
        default_factory=list, max_length=32, description="Defaults to the newest that fit"
    )
    algorithm: str = Field(DEFAULT_ALGORITHM, description="Name of an algorithm")
    elsewhere: bool = Field(
        True,
        description="Whether evaluations of the same space by other supernets, as on other data, are a prior of "
        "quality; its weight is learned and is 0 where they do not help",
    )
    first_images: int | None = Field(
        None,
        ge=0,
        le=MAX_IMAGES,
        description="On how many validation images a subnet is evaluated first; what may be on the front is then "
        "evaluated on all. 0: everything on all images. Default: a fifth of them where there are more than 1,000",
    )
    seed: Seed = 0
    labels: Labels = Field(default_factory=dict)


class SearchCreate(SearchSpec, JobRequest):
    """A problem, an algorithm and a budget."""

    budget: Budget  # type: ignore[assignment]  # a request may leave out what a stored search has


class SearchExtend(JobRequest):
    """More budget for a search that has ended, or other limits or objectives; what is left out stays."""

    evaluations: int = Field(
        0, ge=0, le=MAX_EVALUATIONS, description="Evaluations to add; 0 only recomputes the front"
    )
    images: int | None = Field(None, ge=1, le=MAX_IMAGES, description="Validation images to add")
    seconds: float | None = Field(None, gt=0, le=MAX_SECONDS)
    constraints: list[ConstraintBody] | None = Field(None, max_length=32)
    objectives: list[str] | None = Field(None, min_length=1, max_length=6)
    confidence: float | None = Field(None, gt=0.5, lt=1)
    stall: StopRule | None = None
    algorithm: str | None = None
    seed: Seed | None = Field(None, description="Defaults to another than before")
    labels: Labels | None = None


class PredictedValue(View):
    """A prediction, made before any measurement: mean and the 5 %–95 % interval."""

    metric: str
    target: str | None
    mean: float
    low: float
    high: float
    predictor: str | None
    version: str | None


class MeasuredValue(View):
    """What the confirmation run measured, which had no part in choosing the subnet."""

    metric: str
    target: str
    value: float
    spread: float | None
    n: int
    statistic: str
    protocol_version: str | None
    verdict: str | None
    raw: dict[str, object] = Field(description="raw p50 and p90, reference and its calibration")


class QualityValue(View):
    """Quality on a split."""

    metric: str
    value: float
    standard_error: float
    n: int
    split: str
    precision: str


class Violation(View):
    """How far a point is from a limit; ``excess`` is relative to the limit."""

    metric: str
    target: str | None
    max: float | None
    min: float | None
    value: float
    excess: float


class FrontPoint(View):
    """One subnet of a front: what was predicted and what was measured."""

    subnet: str
    search: str
    target: str | None = Field(description="The target whose front this is (per_target), else null")
    arch: ArchJson
    feasible: bool
    violations: list[Violation] = Field(default_factory=list)
    predicted: list[PredictedValue]
    measured: list[MeasuredValue]
    quality: QualityValue | None = Field(description="On the test split")
    validation: QualityValue | None
    costs: dict[str, float] = Field(description="params, macs, activation_mb, size_mb")
    reason: str | None = Field(None, description="Why this one, in words, where points were picked")
    within_noise: list[str] = Field(
        default_factory=list,
        description="Subnets of the same front whose quality cannot be distinguished from this one's by the standard "
        "errors; at most 20",
    )


class OriginalView(View):
    """The network that a converted supernet was made from, as it came and with its own statistics."""

    subnet: str | None = Field(description="The subnet that equals it, the largest; null until it is stored")
    arch: ArchJson
    costs: dict[str, float] = Field(description="params, macs, activation_mb, size_mb")
    quality: QualityValue | None = Field(description="On the test split")
    validation: QualityValue | None
    measured: list[MeasuredValue] = Field(
        description="The newest values of that subnet on the targets of the front; empty until it was measured there"
    )


class FrontView(View):
    """The non-dominated, feasible subnets of one search or of everything stored."""

    search: str | None
    objectives: list[str]
    pick: str | None = None
    total: int = Field(description="Points before thinning and picking; those within the limits")
    note: str | None = Field(None, description="Why no point was picked")
    noise: str | None = Field(
        None,
        description="How many points cannot be distinguished from another by their quality, and what would help",
    )
    points: list[FrontPoint]
    original: OriginalView | None = Field(
        None, description="Of a converted supernet: the network that it was made from, beside the front"
    )


class EvaluatedValue(View):
    """A true value: quality on validation, a measurement, or a closed form."""

    metric: str
    target: str | None
    value: float


class EvaluatedSubnet(View):
    """A subnet behind a front; ``own`` if this search evaluated it, else it existed before."""

    subnet: str
    own: bool
    feasible: bool
    front: bool = Field(description="On the front as it stands, by these values")
    values: list[EvaluatedValue]


class EvaluationsView(View):
    """The evaluated subnets of a search, while it runs and afterwards; what is on the front comes first."""

    search: str
    objectives: list[str]
    target: str | None = Field(description="Whose front it is, where each target has one")
    total: int = Field(description="Evaluated subnets before thinning")
    points: list[EvaluatedSubnet]


class Spent(View):
    """Evaluations done and the budget, and how many existing evaluations were used at no cost."""

    done: int
    budget: int
    reused: int


class ReferencePoint(View):
    """Worst value of an objective that counts towards the hypervolume, fixed before the first evaluation."""

    target: str | None
    metric: str
    value: float


class HistoryPoint(View):
    """Hypervolume of a front after this many evaluations, by first measurements and feasible archs only."""

    target: str | None
    evaluations: int
    images: int = Field(0, description="Validation images that the evaluations took")
    seconds: float
    hypervolume: float


class PredictorEntry(View):
    """A stored predictor, and the version of its model that is used."""

    model_config = ConfigDict(frozen=True)

    metric: str
    target: str | None
    id: str
    kind: str
    version: str

    @property
    def key(self) -> tuple[str, str | None]:
        """Metric and target."""
        return self.metric, self.target


class ElsewhereUse(View):
    """Evaluations of the space by another supernet, as a prior of quality."""

    supernet: str
    rows: int = Field(description="Evaluations of it that were used")
    weight: float = Field(description="Learned weight after the last round; 0 where they did not help")


class Provenance(View):
    """What a front came from."""

    version: str = Field(description="Version of Netwright")
    weights_sha256: str
    data: dict[str, object]
    algorithm: str
    seed: int
    stopped: str = Field(description="budget, or why the search ended early")
    extends: str | None
    reused: int
    rounds: list[int]
    predictors_before: list[PredictorEntry]
    predictors_after: list[PredictorEntry]
    elsewhere: list[ElsewhereUse] = Field(default_factory=list)


class SearchView(Stamped):
    """A search: how its job is doing, and, apart from that, whether its limits could be met."""

    archived_at: datetime | None = Field(
        None, description="When it was archived: DELETE on what other resources refer to"
    )
    supernet: str
    targets: list[str]
    front: str
    objectives: list[str]
    constraints: list[ConstraintBody]
    restrict: dict[str, list[Choice]]
    confidence: float
    budget: Spending
    stall: StopRule
    algorithm: str
    first_images: int | None = Field(
        None, description="As requested: images of a first evaluation; 0: all; null: the default"
    )
    seed: int
    labels: dict[str, str]
    elsewhere: list[ElsewhereUse] = Field(
        default_factory=list,
        description="Evaluations by other supernets that were a prior of quality; none before the search ends",
    )
    extends: str | None = Field(description="The search that this one goes on from")
    state: str
    feasible: bool | None = Field(description="Set when the search ends")
    nearest: FrontPoint | None = Field(
        description="When nothing is feasible: the nearest point, and by how much"
    )
    evaluations: Spent
    points: int = Field(description="Size of the front")
    reference_point: list[ReferencePoint]
    history: list[HistoryPoint] = Field(
        description="Hypervolume after each round; 0 evaluations: the existing results"
    )
    warnings: list[str]
    provenance: dict[str, object]
    job: str
    finished_at: datetime | None
