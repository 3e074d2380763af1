"""What the service can be asked; written by `make client-types` from the service's OpenAPI document; do not edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

Object = Mapping[str, object]
"""A JSON object whose fields depend on the kind of thing it describes."""


class ArchColumn(TypedDict):
    """A column that describes the arch."""

    column: str
    """Name of the column"""
    read: NotRequired[str | None]
    """As one axis, one axis a digit, or one axis a word; found from the cells if absent"""


class Budget(TypedDict):
    """What a search may spend: evaluations, validation images, seconds, or several; the first that is
    spent ends it.
    """

    evaluations: NotRequired[int | None]
    """Real evaluations: quality, and latency on every target"""
    images: NotRequired[int | None]
    """Validation images, counted for each subnet that is evaluated on them"""
    seconds: NotRequired[float | None]
    """Wall time"""


class CalibrationRow(TypedDict):
    """The latency of a reference net on the target."""

    name: str
    """Its name"""
    sha256: str
    """SHA-256 of the content"""
    latency_ms: float
    """Latency in milliseconds"""
    rounds: int
    """Rounds of the measuring run"""


class ConstraintBody(TypedDict):
    """A limit on a metric; ``target`` is needed only when the search has several."""

    metric: str
    """Name of the metric; its unit and direction are in GET /v1/metrics"""
    target: NotRequired[str | None]
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    max: NotRequired[float | None]
    """Largest allowed value, in the metric's unit"""
    min: NotRequired[float | None]
    """Smallest allowed value, in the metric's unit"""


class ConversionCreate(TypedDict):
    """Convert a network, train its subnets with the original as their teacher, and register the
    supernet.
    """

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    file: FileBody
    """A .pt2 file of torch.export.save, exported in evaluation mode with a dynamic batch. Nothing in it
    is run: pickled tensors and operators of other libraries are refused
    """
    data: str | DataSpec
    """What it was trained on, or data with the same classes: see /v1/trainings"""
    task: NotRequired[str | None]
    """What it was trained for; image_classification if not given"""
    quality: NotRequired[str | None]
    """Name of the quality metric: the task whose quality it is, where no task is given"""
    output: NotRequired[str | None]
    """The output that quality is computed from, where there are several"""
    widths: NotRequired[Sequence[float] | None]
    """Fractions of the channels of each axis, ascending; the last is 1"""
    multiple: NotRequired[int | None]
    """Kept channels are a multiple of it, where an axis has enough channels"""
    approximate: NotRequired[bool | None]
    """Offer channels under a LayerNorm or GroupNorm too, where removing is not exact"""
    skip: NotRequired[bool | None]
    """Residual branches may be skipped"""
    importance: NotRequired[str | None]
    """Score by which channels are kept: magnitude and norm_scale are of the weights, the others of the
    first training examples too: magnitude, norm_scale, fisher, plain_magnitude, average_magnitude,
    cosine, taylor, taylor_squared, hesso
    """
    expects: NotRequired[ExpectsBody | None]
    """If absent: the mean and standard deviation of the data"""
    name: str
    """1 to 80 characters; compared without case, and with single spaces"""
    training: NotRequired[bool | None]
    """false: subnets are slices of the original with recalibrated statistics"""
    recipe: NotRequired[str | Object | None]
    """How subnets are trained: name of a recipe or its values; if absent, the sandwich rule with the
    original as the teacher
    """
    steps: NotRequired[int | None]
    """Replaces the recipe's steps; fewer shorten its warm-ups in proportion"""
    seed: NotRequired[int | None]
    """Seed of every random draw"""


class ConversionExamine(TypedDict):
    """A network to be looked at."""

    file: FileBody
    """A .pt2 file of torch.export.save, exported in evaluation mode with a dynamic batch. Nothing in it
    is run: pickled tensors and operators of other libraries are refused
    """
    data: str | DataSpec
    """What it was trained on, or data with the same classes: see /v1/trainings"""
    task: NotRequired[str | None]
    """What it was trained for; image_classification if not given"""
    quality: NotRequired[str | None]
    """Name of the quality metric: the task whose quality it is, where no task is given"""
    output: NotRequired[str | None]
    """The output that quality is computed from, where there are several"""
    widths: NotRequired[Sequence[float] | None]
    """Fractions of the channels of each axis, ascending; the last is 1"""
    multiple: NotRequired[int | None]
    """Kept channels are a multiple of it, where an axis has enough channels"""
    approximate: NotRequired[bool | None]
    """Offer channels under a LayerNorm or GroupNorm too, where removing is not exact"""
    skip: NotRequired[bool | None]
    """Residual branches may be skipped"""
    importance: NotRequired[str | None]
    """Score by which channels are kept: magnitude and norm_scale are of the weights, the others of the
    first training examples too: magnitude, norm_scale, fisher, plain_magnitude, average_magnitude,
    cosine, taylor, taylor_squared, hesso
    """
    expects: NotRequired[ExpectsBody | None]
    """If absent: the mean and standard deviation of the data"""


class CostColumn(TypedDict):
    """A column with a closed-form count."""

    column: str
    """Name of the column"""
    unit: NotRequired[str | None]
    """What the column counts in"""


class DataSpec(TypedDict):
    """A data set and its options; immutable. As text: ``SOURCE``, ``SOURCE:LOCATION`` or
    ``SOURCE:LOCATION,OPTION=VALUE,...``. :meth:`parse` reads it, ``str`` writes it, defaults left
    out. As JSON: an object with these fields.
    """

    source: str
    """Name of a data source"""
    location: NotRequired[str | None]
    """Path of folder, parquet or stream; name of a data set of the hub"""
    channels: NotRequired[str | None]
    """1 (grey) or 3 (RGB); as the images are if absent"""
    resolution: NotRequired[int | None]
    """Height and width of the stored images, in pixels; that of the source if absent"""
    fit: NotRequired[str | None]
    """How an image that is not square becomes square: centre crop, other aspect, or black bars"""
    range: NotRequired[Sequence[object] | None]
    """Values of 16-bit, 32-bit and float images that become black and white"""
    unlabelled: NotRequired[str | None]
    """What to do with rows without a label (null, or -1 where classes have names)"""
    tokenizer: NotRequired[str | None]
    """How texts become tokens: bytes, the path of a tokenizer.json, or supernet: as the supernet that
    they are for
    """
    window: NotRequired[int | None]
    """Tokens of a stored text; longer texts are cut. 256 if absent"""


class DeviceDescription(TypedDict):
    """What an agent found: the device, and what runs nets on it."""

    device: Object
    """cpu, cores, memory_gb, architecture, system, max_mhz"""
    runtime: Object
    """name, version, providers"""
    metrics: NotRequired[Sequence[str] | None]
    """What can be measured there"""


class EvaluationCreate(TypedDict):
    """Evaluate the quality of subnets on a split (``test`` is for what a search returns)."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    count: NotRequired[int | None]
    """How many, spread over the space"""
    archs: NotRequired[Sequence[Mapping[str, float | str]] | None]
    """Exactly these"""
    seed: NotRequired[int | None]
    """Seed of every random draw"""
    split: NotRequired[str | None]
    """Split of the data: train, validation or test; null for what is measured on a target"""
    images: NotRequired[int | None]
    """Only on a part of the split, the same for all subnets, with its classes in proportion; a predictor
    takes the larger error into account, a front does not use such values. Default: all images
    """


class ExpectsBody(TypedDict):
    """How the network was trained to see images."""

    mean: Sequence[float]
    """Mean of pixels in 0..1, one a channel"""
    std: Sequence[float]
    """Standard deviation of pixels in 0..1, one a channel"""
    crop: NotRequired[float | None]
    """Share of an image's side that is kept"""


class ExportCreate(TypedDict):
    """Write a subnet to a file and compare its outputs with the supernet's."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    format: NotRequired[str | None]
    """Name of an exporter: onnx, or pt2 (torch.export)"""
    precision: NotRequired[str | None]
    """fp16 and int8 are ONNX only; int8 is calibrated on training images. What they change in quality
    and latency is measured and stored with the export. If absent: fp32, or with 'target' what was
    measured to be fastest there
    """
    target: NotRequired[str | None]
    """Id of the target that the file is for. Without a precision, the file has fp16 or int8 where
    earlier exports of this supernet in that precision took less than 0.9 of the latency of fp32 on
    the target's machine, else fp32
    """
    opset: NotRequired[int | None]
    """Version of the ONNX operators"""
    batch: NotRequired[str | int | None]
    """The batch that the file takes: any, or this number of examples"""
    ir_version: NotRequired[int | None]
    """Version of the ONNX file format; the lowest that the opset allows if absent, which the most
    runtimes read
    """
    finetune: NotRequired[str | None]
    """Id of a finished fine-tune of this subnet, whose weights the file has; the supernet's if absent"""


class FileBody(TypedDict):
    """A file: exactly one of ``path``, ``content`` and ``sha256``."""

    path: NotRequired[str | None]
    """File relative to NETWRIGHT_IMPORT_DIR on the server"""
    content: NotRequired[str | None]
    """The file itself in base64; the whole request is limited"""
    sha256: NotRequired[str | None]
    """A file that was uploaded before, by its hash"""


class FineTuneCreate(TypedDict):
    """Train one subnet further, from the weights that it has in its supernet."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    data: NotRequired[str | DataSpec | None]
    """What to train and test on: folder:PATH, parquet:PATH, stream:PATH, text:PATH or corpus:PATH in
    NETWRIGHT_IMPORT_DIR, or the name of a data set; that of the supernet if absent. Channels,
    resolution, tokenizer and window that it leaves open are the supernet's. With other classes than
    the supernet's the classifier is new
    """
    recipe: NotRequired[str | Object | None]
    """Name of a recipe or of a zoo supernet whose recipe to take, or its values; its space is replaced
    by the subnet. If absent: finetune, or poa for a task without labels
    """
    steps: NotRequired[int | None]
    """Replaces the recipe's steps; fewer shorten its warm-ups in proportion"""
    seed: NotRequired[int | None]
    """Seed of every random draw"""


class ImportCreate(TypedDict):
    """Rows of a file as a target, in one step: nothing is created unless the file can be read and has
    valid rows.
    """

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    target: ImportTarget
    """Id of the target; requests may give its name. Null: the value does not depend on one"""
    supernet: NotRequired[str | None]
    """Whose archs the rows are; or give 'space'"""
    space: NotRequired[ImportSpace | None]
    """The space that the archs of the file make"""
    table: TableRows
    """The file and what its columns mean"""


class ImportSpace(TypedDict):
    """The space that the arch columns of the table span, for archs without a supernet here."""

    name: str
    """1 to 80 characters; compared without case, and with single spaces"""
    archs: Sequence[ArchColumn]
    """Columns that make an arch"""
    depth_axis: NotRequired[str | None]
    """The arch column with the number of positions that count in the split columns"""
    params: NotRequired[CostColumn | None]
    """Number of weights"""
    macs: NotRequired[CostColumn | None]
    """Multiply-accumulate operations for one input"""


class ImportTarget(TypedDict):
    """The target of kind ``table`` that the rows are stored for; it is created if there is none of this
    name.
    """

    name: str
    """1 to 80 characters; compared without case, and with single spaces"""
    settings: NotRequired[Object | None]
    """device, runtime, precision and batch, as for POST /v1/targets"""


class JobUpdate(TypedDict):
    """What may change of a job that has not ended."""

    priority: int
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """


class LeaseCreate(TypedDict):
    """A request of an agent for nets to measure."""

    target: str
    """Id or name of a target of kind agent"""
    agent: str
    """Name of the agent, unique on its target"""
    description: DeviceDescription
    """What it is"""
    max_items: NotRequired[int | None]
    """Most nets of the batch"""


class LeaseRenew(TypedDict):
    """A sign of life while measuring."""

    step: NotRequired[str | None]
    """wait: another run is on the agent's machine; done is in seconds then"""
    done: NotRequired[int | None]
    """Steps that are done"""
    total: NotRequired[int | None]
    """Steps in all"""


class MeasurementCreate(TypedDict):
    """Measure subnets of a supernet on this target, or take rows that were measured elsewhere."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    count: NotRequired[int | None]
    """How many, spread over the space"""
    archs: NotRequired[Sequence[Mapping[str, float | str]] | None]
    """Exactly these"""
    seed: NotRequired[int | None]
    """Seed of every random draw"""
    supernet: str
    """Id of the supernet; requests may give its name"""
    metrics: NotRequired[Sequence[str] | None]
    """latency_ms is always measured; the target lists the others"""
    choose: NotRequired[str | None]
    """How 'count' subnets are chosen: by how much they improve the predictor of this target (the default
    where there are source devices), or spread over the space
    """
    until: NotRequired[Until | None]
    """Stop, before 'count' is reached, when a predictor of latency_ms is this good"""
    table: NotRequired[TableRows | None]
    """Rows as a file, for a target of kind table; instead of 'count' and 'archs'"""


class OfficialFile(TypedDict):
    """A file that once-for-all released."""

    kind: str
    """Name of the released supernet"""
    file: str
    """Path of the file, relative to NETWRIGHT_IMPORT_DIR"""


PredictorCreate = TypedDict(
    "PredictorCreate",
    {
        "priority": "NotRequired[int | None]",
        "supernet": "str",
        "target": "NotRequired[str | None]",
        "metric": "str",
        "kind": "NotRequired[str | None]",
        "import": "NotRequired[FileBody | None]",
    },
)


class PretrainedCreate(TypedDict):
    """Convert a pretrained transformer and register it as a supernet; a training may follow, with it as
    the source.
    """

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    name: str
    """1 to 80 characters; compared without case, and with single spaces"""
    folder: str
    """Folder as Hugging Face writes it, relative to NETWRIGHT_IMPORT_DIR: config.json, weights
    (model.safetensors, whole or in parts, or pytorch_model.bin without pickled code) and a tokenizer.
    No code in it is run
    """
    data: str | DataSpec
    """What it is to be fine-tuned on: see /v1/trainings"""
    task: NotRequired[str | None]
    """What it is for; if absent, that which fits the folder and the data"""
    quality: NotRequired[str | None]
    """Name of the quality metric, which must be that of the task"""
    sequence: NotRequired[int | None]
    """Tokens to which texts are cut or padded: at most the network's positions; if absent 64, or the
    positions where there are fewer
    """


class ProfileCreate(TypedDict):
    """A search to be examined before anything is spent."""

    supernet: str
    """Id of the supernet; requests may give its name"""
    targets: NotRequired[Sequence[str] | None]
    """Ids of the targets; requests may give their names"""
    constraints: NotRequired[Sequence[ConstraintBody] | None]
    """Limits that every returned subnet must meet"""
    restrict: NotRequired[Mapping[str, Sequence[float | str]] | None]
    """Axis or kind of axis to its choices"""
    confidence: NotRequired[float | None]
    """One-sided probability with which a limit must be met by what is predicted"""
    predictors: NotRequired[Sequence[str] | None]
    """Defaults to the newest that fit"""
    seed: NotRequired[int | None]
    """Seed of every random draw"""


class ResultsCreate(TypedDict):
    """What an agent measured. Rows are judged one by one: what is wrong with one leaves the others."""

    rows: Sequence[Object]
    """Number of rows, or the rows"""
    calibrations: NotRequired[Mapping[str, CalibrationRow] | None]
    """Reference nets and their latency on the target, by name"""


class SearchCreate(TypedDict):
    """A problem, an algorithm and a budget."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    supernet: str
    """Id of the supernet; requests may give its name"""
    targets: NotRequired[Sequence[str] | None]
    """Ids of the targets; requests may give their names"""
    front: NotRequired[str | None]
    """One front for each target, or a shared one, which counts the worst target"""
    objectives: NotRequired[Sequence[str] | None]
    """Metrics that are optimised, each in its own direction"""
    constraints: NotRequired[Sequence[ConstraintBody] | None]
    """Limits that every returned subnet must meet"""
    restrict: NotRequired[Mapping[str, Sequence[float | str]] | None]
    """Axis or kind of axis to the choices that are allowed"""
    confidence: NotRequired[float | None]
    """One-sided probability that a limit is met"""
    budget: Budget
    """What the search may spend"""
    stall: NotRequired[StopRule | None]
    """When the search ends before its budget is spent"""
    predictors: NotRequired[Sequence[str] | None]
    """Defaults to the newest that fit"""
    algorithm: NotRequired[str | None]
    """Name of an algorithm"""
    elsewhere: NotRequired[bool | None]
    """Whether evaluations of the same space by other supernets, as on other data, are a prior of
    quality; its weight is learned and is 0 where they do not help
    """
    first_images: NotRequired[int | None]
    """On how many validation images a subnet is evaluated first; what may be on the front is then
    evaluated on all. 0: everything on all images. Default: a fifth of them where there are more than
    1,000
    """
    seed: NotRequired[int | None]
    """Seed of every random draw"""
    labels: NotRequired[Mapping[str, str] | None]
    """Your own words about it"""


class SearchExtend(TypedDict):
    """More budget for a search that has ended, or other limits or objectives; what is left out stays."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    evaluations: NotRequired[int | None]
    """Evaluations to add; 0 only recomputes the front"""
    images: NotRequired[int | None]
    """Validation images to add"""
    seconds: NotRequired[float | None]
    """Wall time in seconds; null: no limit"""
    constraints: NotRequired[Sequence[ConstraintBody] | None]
    """Limits that every returned subnet must meet"""
    objectives: NotRequired[Sequence[str] | None]
    """Metrics that are optimised, each in its own direction"""
    confidence: NotRequired[float | None]
    """One-sided probability with which a limit must be met by what is predicted"""
    stall: NotRequired[StopRule | None]
    """When the search ends before its budget is spent"""
    algorithm: NotRequired[str | None]
    """Name of the search algorithm"""
    seed: NotRequired[int | None]
    """Defaults to another than before"""
    labels: NotRequired[Mapping[str, str] | None]
    """Free names and values, for filters"""


class StopRule(TypedDict):
    """End when the hypervolume of the front grew by less than ``gain`` of itself over this many
    evaluations. Never before twice as many. ``gain`` 0 never ends a search.
    """

    evaluations: NotRequired[int | None]
    """Defaults to a quarter of the budget, at least 32"""
    gain: NotRequired[float | None]
    """Least relative growth of the hypervolume"""


class SupernetCreate(TypedDict):
    """Where to take a supernet from: exactly one of ``zoo``, ``path``, ``official`` and ``table``."""

    zoo: NotRequired[str | None]
    """Name of a supernet that ships with the service"""
    path: NotRequired[str | None]
    """Supernet directory, relative to NETWRIGHT_IMPORT_DIR"""
    official: NotRequired[OfficialFile | None]
    """A file that once-for-all released; needs 'data', ImageNet images"""
    table: NotRequired[TableSpace | None]
    """The space of a table of measured archs: it has no networks, and can be predicted"""
    name: NotRequired[str | None]
    """Defaults to the name in the manifest; needed for a table"""
    data: NotRequired[str | DataSpec | None]
    """Where the images that it was trained on are now, inside NETWRIGHT_IMPORT_DIR; their hashes are
    checked. If absent: the data that the manifest names
    """


class SupernetUpdate(TypedDict):
    """What may change of a registered supernet; what is absent stays."""

    data: NotRequired[str | DataSpec | None]
    """Where the images that it was trained on are now, inside NETWRIGHT_IMPORT_DIR; their hashes are
    checked
    """
    licence: NotRequired[str | None]
    """Of the weights, an SPDX name where there is one; it is written into files that are exported from
    now on, null withdraws it
    """


class TableRows(TypedDict):
    """Rows of a parquet or CSV file as measurements."""

    file: FileBody
    """Where the table is"""
    latency: str
    """Column with the latency"""
    unit: NotRequired[str | None]
    """Unit of that column"""
    archs: NotRequired[Sequence[str] | None]
    """Columns that identify the arch: axes of the supernet, or one with arch ids or JSON; none: every
    axis that the table has
    """
    strict: NotRequired[bool | None]
    """Take nothing if any row is refused"""
    accept_jumps: NotRequired[bool | None]
    """Take rows that lie about 1000x from the rest, which otherwise count as another unit"""


class TableSpace(TypedDict):
    """A space that has no supernet here: the archs of a table, and every combination of their choices."""

    file: FileBody
    """Where the table is"""
    archs: Sequence[ArchColumn]
    """Columns that make an arch"""
    depth_axis: NotRequired[str | None]
    """The arch column that holds how many positions of the split columns count"""
    params: NotRequired[CostColumn | None]
    """Number of weights"""
    macs: NotRequired[CostColumn | None]
    """Multiply-accumulate operations for one input"""


class TargetCreate(TypedDict):
    """Device, runtime and settings under which latency is defined."""

    kind: NotRequired[str | None]
    """Kind of target: cpu is the worker's machine, agent another one where `netwright agent` runs, table
    a device that you measured
    """
    name: NotRequired[str | None]
    """Defaults to the kind and the settings"""
    settings: NotRequired[Object | None]
    """Settings of this kind, e.g. {'threads': 1, 'precision': 'fp32', 'batch': 1}"""


class TrainingCreate(TypedDict):
    """Train a supernet with a recipe on a data set; the job registers it when it is done."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    data: NotRequired[str | DataSpec | None]
    """Name of a data set; folder:PATH, parquet:PATH or stream:PATH inside NETWRIGHT_IMPORT_DIR;
    hub:NAME, text:PATH, corpus:PATH or python_source; with options after commas
    (folder:photos,channels=3), or as an object. That of the source if absent
    """
    family: NotRequired[str | Object | None]
    """Name of a zoo supernet whose family to take, or {'family': name, ...its settings}; that of the
    source if not given. Classes and channels that it does not set are those of the data
    """
    recipe: NotRequired[str | Object | None]
    """Name of a recipe or of a zoo supernet whose recipe to take, or its values. If absent: poa for a
    task without labels, else largest_first where a source is a transformer (bert, gpt, vit), else
    random
    """
    task: NotRequired[str | None]
    """The task; image_classification if absent, or that of the source"""
    steps: NotRequired[int | None]
    """Replaces the recipe's steps; fewer shorten its warm-ups in proportion"""
    seed: NotRequired[int | None]
    """Seed of every random draw; 0 if absent, or with a source that of its last stage + 1"""
    source: NotRequired[str | None]
    """Id or name of a supernet: its weights are where this training begins, as a new stage"""
    teacher: NotRequired[str | None]
    """Id or name of a supernet whose largest net teaches; the recipe must use a teacher"""
    keep: NotRequired[Mapping[str, float] | None]
    """Of a pruning recipe: a metric and the share of it that is kept. A metric in closed form, or with
    `target` one that a predictor of the source gives
    """
    target: NotRequired[str | None]
    """Id or name of a target: `keep` is of a metric of it, such as latency_ms, as the newest predictor
    that is fitted for the source there predicts it
    """
    name: str
    """1 to 80 characters; compared without case, and with single spaces"""


class TrainingEstimate(TypedDict):
    """What a training would take."""

    data: NotRequired[str | DataSpec | None]
    """Name of a data set; folder:PATH, parquet:PATH or stream:PATH inside NETWRIGHT_IMPORT_DIR;
    hub:NAME, text:PATH, corpus:PATH or python_source; with options after commas
    (folder:photos,channels=3), or as an object. That of the source if absent
    """
    family: NotRequired[str | Object | None]
    """Name of a zoo supernet whose family to take, or {'family': name, ...its settings}; that of the
    source if not given. Classes and channels that it does not set are those of the data
    """
    recipe: NotRequired[str | Object | None]
    """Name of a recipe or of a zoo supernet whose recipe to take, or its values. If absent: poa for a
    task without labels, else largest_first where a source is a transformer (bert, gpt, vit), else
    random
    """
    task: NotRequired[str | None]
    """The task; image_classification if absent, or that of the source"""
    steps: NotRequired[int | None]
    """Replaces the recipe's steps; fewer shorten its warm-ups in proportion"""
    seed: NotRequired[int | None]
    """Seed of every random draw; 0 if absent, or with a source that of its last stage + 1"""
    source: NotRequired[str | None]
    """Id or name of a supernet: its weights are where this training begins, as a new stage"""
    teacher: NotRequired[str | None]
    """Id or name of a supernet whose largest net teaches; the recipe must use a teacher"""
    keep: NotRequired[Mapping[str, float] | None]
    """Of a pruning recipe: a metric and the share of it that is kept. A metric in closed form, or with
    `target` one that a predictor of the source gives
    """
    target: NotRequired[str | None]
    """Id or name of a target: `keep` is of a metric of it, such as latency_ms, as the newest predictor
    that is fitted for the source there predicts it
    """
    name: NotRequired[str | None]
    """If present, refused where it is taken"""


class Until(TypedDict):
    """When enough is measured."""

    metric: NotRequired[str | None]
    """Mean relative error on held-out rows"""
    below: float
    """0.03 is 3 %; the standard error is added before comparing"""


class TrainingOptions(TypedDict):
    """Train a supernet with a recipe on a data set; the job registers it when it is done."""

    data: NotRequired[str | DataSpec | None]
    """Name of a data set; folder:PATH, parquet:PATH or stream:PATH inside NETWRIGHT_IMPORT_DIR;
    hub:NAME, text:PATH, corpus:PATH or python_source; with options after commas
    (folder:photos,channels=3), or as an object. That of the source if absent
    """
    family: NotRequired[str | Object | None]
    """Name of a zoo supernet whose family to take, or {'family': name, ...its settings}; that of the
    source if not given. Classes and channels that it does not set are those of the data
    """
    recipe: NotRequired[str | Object | None]
    """Name of a recipe or of a zoo supernet whose recipe to take, or its values. If absent: poa for a
    task without labels, else largest_first where a source is a transformer (bert, gpt, vit), else
    random
    """
    task: NotRequired[str | None]
    """The task; image_classification if absent, or that of the source"""
    steps: NotRequired[int | None]
    """Replaces the recipe's steps; fewer shorten its warm-ups in proportion"""
    seed: NotRequired[int | None]
    """Seed of every random draw; 0 if absent, or with a source that of its last stage + 1"""
    source: NotRequired[str | None]
    """Id or name of a supernet: its weights are where this training begins, as a new stage"""
    teacher: NotRequired[str | None]
    """Id or name of a supernet whose largest net teaches; the recipe must use a teacher"""
    keep: NotRequired[Mapping[str, float] | None]
    """Of a pruning recipe: a metric and the share of it that is kept. A metric in closed form, or with
    `target` one that a predictor of the source gives
    """
    target: NotRequired[str | None]
    """Id or name of a target: `keep` is of a metric of it, such as latency_ms, as the newest predictor
    that is fitted for the source there predicts it
    """


class ConversionOptions(TypedDict):
    """Convert a network, train its subnets with the original as their teacher, and register the
    supernet.
    """

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    data: str | DataSpec
    """What it was trained on, or data with the same classes: see /v1/trainings"""
    task: NotRequired[str | None]
    """What it was trained for; image_classification if not given"""
    quality: NotRequired[str | None]
    """Name of the quality metric: the task whose quality it is, where no task is given"""
    output: NotRequired[str | None]
    """The output that quality is computed from, where there are several"""
    widths: NotRequired[Sequence[float] | None]
    """Fractions of the channels of each axis, ascending; the last is 1"""
    multiple: NotRequired[int | None]
    """Kept channels are a multiple of it, where an axis has enough channels"""
    approximate: NotRequired[bool | None]
    """Offer channels under a LayerNorm or GroupNorm too, where removing is not exact"""
    skip: NotRequired[bool | None]
    """Residual branches may be skipped"""
    importance: NotRequired[str | None]
    """Score by which channels are kept: magnitude and norm_scale are of the weights, the others of the
    first training examples too: magnitude, norm_scale, fisher, plain_magnitude, average_magnitude,
    cosine, taylor, taylor_squared, hesso
    """
    expects: NotRequired[ExpectsBody | None]
    """If absent: the mean and standard deviation of the data"""
    training: NotRequired[bool | None]
    """false: subnets are slices of the original with recalibrated statistics"""
    recipe: NotRequired[str | Object | None]
    """How subnets are trained: name of a recipe or its values; if absent, the sandwich rule with the
    original as the teacher
    """
    steps: NotRequired[int | None]
    """Replaces the recipe's steps; fewer shorten its warm-ups in proportion"""
    seed: NotRequired[int | None]
    """Seed of every random draw"""


class PretrainedOptions(TypedDict):
    """Convert a pretrained transformer and register it as a supernet; a training may follow, with it as
    the source.
    """

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    data: str | DataSpec
    """What it is to be fine-tuned on: see /v1/trainings"""
    task: NotRequired[str | None]
    """What it is for; if absent, that which fits the folder and the data"""
    quality: NotRequired[str | None]
    """Name of the quality metric, which must be that of the task"""
    sequence: NotRequired[int | None]
    """Tokens to which texts are cut or padded: at most the network's positions; if absent 64, or the
    positions where there are fewer
    """


class ExamineOptions(TypedDict):
    """A network to be looked at."""

    data: str | DataSpec
    """What it was trained on, or data with the same classes: see /v1/trainings"""
    task: NotRequired[str | None]
    """What it was trained for; image_classification if not given"""
    quality: NotRequired[str | None]
    """Name of the quality metric: the task whose quality it is, where no task is given"""
    output: NotRequired[str | None]
    """The output that quality is computed from, where there are several"""
    widths: NotRequired[Sequence[float] | None]
    """Fractions of the channels of each axis, ascending; the last is 1"""
    multiple: NotRequired[int | None]
    """Kept channels are a multiple of it, where an axis has enough channels"""
    approximate: NotRequired[bool | None]
    """Offer channels under a LayerNorm or GroupNorm too, where removing is not exact"""
    skip: NotRequired[bool | None]
    """Residual branches may be skipped"""
    importance: NotRequired[str | None]
    """Score by which channels are kept: magnitude and norm_scale are of the weights, the others of the
    first training examples too: magnitude, norm_scale, fisher, plain_magnitude, average_magnitude,
    cosine, taylor, taylor_squared, hesso
    """
    expects: NotRequired[ExpectsBody | None]
    """If absent: the mean and standard deviation of the data"""


class EvaluateOptions(TypedDict):
    """Evaluate the quality of subnets on a split (``test`` is for what a search returns)."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    count: NotRequired[int | None]
    """How many, spread over the space"""
    archs: NotRequired[Sequence[Mapping[str, float | str]] | None]
    """Exactly these"""
    seed: NotRequired[int | None]
    """Seed of every random draw"""
    split: NotRequired[str | None]
    """Split of the data: train, validation or test; null for what is measured on a target"""
    images: NotRequired[int | None]
    """Only on a part of the split, the same for all subnets, with its classes in proportion; a predictor
    takes the larger error into account, a front does not use such values. Default: all images
    """


class MeasureOptions(TypedDict):
    """Measure subnets of a supernet on this target, or take rows that were measured elsewhere."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    count: NotRequired[int | None]
    """How many, spread over the space"""
    archs: NotRequired[Sequence[Mapping[str, float | str]] | None]
    """Exactly these"""
    seed: NotRequired[int | None]
    """Seed of every random draw"""
    metrics: NotRequired[Sequence[str] | None]
    """latency_ms is always measured; the target lists the others"""
    choose: NotRequired[str | None]
    """How 'count' subnets are chosen: by how much they improve the predictor of this target (the default
    where there are source devices), or spread over the space
    """


class TableOptions(TypedDict):
    """Rows of a parquet or CSV file as measurements."""

    unit: NotRequired[str | None]
    """Unit of that column"""
    archs: NotRequired[Sequence[str] | None]
    """Columns that identify the arch: axes of the supernet, or one with arch ids or JSON; none: every
    axis that the table has
    """
    strict: NotRequired[bool | None]
    """Take nothing if any row is refused"""
    accept_jumps: NotRequired[bool | None]
    """Take rows that lie about 1000x from the rest, which otherwise count as another unit"""


class SearchOptions(TypedDict):
    """A problem, an algorithm and a budget."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    front: NotRequired[str | None]
    """One front for each target, or a shared one, which counts the worst target"""
    objectives: NotRequired[Sequence[str] | None]
    """Metrics that are optimised, each in its own direction"""
    restrict: NotRequired[Mapping[str, Sequence[float | str]] | None]
    """Axis or kind of axis to the choices that are allowed"""
    confidence: NotRequired[float | None]
    """One-sided probability that a limit is met"""
    stall: NotRequired[StopRule | None]
    """When the search ends before its budget is spent"""
    predictors: NotRequired[Sequence[str] | None]
    """Defaults to the newest that fit"""
    algorithm: NotRequired[str | None]
    """Name of an algorithm"""
    elsewhere: NotRequired[bool | None]
    """Whether evaluations of the same space by other supernets, as on other data, are a prior of
    quality; its weight is learned and is 0 where they do not help
    """
    first_images: NotRequired[int | None]
    """On how many validation images a subnet is evaluated first; what may be on the front is then
    evaluated on all. 0: everything on all images. Default: a fifth of them where there are more than
    1,000
    """
    seed: NotRequired[int | None]
    """Seed of every random draw"""
    labels: NotRequired[Mapping[str, str] | None]
    """Your own words about it"""


class ExtendOptions(TypedDict):
    """More budget for a search that has ended, or other limits or objectives; what is left out stays."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    evaluations: NotRequired[int | None]
    """Evaluations to add; 0 only recomputes the front"""
    images: NotRequired[int | None]
    """Validation images to add"""
    seconds: NotRequired[float | None]
    """Wall time in seconds; null: no limit"""
    objectives: NotRequired[Sequence[str] | None]
    """Metrics that are optimised, each in its own direction"""
    confidence: NotRequired[float | None]
    """One-sided probability with which a limit must be met by what is predicted"""
    stall: NotRequired[StopRule | None]
    """When the search ends before its budget is spent"""
    algorithm: NotRequired[str | None]
    """Name of the search algorithm"""
    seed: NotRequired[int | None]
    """Defaults to another than before"""
    labels: NotRequired[Mapping[str, str] | None]
    """Free names and values, for filters"""


class ProfileOptions(TypedDict):
    """A search to be examined before anything is spent."""

    restrict: NotRequired[Mapping[str, Sequence[float | str]] | None]
    """Axis or kind of axis to its choices"""
    confidence: NotRequired[float | None]
    """One-sided probability with which a limit must be met by what is predicted"""
    predictors: NotRequired[Sequence[str] | None]
    """Defaults to the newest that fit"""
    seed: NotRequired[int | None]
    """Seed of every random draw"""


class ExportOptions(TypedDict):
    """Write a subnet to a file and compare its outputs with the supernet's."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    format: NotRequired[str | None]
    """Name of an exporter: onnx, or pt2 (torch.export)"""
    precision: NotRequired[str | None]
    """fp16 and int8 are ONNX only; int8 is calibrated on training images. What they change in quality
    and latency is measured and stored with the export. If absent: fp32, or with 'target' what was
    measured to be fastest there
    """
    target: NotRequired[str | None]
    """Id of the target that the file is for. Without a precision, the file has fp16 or int8 where
    earlier exports of this supernet in that precision took less than 0.9 of the latency of fp32 on
    the target's machine, else fp32
    """
    opset: NotRequired[int | None]
    """Version of the ONNX operators"""
    batch: NotRequired[str | int | None]
    """The batch that the file takes: any, or this number of examples"""
    ir_version: NotRequired[int | None]
    """Version of the ONNX file format; the lowest that the opset allows if absent, which the most
    runtimes read
    """
    finetune: NotRequired[str | None]
    """Id of a finished fine-tune of this subnet, whose weights the file has; the supernet's if absent"""


class FineTuneOptions(TypedDict):
    """Train one subnet further, from the weights that it has in its supernet."""

    priority: NotRequired[int | None]
    """Of a project's queued jobs those of higher priority are taken first; projects take turns whatever
    the priorities. A job that a worker has is not interrupted
    """
    data: NotRequired[str | DataSpec | None]
    """What to train and test on: folder:PATH, parquet:PATH, stream:PATH, text:PATH or corpus:PATH in
    NETWRIGHT_IMPORT_DIR, or the name of a data set; that of the supernet if absent. Channels,
    resolution, tokenizer and window that it leaves open are the supernet's. With other classes than
    the supernet's the classifier is new
    """
    recipe: NotRequired[str | Object | None]
    """Name of a recipe or of a zoo supernet whose recipe to take, or its values; its space is replaced
    by the subnet. If absent: finetune, or poa for a task without labels
    """
    steps: NotRequired[int | None]
    """Replaces the recipe's steps; fewer shorten its warm-ups in proportion"""
    seed: NotRequired[int | None]
    """Seed of every random draw"""


class SupernetsQuery(TypedDict):
    """Parameters of list_supernets."""

    name: NotRequired[str | None]
    """Only the one with this name"""
    archived: NotRequired[bool | None]
    """List archived resources too"""


class FinetunesQuery(TypedDict):
    """Parameters of list_finetunes."""

    subnet: NotRequired[str | None]
    """Id of a subnet"""


class TargetsQuery(TypedDict):
    """Parameters of list_targets."""

    name: NotRequired[str | None]
    """Only the one with this name"""
    kind: NotRequired[str | None]
    """Only those of this kind"""
    archived: NotRequired[bool | None]
    """List archived resources too"""


class MetricsQuery(TypedDict):
    """Parameters of list_metrics."""


class MeasurementsQuery(TypedDict):
    """Parameters of list_measurements."""

    supernet: NotRequired[str | None]
    """Only those of this supernet, by id or name"""
    target: NotRequired[str | None]
    """Only those on this target, by id or name"""
    split: NotRequired[str | None]
    """Only those on this split of the data"""
    subnet: NotRequired[str | None]
    """Only those of this subnet"""
    job: NotRequired[str | None]
    """Only those of this job"""
    metric: NotRequired[str | None]
    """Only those of this metric"""


class PredictorsQuery(TypedDict):
    """Parameters of list_predictors."""

    supernet: NotRequired[str | None]
    """Only those of this supernet, by id or name"""
    target: NotRequired[str | None]
    """Only those on this target, by id or name"""
    archived: NotRequired[bool | None]
    """List archived resources too"""
    metric: NotRequired[str | None]
    """Only those of this metric"""


class SearchesQuery(TypedDict):
    """Parameters of list_searches."""

    supernet: NotRequired[str | None]
    """Only those of this supernet, by id or name"""
    state: NotRequired[str | None]
    """Only those whose job is in this state"""
    label: NotRequired[Sequence[str] | None]
    """NAME=VALUE; repeated: all of them"""
    archived: NotRequired[bool | None]
    """List archived resources too"""


class EvaluatedQuery(TypedDict):
    """Parameters of list_evaluated."""

    target: NotRequired[str | None]
    """Only those on this target, by id or name"""
    max_points: NotRequired[int | None]
    """Most points that are returned; more are thinned"""


class LayersQuery(TypedDict):
    """Parameters of list_layers."""

    target: NotRequired[str | None]
    """Only those on this target, by id or name"""


class JobsQuery(TypedDict):
    """Parameters of list_jobs."""

    kind: NotRequired[str | None]
    """Only those of this kind"""
    state: NotRequired[str | None]
    """Only those whose job is in this state"""
