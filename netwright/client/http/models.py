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
    """Id of the resource"""
    job: JobBrief
    """The job that makes it"""


@dataclass(kw_only=True)
class Action:
    """The request that would help."""

    method: Literal["GET", "POST"]
    """HTTP method"""
    path: str
    """Path of the request"""
    body: Object | None = field_(default=None)
    """Body of the request"""


@dataclass(kw_only=True)
class AgentView:
    """A process on a device."""

    name: str
    """Its name"""
    seen_at: datetime
    """When it was last heard of, in UTC"""
    connected: bool
    """Whether it was heard of within the time of a lease"""


@dataclass(kw_only=True)
class AxisRecord:
    """An axis that was found."""

    name: str
    """In the space"""
    kind: str
    """width: channels that go together; depth: residual branches that may be skipped"""
    removing: Literal["exact", "approximate"]
    """exact: a smaller network is the original with the removed channels at zero"""
    unit: str = field_(default="")
    """What is removed at a time, with the reason where heads go whole; empty in older records"""
    modules: list[str]
    """Modules of the original whose weights change"""
    choices: list[KeptRecord]
    """From the smallest to the largest"""


@dataclass(kw_only=True)
class AxisView:
    """One decision of a space, its choices from the smallest network to the largest."""

    name: str
    """Its name"""
    kind: str
    """Its kind"""
    choices: list[float | str]
    """Choices, from the smallest network to the largest"""
    parent: str | None = field_(default=None)
    """Axis that decides whether this one counts; null: none"""
    active_when: list[float | str] = field_(default_factory=list)
    """Choices of the parent with which this axis counts; empty: always"""


@dataclass(kw_only=True)
class ChangeRecord:
    """Quality before and after on the same examples; the error of the difference is that of paired
    scores.
    """

    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    split: str
    """Split of the data: train, validation or test; null for what is measured on a target"""
    n: int
    """Number of single values behind it"""
    before: QualityRecord
    """Before the training, recalibrated"""
    after: QualityRecord
    """After the training, recalibrated"""
    difference: float
    """After minus before"""
    standard_error: float
    """Standard error of the value"""


@dataclass(kw_only=True)
class CompareView:
    """Fronts with the same objectives, best first objective first, with a reference point for all."""

    objectives: list[str]
    """Metrics that are optimised, each in its own direction"""
    target: str | None
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    reference_point: dict[str, float]
    """The worst value of each objective on these fronts, and a tenth of the range beyond it"""
    fronts: list[ComparedFront]
    """The fronts that are compared"""


@dataclass(kw_only=True)
class ComparedFront:
    """The front of one search."""

    search: str
    """Id of the search; null: all searches"""
    hypervolume: float
    """Up to the common reference point; larger is better"""
    share: float | None
    """Of the hypervolume of all fronts together; null where that is 0"""
    new: int
    """Points whose subnets the first search's front does not have"""
    common: int
    """Points whose subnets the first search's front has too: differences of their values are noise of
    measuring them again
    """
    best: int
    """Points on the front of all searches together"""
    points: list[ComparedPoint]
    """The points, best first"""


@dataclass(kw_only=True)
class ComparedPoint:
    """A point of one front, seen from all of them."""

    subnet: str
    """Id of the subnet"""
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
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    target: str | None = field_(default=None)
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    max: float | None = field_(default=None)
    """Largest allowed value, in the metric's unit"""
    min: float | None = field_(default=None)
    """Smallest allowed value, in the metric's unit"""


@dataclass(kw_only=True)
class ConversionView:
    """What was found in a network, before anything is trained."""

    inputs: list[TensorRecord]
    """In the order of forward's arguments"""
    output: TensorRecord
    """What quality is computed from"""
    axes: list[AxisRecord]
    """The decisions that make an arch"""
    frozen: list[StaysRecord]
    """Modules that stay as they are, with the reason"""
    costs: dict[str, dict[str, float]]
    """Closed-form costs of the smallest network and of the original"""
    subnets: float
    """Number of subnets"""
    importance: str = field_(default="magnitude")
    """Score by which channels are kept, the highest first"""
    latency: list[RoughLatency]
    """On the targets of the project that have measured subnets of other supernets"""


@dataclass(kw_only=True)
class DataReport:
    """What ``netwright data check --json`` prints, without ``details``."""

    splits: dict[str, SplitReport] = field_(default_factory=dict)
    """Train, validation and test"""
    channels: int | None = field_(default=None)
    """Channels of the images: 1 (grey) or 3 (RGB)"""
    resolution: int | None = field_(default=None)
    """Height and width in pixels"""
    problems: list[Problem] = field_(default_factory=list)
    """What is wrong with the data"""
    details: Details | None = field_(default=None)
    """More about each part"""


@dataclass(kw_only=True)
class Details:
    """How the examples are stored, and what becomes of them."""

    spec: str = field_(default="")
    """The data set with its options"""
    reads: str = field_(default="images")
    """What an example is: images or text"""
    tokens: dict[str, int] = field_(default_factory=dict)
    """Of texts: median, p90 and longest length in tokens"""
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
class ElsewhereUse:
    """Evaluations of the space by another supernet, as a prior of quality."""

    supernet: str
    """Id of the supernet; requests may give its name"""
    rows: int
    """Evaluations of it that were used"""
    weight: float
    """Learned weight after the last round; 0 where they did not help"""


@dataclass(kw_only=True)
class EstimateView:
    """Size and cost of a training. A backward pass counts as two forward passes; MB are 10^6 bytes."""

    data: str
    """Data set with its splits, sizes and hashes"""
    data_report: DataReport | None = field_(default=None)
    """What the images are like, from a sample; null for published data sets"""
    classes: int | None
    """null if it is known only after loading"""
    train_images: int | None
    """null if it is known only after loading"""
    task: str
    """Name of the task"""
    family: str
    """Name of the family: the code of this kind of supernet"""
    recipe: str
    """The training recipe"""
    steps: int
    """Training steps"""
    batch_size: int
    """Images of a training step"""
    seed: int
    """Seed of every random draw"""
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
    """Multiply-accumulate operations of a training step"""
    memory_mb: float | None
    """Weights, gradients, activations and images; null if it is known only after loading"""
    networks: int
    """More than one where the recipe splits the space"""
    seconds: float | None = field_(default=None)
    """null: it is known only after real steps on the worker"""


@dataclass(kw_only=True)
class EvaluatedSubnet:
    """A subnet behind a front; ``own`` if this search evaluated it, else it existed before."""

    subnet: str
    """Id of the subnet"""
    own: bool
    """Whether this search evaluated it; otherwise it was evaluated before"""
    feasible: bool
    """Whether every limit is met"""
    front: bool
    """On the front as it stands, by these values"""
    values: list[EvaluatedValue]
    """Values of the metrics"""


@dataclass(kw_only=True)
class EvaluatedValue:
    """A true value: quality on validation, a measurement, or a closed form."""

    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    target: str | None
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    value: float
    """The value, in the metric's unit"""


@dataclass(kw_only=True)
class EvaluationsView:
    """The evaluated subnets of a search, while it runs and afterwards; what is on the front comes first."""

    search: str
    """Id of the search; null: all searches"""
    objectives: list[str]
    """Metrics that are optimised, each in its own direction"""
    target: str | None
    """Whose front it is, where each target has one"""
    total: int
    """Evaluated subnets before thinning"""
    points: list[EvaluatedSubnet]
    """The points, best first"""


@dataclass(kw_only=True)
class ExportView:
    """An exported file."""

    id: str
    """Id of the resource"""
    created_at: datetime
    """When it was made, in UTC"""
    subnet: str
    """Id of the subnet"""
    format: str
    """Format of the file"""
    precision: str
    """Precision of the weights and activations, e.g. fp32"""
    opset: int
    """ONNX operator set"""
    batch: str
    """Batch size of the file: dynamic, or a number"""
    ir_version: int | None
    """As asked for; null is the lowest that the opset allows"""
    finetune: str | None
    """The fine-tune whose weights it has; null: those of the supernet"""
    state: str
    """State of the job that makes it"""
    sha256: str | None
    """SHA-256 of the content"""
    bytes: int | None
    """Size of the file"""
    exporter: str | None
    """Name of the exporter that wrote the file"""
    exporter_version: str | None
    """Its version"""
    parity: Object | None
    """max_error, n, tolerance: file against torch on real images. For fp16 and int8 also change: quality
    of fp32 and of the file on the same test images, their difference with its standard error, median
    latency of both in ms on one thread of the worker, its device, whether that has an instruction for
    8-bit dot products (int8 may be slower without), and sizes
    """
    metadata: dict[str, str]
    """Metadata in the file: preprocessing, class names, hashes"""
    job_id: str | None = field_(metadata={"json": "job"})
    """The job that makes it"""


@dataclass(kw_only=True)
class FineTuneView:
    """A subnet with weights of its own."""

    id: str
    """Id of the resource"""
    created_at: datetime
    """When it was made, in UTC"""
    subnet: str
    """Id of the subnet"""
    data: str
    """The images that it was trained and tested on"""
    recipe: Object
    """The training recipe"""
    seed: int
    """Seed of every random draw"""
    state: str
    """State of the job that makes it"""
    change: ChangeRecord | None
    """Quality before and after on the same test images of the data; null until it is done"""
    classifier: Literal["kept", "new"] | None
    """kept, or new where the data have other classes than the supernet: the quality before is then that
    of a random classifier
    """
    classes: list[str] | None
    """Names of the classes, in the order of the outputs"""
    stage: Object | None
    """Steps, passes, images and seconds of the training"""
    sha256: str | None
    """Hash of its weights, a safetensors file"""
    bytes: int | None
    """Size of the file"""
    job_id: str | None = field_(metadata={"json": "job"})
    """The job that makes it"""


@dataclass(kw_only=True)
class FrontPoint:
    """One subnet of a front: what was predicted and what was measured."""

    subnet: str
    """Id of the subnet"""
    search: str
    """Id of the search; null: all searches"""
    target: str | None
    """The target whose front this is (per_target), else null"""
    arch: dict[str, float | str]
    """Choice of each active axis"""
    feasible: bool
    """Whether every limit is met"""
    violations: list[Violation] = field_(default_factory=list)
    """How far it is from each limit that it breaks"""
    predicted: list[PredictedValue]
    """Predicted values, from before anything was measured"""
    measured: list[MeasuredValue]
    """Measured values, from the confirmation run"""
    quality: QualityValue | None
    """On the test split"""
    validation: QualityValue | None
    """Quality on the validation split, which the search used"""
    costs: dict[str, float]
    """params, macs, activation_mb, size_mb"""
    reason: str | None = field_(default=None)
    """Why this one, in words, where points were picked"""
    within_noise: list[str] = field_(default_factory=list)
    """Subnets of the same front whose quality cannot be distinguished from this one's by the standard
    errors; at most 20
    """


@dataclass(kw_only=True)
class FrontView:
    """The non-dominated, feasible subnets of one search or of everything stored."""

    search: str | None
    """Id of the search; null: all searches"""
    objectives: list[str]
    """Metrics that are optimised, each in its own direction"""
    pick: str | None = field_(default=None)
    """How points were picked; null: all points"""
    total: int
    """Points before thinning and picking; those within the limits"""
    note: str | None = field_(default=None)
    """Why no point was picked"""
    noise: str | None = field_(default=None)
    """How many points cannot be distinguished from another by their quality, and what would help"""
    points: list[FrontPoint]
    """The points, best first"""
    original: OriginalView | None = field_(default=None)
    """Of a converted supernet: the network that it was made from, beside the front"""


@dataclass(kw_only=True)
class Health:
    """The process answers."""

    status: str
    """HTTP status, or ok"""
    version: str
    """Its version"""


@dataclass(kw_only=True)
class HistoryPoint:
    """Hypervolume of a front after this many evaluations, by first measurements and feasible archs only."""

    target: str | None
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    evaluations: int
    """Number of evaluations: quality and latency on every target"""
    images: int = field_(default=0)
    """Validation images that the evaluations took"""
    seconds: float
    """Wall time in seconds; null: no limit"""
    hypervolume: float
    """Hypervolume of the front up to the reference point; larger is better"""


@dataclass(kw_only=True)
class ImportAccepted:
    """Answer 202: the job that imports the rows, and the target and supernet (or space) that they belong
    to.
    """

    id: str
    """Id of the resource"""
    job: JobBrief
    """The job that makes it"""
    target: str
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    supernet: str
    """Id of the supernet; requests may give its name"""


@dataclass(kw_only=True)
class JobBrief:
    """The job that makes a resource, as an answer to POST names it."""

    id: str
    """Id of the resource"""
    kind: str
    """Its kind"""
    state: str
    """queued, running, succeeded, failed, cancelling or cancelled"""


@dataclass(kw_only=True)
class JobError:
    """Why a job failed; code ``parked`` means too many workers died on it."""

    code: str
    """Stable code of the error"""
    message: str
    """What happened, in a sentence"""


@dataclass(kw_only=True)
class JobTime:
    """Seconds under a living worker, and, not part of these, of waiting for devices and for a busy
    machine.
    """

    active_s: float
    """Seconds of work"""
    waited_for_devices_s: float
    """Seconds of waiting for devices"""
    waited_for_machine_s: float
    """Seconds of waiting for the machine to be free"""


@dataclass(kw_only=True)
class JobView:
    """A job of any kind."""

    id: str
    """Id of the resource"""
    created_at: datetime
    """When it was made, in UTC"""
    kind: str
    """Its kind"""
    state: Literal["queued", "running", "succeeded", "failed", "cancelling", "cancelled"]
    """queued, running, succeeded, failed, cancelling or cancelled"""
    priority: int
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    progress: Progress
    """How far the job is"""
    message: str | None
    """What it is doing"""
    error: JobError | None
    """Why the job failed; null otherwise"""
    resource: ResourceRef | None
    """What the job makes; null: nothing"""
    result: Object | None = field_(default=None)
    """Results of kinds of job that make no resource, e.g. the rows that were refused"""
    waiting_for: str | None = field_(default=None)
    """What a job that does not run waits for: a worker, jobs before it, or devices"""
    time: JobTime | None = field_(default=None)
    """Where its time went; null in lists"""
    attempts: int
    """Workers that have started it"""
    started_at: datetime | None
    """When a worker started it, in UTC; null before"""
    finished_at: datetime | None
    """When it ended, in UTC; null before"""
    log: list[str] = field_(default_factory=list)
    """Last lines; empty in lists"""


@dataclass(kw_only=True)
class KeptRecord:
    """A choice of an axis, and how many channels (of its first module) or branches it keeps."""

    choice: float | str
    """Of the axis, as in an arch"""
    kept: int
    """Channels or branches"""


@dataclass(kw_only=True)
class LatencyParts:
    """Latency as a sum over kernels, fitted to ``rows`` subnets measured on the target as a whole."""

    fixed_ms: float
    """What every subnet takes, whatever its layers"""
    layers_ms: float
    """Latency of each layer in milliseconds"""
    rows: int
    """Number of rows, or the rows"""


@dataclass(kw_only=True)
class LayerView:
    """A layer of a subnet, for one input. Positions are height times width, or tokens."""

    name: str
    """Its name"""
    kind: str
    """Its kind"""
    in_channels: int
    """Channels of the layer's input"""
    out_channels: int
    """Channels of the layer's output"""
    in_positions: int
    """Positions (height times width) of the layer's input"""
    out_positions: int
    """Positions (height times width) of the layer's output"""
    kernel: int
    """Side of the kernel"""
    stride: int
    """Stride of the layer"""
    params: float
    """Number of weights"""
    macs: float
    """Multiply-accumulate operations for one input"""
    activation_mb: float
    """Alive while it runs, fp32"""
    latency_ms: float | None
    """Its part of the latency on the target; 0 where it runs inside the layer before it"""


@dataclass(kw_only=True)
class LayersView:
    """What a subnet is made of, and its predictions by the newest predictors."""

    subnet: str
    """Id of the subnet"""
    target: str | None
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    layers: list[LayerView]
    """The layers, in order"""
    latency: LatencyParts | None
    """null without a target, or with too few subnets measured on it"""
    predicted: list[PredictedValue]
    """Predicted values, from before anything was measured"""


@dataclass(kw_only=True)
class LeaseView:
    """A batch of nets, measured in one interleaved run and sent before the lease expires."""

    id: str
    """Id of the resource"""
    expires_at: datetime
    """When the lease ends, in UTC"""
    expires_in_s: float
    """Seconds until the nets go to others; :renew starts them again"""
    target: str
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    settings: Object
    """Settings of the target: threads, precision, batch"""
    protocol: Object
    """Rounds, block length and seed of the one protocol"""
    metrics: list[str]
    """The metrics"""
    calibrations: Object | None
    """Of the target; null when this batch is to make them"""
    references: list[Reference]
    """Reference nets that are measured along"""
    items: list[LeasedItem]
    """The items of this page or batch"""


@dataclass(kw_only=True)
class LeasedItem:
    """A net to measure."""

    sha256: str
    """SHA-256 of the content"""
    bytes: int
    """Size of the file"""
    id: str
    """Id of the resource"""


@dataclass(kw_only=True)
class MeasuredValue:
    """What the confirmation run measured, which had no part in choosing the subnet."""

    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    target: str
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    value: float
    """The value, in the metric's unit"""
    spread: float | None
    """Standard error of the value, in its unit"""
    n: int
    """Number of single values behind it"""
    statistic: str
    """How the value follows from the single ones"""
    protocol_version: str | None
    """Version of the measuring protocol; null for imported values"""
    verdict: str | None
    """good, noisy, contended, refused or unsupported"""
    raw: Object
    """raw p50 and p90, reference and its calibration"""


@dataclass(kw_only=True)
class MeasurementView:
    """A metric of a subnet on a target or a split."""

    id: str
    """Id of the resource"""
    created_at: datetime
    """When it was made, in UTC"""
    subnet: str
    """Id of the subnet"""
    supernet: str
    """Id of the supernet; requests may give its name"""
    arch: dict[str, float | str]
    """Choice of each active axis"""
    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    unit: str
    """Unit of the value"""
    target: str | None
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    split: str | None
    """Split of the data: train, validation or test; null for what is measured on a target"""
    value: float
    """The value, in the metric's unit"""
    spread: float | None
    """Standard error of the value, in its unit"""
    n: int
    """Rounds of a measured metric, images of an evaluated one"""
    statistic: str
    """How the value follows from the single ones"""
    precision: str
    """Precision of the weights and activations, e.g. fp32"""
    protocol_version: str | None
    """Version of the measuring protocol; null for imported values"""
    verdict: str | None
    """good, noisy or contended"""
    details: Object
    """Raw statistics, reference, hashes, runtime and agent"""
    stale: str | None = field_(default=None)
    """Why it no longer holds, of a measurement on a target"""
    job_id: str | None = field_(metadata={"json": "job"})
    """The job that makes it"""


@dataclass(kw_only=True)
class MetricList:
    """Every metric."""

    items: list[MetricView]
    """The items of this page or batch"""


@dataclass(kw_only=True)
class MetricRange:
    """A metric over the (restricted) space: smallest, centroid and largest subnet, and the extremes
    found.
    """

    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    target: str | None
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    unit: str
    """Unit of the value"""
    source: str
    """closed_form or predicted"""
    smallest: float
    """Value of the smallest subnet"""
    centroid: float
    """Value of the subnet in the middle of the space"""
    largest: float
    """Value of the largest subnet"""
    best: float
    """Best value that was found"""
    worst: float
    """Worst value that was found"""


@dataclass(kw_only=True)
class MetricView:
    """A quantity of a subnet that can be an objective or have a limit."""

    name: str
    """Its name"""
    unit: str
    """Unit of the value"""
    direction: Literal["min", "max"]
    """min: smaller values are better"""
    source: Literal["measured", "evaluated", "closed_form"]
    """Measured on a target, evaluated on a data split, or computed from the layers"""
    minimum: float | None
    """Smallest possible value, null without one"""
    maximum: float | None
    """Largest possible value, null without one"""
    description: str
    """What it is"""


@dataclass(kw_only=True)
class OriginalView:
    """The network that a converted supernet was made from, as it came and with its own statistics."""

    subnet: str | None
    """The subnet that equals it, the largest; null until it is stored"""
    arch: dict[str, float | str]
    """Choice of each active axis"""
    costs: dict[str, float]
    """params, macs, activation_mb, size_mb"""
    quality: QualityValue | None
    """On the test split"""
    validation: QualityValue | None
    """Quality on the validation split, which the search used"""
    measured: list[MeasuredValue]
    """The newest values of that subnet on the targets of the front; empty until it was measured there"""


@dataclass(kw_only=True)
class Pixels:
    """Of all channels, of values in 0..1; ``distinct_values`` of the 256 that 8 bits have."""

    mean: float
    """Mean"""
    std: float
    """Standard deviation"""
    distinct_values: int
    """Number of distinct pixel values"""


@dataclass(kw_only=True)
class PredictedValue:
    """A prediction, made before any measurement: mean and the 5 %–95 % interval."""

    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    target: str | None
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    mean: float
    """Mean"""
    low: float
    """5 % quantile of the prediction"""
    high: float
    """95 % quantile of the prediction"""
    predictor: str | None
    """Id of the predictor"""
    version: str | None
    """Its version"""


@dataclass(kw_only=True)
class PredictorView:
    """A predictor: what it belongs to, and how well it does on rows it has not seen."""

    id: str
    """Id of the resource"""
    created_at: datetime
    """When it was made, in UTC"""
    archived_at: datetime | None = field_(default=None)
    """When it was archived: DELETE on what other resources refer to"""
    supernet: str
    """Id of the supernet; requests may give its name"""
    target: str | None
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    unit: str
    """Unit of the value"""
    kind: str
    """auto until the comparison is done, then the kind that was chosen"""
    state: str
    """State of the job that fits it"""
    version: str | None
    """Hash of the fitted model"""
    rows: int
    """Number of rows, or the rows"""
    report: Object | None
    """n, spearman, kendall, mape, bias, coverage and width of intervals; choice: the kinds that were
    compared and why this one was taken; plot: the artifact with predicted against measured, and
    points, worst and learning_curve (left out of lists)
    """
    stale: str | None = field_(default=None)
    """Why it should be refitted: the target changed, or many rows are newer"""
    job_id: str | None = field_(metadata={"json": "job"})
    """The job that makes it"""


@dataclass(kw_only=True)
class Problem:
    """What is wrong (``error``: training refuses it) or may be (``warning``)."""

    level: Literal["error", "warning"]
    """How serious it is"""
    code: str
    """Stable code of the error"""
    message: str
    """What happened, in a sentence"""


@dataclass(kw_only=True)
class ProfileView:
    """Ranges of every metric, and whether the constraints can be met."""

    metrics: list[MetricRange]
    """The metrics"""
    satisfiable: bool | None
    """null where a predictor is missing"""
    share: float | None
    """Share of sampled subnets that meet every constraint"""
    unmet: list[Unmet]
    """Limits that nothing meets"""
    missing: list[Action]
    """Requests that would make the missing predictors"""
    sampled: int
    """Number of subnets that were sampled"""


@dataclass(kw_only=True)
class Progress:
    """How far a job is; ``eta_s`` is null until it can be estimated."""

    done: int
    """Steps that are done"""
    total: int
    """Steps in all"""
    eta_s: float | None
    """Seconds until the end, estimated; null while unknown"""


@dataclass(kw_only=True)
class QualityRecord:
    """A quality and its standard error."""

    value: float
    """The value, in the metric's unit"""
    standard_error: float
    """Standard error of the value"""


@dataclass(kw_only=True)
class QualityValue:
    """Quality on a split."""

    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    value: float
    """The value, in the metric's unit"""
    standard_error: float
    """Standard error of the value"""
    n: int
    """Number of single values behind it"""
    split: str
    """Split of the data: train, validation or test; null for what is measured on a target"""
    precision: str
    """Precision of the weights and activations, e.g. fp32"""


@dataclass(kw_only=True)
class Readiness:
    """The database answers and is migrated; ``workers`` counts those with a recent heartbeat."""

    status: str
    """HTTP status, or ok"""
    database: str
    """Kind of database: sqlite or postgresql"""
    schema_version: str | None
    """Version of the database's schema"""
    workers: int
    """Workers with a recent heartbeat"""
    queued_for_s: float
    """Age of the job that waits longest for a worker, 0 without one"""
    disk_free_mb: float
    """Room on the disk of NETWRIGHT_HOME"""
    disk: Literal["ok", "nearly_full"]
    """nearly_full below 200 MB: writes may soon fail"""


@dataclass(kw_only=True)
class Reference:
    """A reference net, against which the others are held."""

    sha256: str
    """SHA-256 of the content"""
    bytes: int
    """Size of the file"""
    name: str
    """Its name"""


@dataclass(kw_only=True)
class ReferencePoint:
    """Worst value of an objective that counts towards the hypervolume, fixed before the first
    evaluation.
    """

    target: str | None
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    value: float
    """The value, in the metric's unit"""


@dataclass(kw_only=True)
class RefusedRow:
    """A row that was not taken, and why."""

    item: str
    """Id of the leased item"""
    field: str
    """Path to the value that is wrong"""
    got: object | None = field_(default=None)
    """The value that was sent, shortened"""
    allowed: object | None = field_(default=None)
    """The rule, or the choices"""


@dataclass(kw_only=True)
class Removed:
    """Answer of DELETE: what nothing refers to is deleted, everything else archived."""

    id: str
    """Id of the resource"""
    state: Literal["deleted", "archived"]
    """queued, running, succeeded, failed, cancelling or cancelled"""
    referred_by: dict[str, int]
    """Number of rows that refer to it, by kind of resource"""


@dataclass(kw_only=True)
class RenewView:
    """Until when, and which nets are still this lease's."""

    expires_at: datetime
    """When the lease ends, in UTC"""
    expires_in_s: float
    """Seconds until the lease ends"""
    items: list[str]
    """The items of this page or batch"""


@dataclass(kw_only=True)
class ResourceRef:
    """What a job makes."""

    type: str
    """Kind of resource, or the URN of the error"""
    id: str
    """Id of the resource"""
    href: str
    """Path of the resource"""


@dataclass(kw_only=True)
class ResultsView:
    """The result for each row; ``known`` were stored already."""

    recorded: int
    """Rows that were stored"""
    known: int
    """Rows that were stored before"""
    refused: list[RefusedRow]
    """Rows that were not stored, and why"""


@dataclass(kw_only=True)
class RoughLatency:
    """About how long both ends take on a target, from costs alone: a search measures."""

    target: str
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    name: str
    """Name of the target"""
    smallest: float
    """ms"""
    largest: float
    """ms, of the original"""
    rows: int
    """Measured subnets of other supernets that this is estimated from"""
    error: float | None
    """Median relative error for supernets that were left out; null with rows of a single one"""


@dataclass(kw_only=True)
class SearchView:
    """A search: how its job is doing, and, apart from that, whether its limits could be met."""

    id: str
    """Id of the resource"""
    created_at: datetime
    """When it was made, in UTC"""
    archived_at: datetime | None = field_(default=None)
    """When it was archived: DELETE on what other resources refer to"""
    supernet: str
    """Id of the supernet; requests may give its name"""
    targets: list[str]
    """Ids of the targets; requests may give their names"""
    front_kind: str = field_(metadata={"json": "front"})
    """One front for each target, or a shared one, which counts the worst target"""
    objectives: list[str]
    """Metrics that are optimised, each in its own direction"""
    constraints: list[ConstraintBody]
    """Limits that every returned subnet must meet"""
    restrict: dict[str, list[float | str]]
    """Axis or kind of axis to the choices that are allowed"""
    confidence: float
    """One-sided probability with which a limit must be met by what is predicted"""
    budget: Spending
    """What the search may spend"""
    stall: StopRule
    """When the search ends before its budget is spent"""
    algorithm: str
    """Name of the search algorithm"""
    first_images: int | None = field_(default=None)
    """As requested: images of a first evaluation; 0: all; null: the default"""
    seed: int
    """Seed of every random draw"""
    labels: dict[str, str]
    """Free names and values, for filters"""
    elsewhere: list[ElsewhereUse] = field_(default_factory=list)
    """Evaluations by other supernets that were a prior of quality; none before the search ends"""
    extends: str | None
    """The search that this one goes on from"""
    state: str
    """queued, running, succeeded, failed, cancelling or cancelled"""
    feasible: bool | None
    """Set when the search ends"""
    nearest: FrontPoint | None
    """When nothing is feasible: the nearest point, and by how much"""
    evaluations: Spent
    """Number of evaluations: quality and latency on every target"""
    points: int
    """Size of the front"""
    reference_point: list[ReferencePoint]
    """Worst values that count for the hypervolume"""
    history: list[HistoryPoint]
    """Hypervolume after each round; 0 evaluations: the existing results"""
    warnings: list[str]
    """What makes the result uncertain"""
    provenance: Object
    """Predictors, weights, data and code behind the result"""
    job_id: str = field_(metadata={"json": "job"})
    """The job that makes it"""
    finished_at: datetime | None
    """When it ended, in UTC; null before"""


@dataclass(kw_only=True)
class SpaceView:
    """Every subnet there is."""

    axes: list[AxisView]
    """The decisions that make an arch"""
    size: float
    """Number of archs of the space"""
    smallest: dict[str, float | str]
    """The smallest arch"""
    largest: dict[str, float | str]
    """The largest arch"""


@dataclass(kw_only=True)
class Spending:
    """What a search may spend; 0 evaluations where it only recomputes the front from existing rows."""

    evaluations: int
    """Number of evaluations: quality and latency on every target"""
    images: int | None = field_(default=None)
    """Number of images"""
    seconds: float | None = field_(default=None)
    """Wall time in seconds; null: no limit"""


@dataclass(kw_only=True)
class Spent:
    """Evaluations done and the budget, and how many existing evaluations were used at no cost."""

    done: int
    """Steps that are done"""
    budget: int
    """What the search may spend"""
    reused: int
    """Evaluations that existed before"""


@dataclass(kw_only=True)
class SplitReport:
    """A split of the source; ``images`` counts its examples, ``pixels`` is absent where no image could
    be decoded.
    """

    images: int
    """Number of images"""
    classes: dict[str, int]
    """Names of the classes, in the order of the outputs"""
    pixels: Pixels | None = field_(default=None)
    """Statistics of the pixels"""


@dataclass(kw_only=True)
class StaysRecord:
    """A module whose output channels stay, all or some of them."""

    module: str
    """Its name in the original"""
    reason: str
    """Why, with the operator that keeps the channels"""
    count: int
    """Channels that stay"""
    of: int
    """Channels that it has"""
    line: str = field_(default="")
    """Line of the original's source code, where the file has it"""


@dataclass(kw_only=True)
class StopRule:
    """End when the hypervolume of the front grew by less than ``gain`` of itself over this many
    evaluations. Never before twice as many. ``gain`` 0 never ends a search.
    """

    evaluations: int | None = field_(default=None)
    """Defaults to a quarter of the budget, at least 32"""
    gain: float = field_(default=0.001)
    """Least relative growth of the hypervolume"""


@dataclass(kw_only=True)
class SubnetView:
    """An arch of a supernet, with its predictions, measurements and exports."""

    id: str
    """Id of the resource"""
    created_at: datetime
    """When it was made, in UTC"""
    supernet: str
    """Id of the supernet; requests may give its name"""
    arch_id: str
    """Hash of the arch: equal networks have equal ids"""
    arch: dict[str, float | str]
    """Choice of each active axis"""
    costs: dict[str, float]
    """Closed-form costs of the subnet: params, macs, activation_mb, size_mb"""
    measurements: list[MeasurementView]
    """Measured and evaluated values, newest first"""
    exports: list[ExportView]
    """Files of this subnet, newest first"""


@dataclass(kw_only=True)
class SupernetView:
    """A registered supernet: its weights are in the artifact store, its hashes were checked."""

    id: str
    """Id of the resource"""
    created_at: datetime
    """When it was made, in UTC"""
    archived_at: datetime | None = field_(default=None)
    """When it was archived: DELETE on what other resources refer to"""
    name: str
    """Its name"""
    family: str
    """Name of the family: the code of this kind of supernet"""
    quality: str
    """Name of its quality metric"""
    source: str
    """zoo, import, official, training, conversion, or table: a space without networks"""
    weights_sha256: str
    """Hash of the weights; the space's where there are none"""
    space_sha256: str
    """Hash of the space: supernets of one space share predictors"""
    space_size: float
    """Number of subnets"""
    classes: list[str]
    """Names of the classes, in the order of the outputs"""
    data: Object
    """Data set and its three splits, with sizes and hashes"""
    first_images: int | None
    """On how many validation images a search evaluates a subnet first; null: on all"""
    preprocessing: Object
    """What an image must go through before the network"""
    training: Object
    """What the training cost, stage by stage"""
    recipe: Object
    """The training recipe"""
    report: Object
    """Report card of the training"""
    licence: str | None
    """Of the weights; null until their owner states it"""


@dataclass(kw_only=True)
class TargetView:
    """A hardware target."""

    id: str
    """Id of the resource"""
    created_at: datetime
    """When it was made, in UTC"""
    archived_at: datetime | None = field_(default=None)
    """When it was archived: DELETE on what other resources refer to"""
    name: str
    """Its name"""
    kind: str
    """Its kind"""
    settings: Object
    """Settings of the target: threads, precision, batch"""
    description: Object
    """What was found: device, runtime, versions"""
    metrics: list[str]
    """Metrics that have rows or can be measured on it"""
    measurable: bool
    """false: all its rows are imported, nothing can be measured on it"""
    measured_by: Literal["worker", "agent", "none"]
    """Who measures: a worker of the service, an agent on the device, or none (rows are imported)"""
    calibrations: Object | None = field_(default=None)
    """Reference nets and their latency here: the scale of every measurement; null before any"""
    stale: str | None = field_(default=None)
    """Why what was measured here no longer holds: POST …:refresh starts again"""
    valid_from: datetime | None = field_(default=None)
    """What was measured before is stale"""
    drifts: list[float] = field_(default_factory=list)
    """Latency of the reference net in the last runs over that of the calibration, oldest first"""
    agents: list[AgentView] = field_(default_factory=list)
    """Processes that measure for it"""
    unsupported: int = field_(default=0)
    """Subnets that its runtime could not run; searches avoid them"""


@dataclass(kw_only=True)
class TensorRecord:
    """An input or output of the network; a size as text is of any size."""

    name: str
    """Of the argument, or of the output"""
    dtype: str
    """Type of its elements"""
    shape: list[int | str]
    """A size for each axis; batch is any number of examples"""


@dataclass(kw_only=True)
class Unmet:
    """A constraint that nothing seen meets."""

    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    target: str | None
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    max: float | None
    """Largest allowed value, in the metric's unit"""
    min: float | None
    """Smallest allowed value, in the metric's unit"""
    best: float
    """Best value that was found"""


@dataclass(kw_only=True)
class Violation:
    """How far a point is from a limit; ``excess`` is relative to the limit."""

    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    target: str | None
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    max: float | None
    """Largest allowed value, in the metric's unit"""
    min: float | None
    """Smallest allowed value, in the metric's unit"""
    value: float
    """The value, in the metric's unit"""
    excess: float
    """Distance from the limit, relative to the limit"""
