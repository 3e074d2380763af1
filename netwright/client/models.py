"""What the service answers; written by `make client-types` from the service's OpenAPI document; do not edit."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as field_
from datetime import datetime
from typing import Any, Literal

Object = dict[str, Any]
"""A JSON object whose fields depend on the kind of thing it describes."""


@dataclass(kw_only=True)
class Accepted:
    """Answer 202: the resource that a job will fill, and the job (also in ``Location``)."""

    id: str
    job: JobBrief


@dataclass(kw_only=True)
class Action:
    """The request that would help."""

    method: Literal["GET", "POST"]
    path: str
    body: Object | None = field_(default=None)


@dataclass(kw_only=True)
class AgentView:
    """A process on a device."""

    name: str
    seen_at: datetime
    connected: bool
    """Whether it was heard of within the time of a lease"""


@dataclass(kw_only=True)
class AxisView:
    """One decision of a space, its choices from the smallest network to the largest."""

    name: str
    kind: str
    choices: list[float | str]
    parent: str | None = field_(default=None)
    active_when: list[float | str] = field_(default_factory=list)


@dataclass(kw_only=True)
class CompareView:
    """Fronts with the same objectives, best first objective first, with a reference point for all."""

    objectives: list[str]
    target: str | None
    reference_point: dict[str, float]
    """The worst value of each objective on these fronts, and a tenth of the range beyond it"""
    fronts: list[ComparedFront]


@dataclass(kw_only=True)
class ComparedFront:
    """The front of one search."""

    search: str
    hypervolume: float
    """Up to the common reference point; larger is better"""
    share: float | None
    """Of the hypervolume of all fronts together; null where that is 0"""
    new: int
    """Points whose subnets the first search's front does not have"""
    best: int
    """Points on the front of all searches together"""
    points: list[ComparedPoint]


@dataclass(kw_only=True)
class ComparedPoint:
    """A point of one front, seen from all of them."""

    subnet: str
    values: dict[str, float]
    """True value of each objective: on validation, measured, or exact"""
    new: bool
    """The first search's front does not have this subnet"""
    best: bool
    """No point of any of these fronts is better in every objective"""


@dataclass(kw_only=True)
class ConstraintBody:
    """A limit on a metric; ``target`` is needed only when the search has several."""

    metric: str
    target: str | None = field_(default=None)
    max: float | None = field_(default=None)
    min: float | None = field_(default=None)


@dataclass(kw_only=True)
class DataReport:
    """What ``netwright data check --json`` prints, without ``details``."""

    splits: dict[str, SplitReport] = field_(default_factory=dict)
    channels: int | None = field_(default=None)
    resolution: int | None = field_(default=None)
    problems: list[Problem] = field_(default_factory=list)
    details: Details | None = field_(default=None)


@dataclass(kw_only=True)
class Details:
    """How the images are stored, and what becomes of them."""

    spec: str = field_(default="")
    """The data set with its options"""
    examined: int = field_(default=0)
    """Number of images that were decoded for this report"""
    modes: dict[str, int] = field_(default_factory=dict)
    """Pillow's mode to number of images"""
    sizes: dict[str, int] = field_(default_factory=dict)
    """Width x height to number of images"""
    fit: str | None = field_(default=None)
    """How images become square"""
    cropped: float = field_(default=0.0)
    """Mean share of an image's longer side that a centre crop removes"""
    range: list[object] | None = field_(default_factory=list)
    """Values of images of more than 8 bits that become 0 and 255"""
    skipped: dict[str, int] = field_(default_factory=dict)
    """Reason to number of files left out"""
    made: dict[str, int] = field_(default_factory=dict)
    """Splits that the source lacks, and how many images of train become theirs"""


@dataclass(kw_only=True)
class EstimateView:
    """What is known before the first step. A backward pass counts as two forward passes; MB are 10^6
    bytes.
    """

    data: str
    data_report: DataReport | None = field_(default=None)
    """What the images are like, from a sample; null for published data sets"""
    classes: int | None
    """null if it is known only after loading"""
    train_images: int | None
    """null if it is known only after loading"""
    task: str
    family: str
    recipe: str
    steps: int
    batch_size: int
    seed: int
    subnets: float
    """Size of the space that is trained"""
    params: list[float]
    """Of the smallest and the largest subnet of the family"""
    macs: list[float]
    """Of the smallest and the largest subnet of the family"""
    passes: int
    """Forward and backward passes of subnets"""
    billed: float
    """The same, and a third for each forward pass alone"""
    macs_per_step: float
    memory_mb: float | None
    """Weights, gradients, activations and images; null if it is known only after loading"""
    networks: int
    """More than one where the recipe splits the space"""
    seconds: float | None = field_(default=None)
    """null: it is known only after real steps on the worker"""


@dataclass(kw_only=True)
class EvaluatedSubnet:
    """A subnet behind a front; ``own`` if this search evaluated it, else it was known before."""

    subnet: str
    own: bool
    feasible: bool
    front: bool
    """On the front as it stands, by these values"""
    values: list[EvaluatedValue]


@dataclass(kw_only=True)
class EvaluatedValue:
    """A true value: quality on validation, a measurement, or a closed form."""

    metric: str
    target: str | None
    value: float


@dataclass(kw_only=True)
class EvaluationsView:
    """The evaluated subnets of a search, while it runs and afterwards; what is on the front comes first."""

    search: str
    objectives: list[str]
    target: str | None
    """Whose front it is, where each target has one"""
    total: int
    """Evaluated subnets before thinning"""
    points: list[EvaluatedSubnet]


@dataclass(kw_only=True)
class ExportView:
    """An exported file."""

    id: str
    created_at: datetime
    subnet: str
    format: str
    precision: str
    opset: int
    batch: str
    state: str
    """State of the job that makes it"""
    sha256: str | None
    bytes: int | None
    exporter: str | None
    exporter_version: str | None
    parity: Object | None
    """max_error, n, tolerance: file against torch on real images. For fp16 and int8 also change: quality
    of fp32 and of the file on the same test images, their difference with its standard error, median
    latency of both in ms on one thread of the worker, and sizes
    """
    metadata: dict[str, str]
    job_id: str | None = field_(metadata={"json": "job"})


@dataclass(kw_only=True)
class FrontPoint:
    """One subnet of a front: what was predicted and what was measured."""

    subnet: str
    search: str
    target: str | None
    """The target whose front this is (per_target), else null"""
    arch: dict[str, float | str]
    feasible: bool
    violations: list[Violation] = field_(default_factory=list)
    predicted: list[PredictedValue]
    measured: list[MeasuredValue]
    quality: QualityValue | None
    """On the test split"""
    validation: QualityValue | None
    costs: dict[str, float]
    """params, macs, activation_mb, size_mb"""
    reason: str | None = field_(default=None)
    """Why this one, in words, where points were picked"""


@dataclass(kw_only=True)
class FrontView:
    """The non-dominated, feasible subnets of one search or of everything stored."""

    search: str | None
    objectives: list[str]
    pick: str | None = field_(default=None)
    total: int
    """Points before thinning and picking; those within the limits"""
    note: str | None = field_(default=None)
    """Why no point was picked"""
    points: list[FrontPoint]


@dataclass(kw_only=True)
class Health:
    """The process answers."""

    status: str
    version: str


@dataclass(kw_only=True)
class HistoryPoint:
    """Hypervolume of a front after so many evaluations, by first measurements and feasible archs only."""

    target: str | None
    evaluations: int
    seconds: float
    hypervolume: float


@dataclass(kw_only=True)
class ImportAccepted:
    """Answer 202: the job that imports the rows, and the target and supernet (or space) that they belong
    to.
    """

    id: str
    job: JobBrief
    target: str
    supernet: str


@dataclass(kw_only=True)
class JobBrief:
    """The job that makes a resource, as an answer to POST names it."""

    id: str
    kind: str
    state: str


@dataclass(kw_only=True)
class JobError:
    """Why a job failed; code ``parked`` means too many workers died on it."""

    code: str
    message: str


@dataclass(kw_only=True)
class JobView:
    """A job of any kind."""

    id: str
    created_at: datetime
    kind: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelling", "cancelled"]
    progress: Progress
    message: str | None
    """What it is doing"""
    error: JobError | None
    resource: ResourceRef | None
    result: Object | None = field_(default=None)
    """What kinds of job that make no resource have to say, e.g. the rows that were refused"""
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    log: list[str] = field_(default_factory=list)
    """Last lines; empty in lists"""


@dataclass(kw_only=True)
class LatencyParts:
    """Latency as a sum over kernels, fitted to ``rows`` subnets measured on the target as a whole."""

    fixed_ms: float
    """What every subnet takes, whatever its layers"""
    layers_ms: float
    rows: int


@dataclass(kw_only=True)
class LayerView:
    """A layer of a subnet, for one input. Positions are height times width, or tokens."""

    name: str
    kind: str
    in_channels: int
    out_channels: int
    in_positions: int
    out_positions: int
    kernel: int
    stride: int
    params: float
    macs: float
    activation_mb: float
    """Alive while it runs, fp32"""
    latency_ms: float | None
    """Its part of the latency on the target; 0 where it runs inside the layer before it"""


@dataclass(kw_only=True)
class LayersView:
    """What a subnet is made of, and what the newest predictors say of it."""

    subnet: str
    target: str | None
    layers: list[LayerView]
    latency: LatencyParts | None
    """null without a target, or with too few subnets measured on it"""
    predicted: list[PredictedValue]


@dataclass(kw_only=True)
class LeaseView:
    """A batch of nets, measured in one interleaved run and told of before the lease expires."""

    id: str
    expires_at: datetime
    expires_in_s: float
    """Seconds until the nets go to others; :renew starts them anew"""
    target: str
    settings: Object
    protocol: Object
    """Rounds, block length and seed of the one protocol"""
    metrics: list[str]
    calibrations: Object | None
    """Of the target; null when this batch is to make them"""
    references: list[Reference]
    items: list[LeasedItem]


@dataclass(kw_only=True)
class LeasedItem:
    """A net to measure."""

    sha256: str
    bytes: int
    id: str


@dataclass(kw_only=True)
class MeasuredValue:
    """What the confirmation run measured, which had no part in choosing the subnet."""

    metric: str
    target: str
    value: float
    spread: float | None
    n: int
    statistic: str
    protocol_version: str | None
    verdict: str | None
    raw: Object
    """raw p50 and p90, reference and its calibration"""


@dataclass(kw_only=True)
class MeasurementView:
    """A metric of a subnet on a target or a split."""

    id: str
    created_at: datetime
    subnet: str
    supernet: str
    arch: dict[str, float | str]
    metric: str
    unit: str
    target: str | None
    split: str | None
    value: float
    spread: float | None
    """Standard error of the value, in its unit"""
    n: int
    """Rounds of a measured metric, images of an evaluated one"""
    statistic: str
    precision: str
    protocol_version: str | None
    verdict: str | None
    """good, noisy or contended"""
    details: Object
    """Raw statistics, reference, hashes, runtime and agent"""
    stale: str | None = field_(default=None)
    """Why it no longer holds, of a measurement on a target"""
    job_id: str | None = field_(metadata={"json": "job"})


@dataclass(kw_only=True)
class MetricList:
    """Every metric."""

    items: list[MetricView]


@dataclass(kw_only=True)
class MetricRange:
    """A metric over the (restricted) space: smallest, centroid and largest subnet, and the extremes
    found.
    """

    metric: str
    target: str | None
    unit: str
    source: str
    """closed_form or predicted"""
    smallest: float
    centroid: float
    largest: float
    best: float
    worst: float


@dataclass(kw_only=True)
class MetricView:
    """A quantity of a subnet that can be an objective or have a limit."""

    name: str
    unit: str
    direction: Literal["min", "max"]
    """min: smaller values are better"""
    source: Literal["measured", "evaluated", "closed_form"]
    """Measured on a target, evaluated on a data split, or computed from the layers"""
    minimum: float | None
    """Smallest possible value, null without one"""
    maximum: float | None
    """Largest possible value, null without one"""
    description: str


@dataclass(kw_only=True)
class Pixels:
    """Of all channels, of values in 0..1; ``distinct_values`` of the 256 that 8 bits have."""

    mean: float
    std: float
    distinct_values: int


@dataclass(kw_only=True)
class PredictedValue:
    """What a predictor said before anything was measured: mean and the 5 %–95 % interval."""

    metric: str
    target: str | None
    mean: float
    low: float
    high: float
    predictor: str | None
    version: str | None


@dataclass(kw_only=True)
class PredictorView:
    """A predictor: what it belongs to, and how well it does on rows it has not seen."""

    id: str
    created_at: datetime
    archived_at: datetime | None = field_(default=None)
    """When it was archived: DELETE on what other resources refer to"""
    supernet: str
    target: str | None
    metric: str
    unit: str
    kind: str
    """auto until the comparison is done, then the kind that was chosen"""
    state: str
    """State of the job that fits it"""
    version: str | None
    """Hash of the fitted model"""
    rows: int
    report: Object | None
    """n, spearman, kendall, mape, bias, coverage and width of intervals; choice: the kinds that were
    compared and why this one was taken; plot: the artifact with predicted against measured, and
    points, worst and learning_curve (left out of lists)
    """
    stale: str | None = field_(default=None)
    """Why it should be fitted anew: target changed, or much is newer"""
    job_id: str | None = field_(metadata={"json": "job"})


@dataclass(kw_only=True)
class Problem:
    """What is wrong (``error``: training refuses it) or may be (``warning``)."""

    level: Literal["error", "warning"]
    code: str
    message: str


@dataclass(kw_only=True)
class ProfileView:
    """Ranges of every metric, and whether the constraints can be met."""

    metrics: list[MetricRange]
    satisfiable: bool | None
    """null where a predictor is missing"""
    share: float | None
    """Share of sampled subnets that meet every constraint"""
    unmet: list[Unmet]
    missing: list[Action]
    """Requests that would make the missing predictors"""
    sampled: int


@dataclass(kw_only=True)
class Progress:
    """How far a job is; ``eta_s`` is null until it can be told."""

    done: int
    total: int
    eta_s: float | None


@dataclass(kw_only=True)
class QualityValue:
    """Quality on a split."""

    metric: str
    value: float
    standard_error: float
    n: int
    split: str
    precision: str


@dataclass(kw_only=True)
class Readiness:
    """The database answers and is migrated; ``workers`` counts those with a recent heartbeat."""

    status: str
    database: str
    schema_version: str | None
    workers: int


@dataclass(kw_only=True)
class Reference:
    """A reference net, against which the others are held."""

    sha256: str
    bytes: int
    name: str


@dataclass(kw_only=True)
class ReferencePoint:
    """Worst value of an objective that counts towards the hypervolume, fixed before the first
    evaluation.
    """

    target: str | None
    metric: str
    value: float


@dataclass(kw_only=True)
class RefusedRow:
    """A row that was not taken, and why."""

    item: str
    field: str
    got: object | None = field_(default=None)
    allowed: object | None = field_(default=None)


@dataclass(kw_only=True)
class Removed:
    """Answer of DELETE: what nothing refers to is deleted, everything else archived."""

    id: str
    state: Literal["deleted", "archived"]
    referred_by: dict[str, int]
    """Number of rows that refer to it, by kind of resource"""


@dataclass(kw_only=True)
class RenewView:
    """Until when, and which nets are still this lease's."""

    expires_at: datetime
    expires_in_s: float
    items: list[str]


@dataclass(kw_only=True)
class ResourceRef:
    """What a job makes."""

    type: str
    id: str
    href: str


@dataclass(kw_only=True)
class ResultsView:
    """What became of the rows; ``known`` were there already."""

    recorded: int
    known: int
    refused: list[RefusedRow]


@dataclass(kw_only=True)
class SearchView:
    """A search: how its job is doing, and, apart from that, whether its limits could be met."""

    id: str
    created_at: datetime
    archived_at: datetime | None = field_(default=None)
    """When it was archived: DELETE on what other resources refer to"""
    supernet: str
    targets: list[str]
    front_kind: str = field_(metadata={"json": "front"})
    objectives: list[str]
    constraints: list[ConstraintBody]
    restrict: dict[str, list[float | str]]
    confidence: float
    budget: Spending
    stall: StopRule
    algorithm: str
    seed: int
    labels: dict[str, str]
    extends: str | None
    """The search that this one goes on from"""
    state: str
    feasible: bool | None
    """Set when the search ends"""
    nearest: FrontPoint | None
    """When nothing is feasible: the nearest point, and by how much"""
    evaluations: Spent
    points: int
    """Size of the front"""
    reference_point: list[ReferencePoint]
    history: list[HistoryPoint]
    """Hypervolume after each round; 0 evaluations: what was known"""
    warnings: list[str]
    provenance: Object
    job_id: str = field_(metadata={"json": "job"})
    finished_at: datetime | None


@dataclass(kw_only=True)
class SpaceView:
    """Every subnet there is."""

    axes: list[AxisView]
    size: float
    smallest: dict[str, float | str]
    largest: dict[str, float | str]


@dataclass(kw_only=True)
class Spending:
    """What a search may spend; none of it where it only judges anew what is known."""

    evaluations: int
    seconds: float | None = field_(default=None)


@dataclass(kw_only=True)
class Spent:
    """Evaluations done and the budget; beside these, how many were known before and cost nothing."""

    done: int
    budget: int
    reused: int


@dataclass(kw_only=True)
class SplitReport:
    """A split of the source; ``pixels`` is absent where no image of it could be decoded."""

    images: int
    classes: dict[str, int]
    pixels: Pixels | None = field_(default=None)


@dataclass(kw_only=True)
class StopRule:
    """End when the hypervolume of the front grew by less than ``gain`` of itself over so many
    evaluations. Never before twice as many. ``gain`` 0 never ends a search.
    """

    evaluations: int | None = field_(default=None)
    """Defaults to a quarter of the budget, at least 32"""
    gain: float = field_(default=0.001)


@dataclass(kw_only=True)
class SubnetView:
    """An arch of a supernet, with what is known about it."""

    id: str
    created_at: datetime
    supernet: str
    arch_id: str
    arch: dict[str, float | str]
    costs: dict[str, float]
    measurements: list[MeasurementView]
    exports: list[ExportView]


@dataclass(kw_only=True)
class SupernetView:
    """A registered supernet: its weights are in the artifact store, its hashes were checked."""

    id: str
    created_at: datetime
    archived_at: datetime | None = field_(default=None)
    """When it was archived: DELETE on what other resources refer to"""
    name: str
    family: str
    quality: str
    """Name of its quality metric"""
    source: str
    """zoo, import, training, or table: a space without networks"""
    weights_sha256: str
    """Hash of the weights; the space's where there are none"""
    space_sha256: str
    space_size: float
    """Number of subnets"""
    classes: list[str]
    data: Object
    """Data set and its three splits, with sizes and hashes"""
    preprocessing: Object
    training: Object
    recipe: Object
    report: Object
    """Report card of the training"""
    licence: str | None
    """Of the weights; null until their owner states it in the manifest"""


@dataclass(kw_only=True)
class TargetView:
    """A hardware target."""

    id: str
    created_at: datetime
    archived_at: datetime | None = field_(default=None)
    """When it was archived: DELETE on what other resources refer to"""
    name: str
    kind: str
    settings: Object
    description: Object
    """What was found: device, runtime, versions"""
    metrics: list[str]
    """Metrics that are known or can be measured of it"""
    measurable: bool
    """false: all its rows are imported, nothing can be measured on it"""
    measured_by: Literal["worker", "agent", "nobody"]
    """Who measures: a worker of the service, an agent on the device, or nobody (rows are imported)"""
    calibrations: Object | None = field_(default=None)
    """Reference nets and their latency here: the scale of every measurement; null before any"""
    stale: str | None = field_(default=None)
    """Why what was measured here no longer holds: POST …:refresh starts anew"""
    valid_from: datetime | None = field_(default=None)
    """What was measured before is stale"""
    drifts: list[float] = field_(default_factory=list)
    """Latency of the reference net in the last runs over that of the calibration, oldest first"""
    agents: list[AgentView] = field_(default_factory=list)
    """Processes that measure for it"""
    unsupported: int = field_(default=0)
    """Subnets that its runtime could not run; searches avoid them"""


@dataclass(kw_only=True)
class Unmet:
    """A constraint that nothing seen meets."""

    metric: str
    target: str | None
    max: float | None
    min: float | None
    best: float


@dataclass(kw_only=True)
class Violation:
    """How far a point is from a limit; ``excess`` is relative to the limit."""

    metric: str
    target: str | None
    max: float | None
    min: float | None
    value: float
    excess: float
