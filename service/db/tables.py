"""The tables. Every row and unique key carries ``project_id``; only workers serve all projects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# SQLite numbers rows by itself only where the key is exactly INTEGER.
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = dict[str, Any]
IN_JSON = (Json, list[Json], list[str], list[int], list[float])  # Python types of JSON columns


class Instant(sa.types.TypeDecorator[datetime]):
    """A moment in UTC; SQLite stores no time zones, this adds UTC again."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Attach UTC where the database dropped it."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Table(DeclarativeBase):
    """Base of all tables."""

    metadata = sa.MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: Instant(), float: sa.Double()} | dict.fromkeys(IN_JSON, JSON)


def name_key(name: str) -> str:
    """What names are compared by: neither case nor the number of spaces counts."""
    return " ".join(name.split()).lower()


def _own_key(context: DefaultExecutionContext) -> str:
    return name_key(context.get_current_parameters()["name"])  # type: ignore[no-untyped-call]


class Project(Table):
    """A tenant. ``served_at`` is when a worker last took a job or a part of it: projects take turns."""

    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    served_at: Mapped[datetime | None]


class Owned(Table):
    """What a project owns."""

    __abstract__ = True
    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"))
    created_at: Mapped[datetime] = mapped_column(default=now)


def _listed(table: str, *columns: str) -> sa.Index:
    """The index of a list, newest first, filtered by these columns."""
    name = "_".join(column.removesuffix("_id") for column in columns) or "created"
    return sa.Index(f"ix_{table}_by_{name}", "project_id", *columns, "created_at", "id")


class Artifact(Owned):
    """A file of the store that the project may read; ``unused_since`` nothing refers to it, as far as was looked."""

    __tablename__ = "artifacts"
    __table_args__ = (sa.UniqueConstraint("project_id", "sha256"),)
    sha256: Mapped[str] = mapped_column(sa.String(64))
    bytes: Mapped[int] = mapped_column(sa.BigInteger)
    media_type: Mapped[str] = mapped_column(sa.String(120))
    name: Mapped[str] = mapped_column(sa.String(120))
    unused_since: Mapped[datetime | None]


class Supernet(Owned):
    """A registered supernet; ``files`` maps each file of its directory to the artifact's hash."""

    __tablename__ = "supernets"
    __table_args__ = (sa.UniqueConstraint("project_id", "name_key"), _listed("supernets"))
    name: Mapped[str] = mapped_column(sa.String(80))
    name_key: Mapped[str] = mapped_column(sa.String(130), default=_own_key)
    archived_at: Mapped[datetime | None]
    source: Mapped[str] = mapped_column(sa.String(20))
    weights_sha256: Mapped[str] = mapped_column(sa.String(64))
    manifest: Mapped[Json]
    files: Mapped[Json]

    @property
    def family(self) -> str:
        """The registered name of its family."""
        return str(self.manifest["family"])

    @property
    def config(self) -> Json:
        """The settings of its family."""
        return dict(self.manifest["config"])

    @property
    def quality(self) -> str:
        """The quality metric of its task."""
        return str(self.manifest["quality"])

    @property
    def space_sha256(self) -> str:
        """The hash of its space."""
        return str(self.manifest["space_sha256"])

    @property
    def data(self) -> str:
        """The spec of the data that it was trained on."""
        return str(self.manifest["data"]["name"])

    @property
    def licence(self) -> str | None:
        """The licence of its weights, where the owner has stated one."""
        licence = self.manifest["licence"]
        return None if licence is None else str(licence)


class Key(Owned):
    """A key of the HTTP API: only the hash of its secret is stored."""

    __tablename__ = "api_keys"
    __table_args__ = (sa.UniqueConstraint("project_id", "name"), sa.Index(None, "sha256"))
    name: Mapped[str] = mapped_column(sa.String(80))
    sha256: Mapped[str] = mapped_column(sa.String(64))
    scopes: Mapped[list[str]]
    target_id: Mapped[str | None] = mapped_column(sa.ForeignKey("targets.id"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class IdempotentRequest(Owned):
    """A POST with an ``Idempotency-Key``: the hash of its path and body, and its answer once there is one.

    ``job_id`` is written by the transaction that queues the job.
    """

    __tablename__ = "idempotent_requests"
    __table_args__ = (sa.UniqueConstraint("project_id", "key"), sa.Index(None, "created_at"))
    key: Mapped[str] = mapped_column(sa.String(200))
    sha256: Mapped[str] = mapped_column(sa.String(64))
    job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id"))
    status: Mapped[int | None]
    location: Mapped[str | None] = mapped_column(sa.String(200))
    body: Mapped[str | None] = mapped_column(sa.Text)


class Target(Owned):
    """A hardware target; ``calibrations`` put all its measurements on one scale, made by the first.

    ``fingerprint`` is empty until the device is known. What was measured before ``valid_from`` is stale;
    all of it is while ``stale`` holds a reason. ``drifts`` are the reference's of the last runs.
    """

    __tablename__ = "targets"
    __table_args__ = (sa.UniqueConstraint("project_id", "name_key"), _listed("targets"))
    name: Mapped[str] = mapped_column(sa.String(80))
    name_key: Mapped[str] = mapped_column(sa.String(130), default=_own_key)
    archived_at: Mapped[datetime | None]
    kind: Mapped[str] = mapped_column(sa.String(40))
    settings: Mapped[Json]
    description: Mapped[Json]
    fingerprint: Mapped[str] = mapped_column(sa.String(16))
    metrics: Mapped[list[str]]
    calibrations: Mapped[Json | None]
    stale: Mapped[Json | None]
    valid_from: Mapped[datetime | None]
    drifts: Mapped[list[float]] = mapped_column(default=list)


class Subnet(Owned):
    """An arch of a supernet."""

    __tablename__ = "subnets"
    __table_args__ = (sa.UniqueConstraint("project_id", "supernet_id", "arch_id"),)
    supernet_id: Mapped[str] = mapped_column(sa.ForeignKey("supernets.id"))
    arch_id: Mapped[str] = mapped_column(sa.String(16))
    arch: Mapped[Json]
    costs: Mapped[Json]


class Measurement(Owned):
    """A metric of a subnet; ``scope``, part of the key, is ``target:<id>`` or ``split:<name>``."""

    __tablename__ = "measurements"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "job_id", "step", "subnet_id", "metric", "scope"),
        _listed("measurements"),
        _listed("measurements", "supernet_id"),
        _listed("measurements", "metric"),
        _listed("measurements", "scope"),
        _listed("measurements", "subnet_id"),
        _listed("measurements", "job_id"),
        _listed("measurements", "supernet_id", "metric"),
        _listed("measurements", "supernet_id", "metric", "scope"),
    )
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id"))
    step: Mapped[str] = mapped_column(sa.String(80))
    supernet_id: Mapped[str] = mapped_column(sa.ForeignKey("supernets.id"))
    subnet_id: Mapped[str] = mapped_column(sa.ForeignKey("subnets.id"))
    target_id: Mapped[str | None] = mapped_column(sa.ForeignKey("targets.id"))
    metric: Mapped[str] = mapped_column(sa.String(40))
    scope: Mapped[str] = mapped_column(sa.String(60))
    split: Mapped[str | None] = mapped_column(sa.String(20))
    value: Mapped[float]
    spread: Mapped[float | None]
    n: Mapped[int]
    statistic: Mapped[str] = mapped_column(sa.String(200))
    precision: Mapped[str] = mapped_column(sa.String(20))
    protocol_version: Mapped[str | None] = mapped_column(sa.String(20))
    verdict: Mapped[str | None] = mapped_column(sa.String(20))
    details: Mapped[Json]


class MeasuredSubnet(Table):
    """A subnet that has a value of a metric on a target or split, and is counted in :class:`MeasuredCount`."""

    __tablename__ = "measured_subnets"
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"), primary_key=True)
    supernet_id: Mapped[str] = mapped_column(sa.ForeignKey("supernets.id"), primary_key=True)
    metric: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    scope: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    subnet_id: Mapped[str] = mapped_column(sa.ForeignKey("subnets.id"), primary_key=True)


class MeasuredCount(Table):
    """How many subnets have a value of a metric on a target or split; changed only by ``service.db.counts``."""

    __tablename__ = "measured_counts"
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"), primary_key=True)
    supernet_id: Mapped[str] = mapped_column(sa.ForeignKey("supernets.id"), primary_key=True)
    metric: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    scope: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    subnets: Mapped[int]


class Unsupported(Owned):
    """A subnet that a target's runtime cannot run, and the runtime's message."""

    __tablename__ = "unsupported_subnets"
    __table_args__ = (sa.UniqueConstraint("project_id", "target_id", "subnet_id"),)
    supernet_id: Mapped[str] = mapped_column(sa.ForeignKey("supernets.id"))
    subnet_id: Mapped[str] = mapped_column(sa.ForeignKey("subnets.id"))
    target_id: Mapped[str] = mapped_column(sa.ForeignKey("targets.id"))
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id"))
    error: Mapped[str] = mapped_column(sa.Text)


class Agent(Owned):
    """A process on a device that requested work of a target."""

    __tablename__ = "agents"
    __table_args__ = (sa.UniqueConstraint("project_id", "target_id", "name"),)
    target_id: Mapped[str] = mapped_column(sa.ForeignKey("targets.id"))
    name: Mapped[str] = mapped_column(sa.String(80))
    description: Mapped[Json]
    seen_at: Mapped[datetime] = mapped_column(default=now)


class Order(Owned):
    """Parts of a step: nets for the agents of a target, or else requests of a ``task`` for any worker.

    ``span`` is what they are of the progress of the job. What agents measured is kept; an order for workers is deleted
    when its step is recorded.
    """

    __tablename__ = "measurement_orders"
    __table_args__ = (sa.UniqueConstraint("project_id", "job_id", "step"), sa.Index(None, "task"))
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id"))
    step: Mapped[str] = mapped_column(sa.String(80))
    target_id: Mapped[str | None] = mapped_column(sa.ForeignKey("targets.id"))
    task: Mapped[str | None] = mapped_column(sa.String(120))
    protocol: Mapped[Json]
    metrics: Mapped[list[str]]
    together: Mapped[bool]
    span: Mapped[list[int]]
    started_at: Mapped[datetime | None]


class Lease(Owned):
    """Parts in the hands of an agent until ``expires_at``, or of a worker while it lives.

    ``state`` is ``open``, ``closed`` or ``expired``.
    """

    __tablename__ = "measurement_leases"
    __table_args__ = (sa.Index(None, "project_id", "target_id", "state"), sa.Index(None, "worker_id"))
    target_id: Mapped[str | None] = mapped_column(sa.ForeignKey("targets.id"))
    agent_id: Mapped[str | None] = mapped_column(sa.ForeignKey("agents.id"))
    worker_id: Mapped[str | None] = mapped_column(sa.String(40))
    order_id: Mapped[str] = mapped_column(sa.ForeignKey("measurement_orders.id"))
    state: Mapped[str] = mapped_column(sa.String(20), default="open")
    seconds: Mapped[float]
    progress: Mapped[float] = mapped_column(default=0.0)
    expires_at: Mapped[datetime]


class Item(Owned):
    """A part of an order: ``waiting``, ``leased`` or ``done``; ``lease_id`` is its last lease.

    It is a net (a stored file), or a ``request`` of the order's task.
    """

    __tablename__ = "measurement_items"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "order_id", "position"),
        sa.Index(None, "project_id", "target_id", "state"),
    )
    order_id: Mapped[str] = mapped_column(sa.ForeignKey("measurement_orders.id"))
    target_id: Mapped[str | None] = mapped_column(sa.ForeignKey("targets.id"))
    position: Mapped[int]
    file_sha256: Mapped[str | None] = mapped_column(sa.String(64))
    bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    request: Mapped[Json | None]
    state: Mapped[str] = mapped_column(sa.String(20), default="waiting")
    lease_id: Mapped[str | None] = mapped_column(sa.ForeignKey("measurement_leases.id"))
    attempts: Mapped[int] = mapped_column(default=0)
    result: Mapped[Json | None]


class Predictor(Owned):
    """A predictor; ``version`` is the hash of the fitted model in the artifact store."""

    __tablename__ = "predictors"
    __table_args__ = (
        _listed("predictors"),
        _listed("predictors", "supernet_id"),
        _listed("predictors", "target_id"),
        _listed("predictors", "metric"),
        _listed("predictors", "supernet_id", "metric"),
    )
    supernet_id: Mapped[str] = mapped_column(sa.ForeignKey("supernets.id"))
    target_id: Mapped[str | None] = mapped_column(sa.ForeignKey("targets.id"))
    metric: Mapped[str] = mapped_column(sa.String(40))
    kind: Mapped[str] = mapped_column(sa.String(40))
    version: Mapped[str | None] = mapped_column(sa.String(64))
    rows: Mapped[int] = mapped_column(default=0)
    report: Mapped[Json | None]
    job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id"))
    archived_at: Mapped[datetime | None]


class Search(Owned):
    """A search; ``spec`` is the request with its defaults filled in, ``extends_id`` the search it goes on from.

    ``reused`` evaluations were known before; ``history`` is the hypervolume up to ``reference`` on the way.
    """

    __tablename__ = "searches"
    __table_args__ = (_listed("searches"), _listed("searches", "supernet_id"))
    supernet_id: Mapped[str] = mapped_column(sa.ForeignKey("supernets.id"))
    spec: Mapped[Json]
    extends_id: Mapped[str | None] = mapped_column(sa.ForeignKey("searches.id"))
    evaluations: Mapped[int] = mapped_column(default=0)
    reused: Mapped[int] = mapped_column(default=0)
    reference: Mapped[list[Json]] = mapped_column(default=list)
    history: Mapped[list[Json]] = mapped_column(default=list)
    feasible: Mapped[bool | None]
    nearest: Mapped[Json | None]
    warnings: Mapped[list[str]] = mapped_column(default=list)
    provenance: Mapped[Json] = mapped_column(default=dict)
    job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id"))
    finished_at: Mapped[datetime | None]
    archived_at: Mapped[datetime | None]


class Point(Owned):
    """A point of a front, as the API returns it."""

    __tablename__ = "front_points"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "search_id", "scope", "subnet_id"),
        sa.Index(None, "project_id", "supernet_id", "subnet_id"),
    )
    search_id: Mapped[str] = mapped_column(sa.ForeignKey("searches.id"))
    supernet_id: Mapped[str] = mapped_column(sa.ForeignKey("supernets.id"))
    subnet_id: Mapped[str] = mapped_column(sa.ForeignKey("subnets.id"))
    scope: Mapped[str] = mapped_column(sa.String(60))
    rank: Mapped[int]
    body: Mapped[Json]


class SearchLabel(Table):
    """A label of a search: ``id`` and ``created_at`` are the search's, so that one index lists them newest first."""

    __tablename__ = "search_labels"
    __table_args__ = (sa.Index(None, "project_id", "name", "value", "created_at", "id"),)
    id: Mapped[str] = mapped_column(sa.ForeignKey("searches.id"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    value: Mapped[str] = mapped_column(sa.String(400))
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"))
    created_at: Mapped[datetime]


class BestPoint(Table):
    """The newest point of a subnet on a target, or on any (``scope``), with its true values.

    ``on_front`` marks those that no other of the scope dominates by ``quality`` (minimised) and ``latency``; it is
    kept by every write, so that the front of everything stored is read at once. ``cell`` is its :class:`FrontCell`.
    """

    __tablename__ = "best_points"
    # Only of the front, so that no other query of a scope reads this index from end to end.
    __table_args__ = (
        sa.Index(
            None,
            "project_id",
            "supernet_id",
            "scope",
            "on_front",
            postgresql_where=sa.text("on_front"),
            sqlite_where=sa.text("on_front = 1"),
        ),
    )
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"), primary_key=True)
    supernet_id: Mapped[str] = mapped_column(sa.ForeignKey("supernets.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    subnet_id: Mapped[str] = mapped_column(sa.ForeignKey("subnets.id"), primary_key=True)
    point_id: Mapped[str] = mapped_column(sa.ForeignKey("front_points.id"))
    quality: Mapped[float]
    latency: Mapped[float]
    figures: Mapped[Json]
    on_front: Mapped[bool] = mapped_column(default=False)
    cell: Mapped[int]


class FrontCell(Table):
    """A node of the tree over the best points of a scope, see ``service.search.fronts.cells``.

    ``page`` is what it holds: points where ``level`` is 0, or else cells of the next level below. Cell 1 is the top.
    """

    __tablename__ = "front_cells"
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"), primary_key=True)
    supernet_id: Mapped[str] = mapped_column(sa.ForeignKey("supernets.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    cell: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    level: Mapped[int]
    page: Mapped[bytes] = mapped_column(sa.LargeBinary)


class ReservedName(Table):
    """A name that a job will give to what it makes: taken from its acceptance until it ends without success."""

    __tablename__ = "reserved_names"
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id"))


class FineTune(Owned):
    """A subnet trained further; ``sha256`` and ``bytes`` are of its weights, ``record`` is all else that came out."""

    __tablename__ = "finetunes"
    __table_args__ = (_listed("finetunes"), _listed("finetunes", "subnet_id"))
    subnet_id: Mapped[str] = mapped_column(sa.ForeignKey("subnets.id"))
    data: Mapped[str] = mapped_column(sa.String(4096))
    recipe: Mapped[Json]
    seed: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[str | None] = mapped_column(sa.String(64))
    bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    record: Mapped[Json | None]
    job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id"))


class Export(Owned):
    """A subnet as a file, with its proof; without ``finetune_id`` it has the weights of its supernet."""

    __tablename__ = "exports"
    __table_args__ = (_listed("exports", "subnet_id"),)
    subnet_id: Mapped[str] = mapped_column(sa.ForeignKey("subnets.id"))
    format: Mapped[str] = mapped_column(sa.String(20))
    precision: Mapped[str] = mapped_column(sa.String(20))
    opset: Mapped[int]
    batch: Mapped[str] = mapped_column(sa.String(20))
    ir_version: Mapped[int | None]
    finetune_id: Mapped[str | None] = mapped_column(sa.ForeignKey("finetunes.id"))
    sha256: Mapped[str | None] = mapped_column(sa.String(64))
    bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    exporter: Mapped[Json | None]
    parity: Mapped[Json | None]
    facts: Mapped[Json] = mapped_column(default=dict)
    job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id"))


class Job(Owned):
    """Durable work, and its place in the queue: the queue is the jobs in state ``queued``.

    ``worker_id`` is the worker that runs it. A job that waits for devices has none since ``waiting_since``;
    ``waited_s`` is how long it waited before that. A worker runs one ``short`` and one long job at a time. Of a
    project's queued jobs those of higher ``priority`` run first. ``deaths`` counts the workers that died on it since
    its last finished step.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        _listed("jobs"),
        _listed("jobs", "kind"),
        _listed("jobs", "state"),
        _listed("jobs", "kind", "state"),
        sa.Index(None, "worker_id"),
        sa.Index(None, "state", "short"),
    )
    kind: Mapped[str] = mapped_column(sa.String(20))
    state: Mapped[str] = mapped_column(sa.String(20), default="queued")
    params: Mapped[Json]
    resource_type: Mapped[str | None] = mapped_column(sa.String(20))
    resource_id: Mapped[str | None] = mapped_column(sa.String(40))
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    eta_s: Mapped[float | None]
    message: Mapped[str | None] = mapped_column(sa.Text)
    error_code: Mapped[str | None] = mapped_column(sa.String(40))
    error_message: Mapped[str | None] = mapped_column(sa.Text)
    result: Mapped[Json | None]
    attempts: Mapped[int] = mapped_column(default=0)
    worker_id: Mapped[str | None] = mapped_column(sa.String(40))
    waiting_since: Mapped[datetime | None]
    waited_s: Mapped[float] = mapped_column(default=0.0)
    deaths: Mapped[int] = mapped_column(default=0)
    short: Mapped[bool] = mapped_column(default=False)
    priority: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobStep(Owned):
    """One execution of a step; the finished one keeps what the step returned.

    ``active_s`` is how long a living worker was at it; ``waited_s`` how long it waited for a busy machine, which is
    not part of that.
    """

    __tablename__ = "job_steps"
    __table_args__ = (sa.UniqueConstraint("project_id", "job_id", "step", "execution"),)
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id"))
    step: Mapped[str] = mapped_column(sa.String(80))
    execution: Mapped[int]
    worker_id: Mapped[str] = mapped_column(sa.String(40))
    active_s: Mapped[float] = mapped_column(default=0.0)
    waited_s: Mapped[float] = mapped_column(default=0.0)
    result: Mapped[Json | None]
    finished_at: Mapped[datetime | None]


class JobEvent(Table):
    """Something that happened to a job; the row id is the event's id."""

    __tablename__ = "job_events"
    __table_args__ = (sa.Index(None, "job_id", "id"),)
    id: Mapped[int] = mapped_column(SERIAL, primary_key=True, autoincrement=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"))
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id"))
    at: Mapped[datetime] = mapped_column(default=now)
    type: Mapped[str] = mapped_column(sa.String(20))
    data: Mapped[Json]


class Worker(Table):
    """A worker process: ``alive`` while it sends heartbeats, ``claimed`` by the one that takes over, then ``gone``.

    ``heartbeats`` counts them, so that others need no clock to see whether it lives; ``heartbeat_at`` is by the
    clock of the database.
    """

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    host: Mapped[str] = mapped_column(sa.String(120))
    pid: Mapped[int]
    state: Mapped[str] = mapped_column(sa.String(20), default="alive")
    claimed_by: Mapped[str | None] = mapped_column(sa.String(40))
    heartbeats: Mapped[int] = mapped_column(default=0)
    stopping: Mapped[bool] = mapped_column(default=False)
    heartbeat_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime] = mapped_column(default=now)
