"""first schema"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

# Lists, newest first: the table, and the columns that it is filtered by.
LISTED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("supernets", ()),
    ("targets", ()),
    ("jobs", ()),
    ("jobs", ("kind",)),
    ("jobs", ("state",)),
    ("jobs", ("kind", "state")),
    ("predictors", ()),
    ("predictors", ("supernet_id",)),
    ("predictors", ("target_id",)),
    ("predictors", ("metric",)),
    ("predictors", ("supernet_id", "metric")),
    ("searches", ()),
    ("searches", ("supernet_id",)),
    ("exports", ("subnet_id",)),
    ("finetunes", ()),
    ("finetunes", ("subnet_id",)),
    ("measurements", ()),
    ("measurements", ("supernet_id",)),
    ("measurements", ("metric",)),
    ("measurements", ("scope",)),
    ("measurements", ("subnet_id",)),
    ("measurements", ("job_id",)),
    ("measurements", ("supernet_id", "metric")),
    ("measurements", ("supernet_id", "metric", "scope")),
)


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("name", name=op.f("uq_projects_name")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("host", sa.String(length=120), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("claimed_by", sa.String(length=40), nullable=True),
        sa.Column("heartbeats", sa.Integer(), nullable=False),
        sa.Column("stopping", sa.Boolean(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "artifacts",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(length=120), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_artifacts_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
        sa.UniqueConstraint("project_id", "sha256", name=op.f("uq_artifacts_project_id_sha256")),
    )
    op.create_table(
        "jobs",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("params", JSON, nullable=False),
        sa.Column("resource_type", sa.String(length=20), nullable=True),
        sa.Column("resource_id", sa.String(length=40), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("eta_s", sa.Double(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("error_code", sa.String(length=40), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("result", JSON, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(length=40), nullable=True),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waited_s", sa.Double(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("short", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_jobs_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_worker_id"), ["worker_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_state_short"), ["state", "short"], unique=False)

    op.create_table(
        "supernets",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("name_key", sa.String(length=130), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("weights_sha256", sa.String(length=64), nullable=False),
        sa.Column("manifest", JSON, nullable=False),
        sa.Column("files", JSON, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_supernets_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supernets")),
        sa.UniqueConstraint("project_id", "name_key", name=op.f("uq_supernets_project_id_name_key")),
    )
    op.create_table(
        "targets",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("name_key", sa.String(length=130), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("description", JSON, nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("metrics", JSON, nullable=False),
        sa.Column("calibrations", JSON, nullable=True),
        sa.Column("stale", JSON, nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drifts", JSON, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_targets_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_targets")),
        sa.UniqueConstraint("project_id", "name_key", name=op.f("uq_targets_project_id_name_key")),
    )
    op.create_table(
        "job_events",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_job_events_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
    )
    with op.batch_alter_table("job_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_events_job_id_id"), ["job_id", "id"], unique=False)

    op.create_table(
        "job_steps",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=80), nullable=False),
        sa.Column("execution", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(length=40), nullable=False),
        sa.Column("active_s", sa.Double(), nullable=False),
        sa.Column("waited_s", sa.Double(), nullable=False),
        sa.Column("result", JSON, nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_steps_job_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_job_steps_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_steps")),
        sa.UniqueConstraint(
            "project_id",
            "job_id",
            "step",
            "execution",
            name=op.f("uq_job_steps_project_id_job_id_step_execution"),
        ),
    )
    op.create_table(
        "predictors",
        sa.Column("supernet_id", sa.String(length=40), nullable=False),
        sa.Column("target_id", sa.String(length=40), nullable=True),
        sa.Column("metric", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("report", JSON, nullable=True),
        sa.Column("job_id", sa.String(length=40), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_predictors_job_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_predictors_project_id")),
        sa.ForeignKeyConstraint(["supernet_id"], ["supernets.id"], name=op.f("fk_predictors_supernet_id")),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_predictors_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictors")),
    )

    op.create_table(
        "searches",
        sa.Column("supernet_id", sa.String(length=40), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("extends_id", sa.String(length=40), nullable=True),
        sa.Column("evaluations", sa.Integer(), nullable=False),
        sa.Column("reused", sa.Integer(), nullable=False),
        sa.Column("reference", JSON, nullable=False),
        sa.Column("history", JSON, nullable=False),
        sa.Column("feasible", sa.Boolean(), nullable=True),
        sa.Column("nearest", JSON, nullable=True),
        sa.Column("warnings", JSON, nullable=False),
        sa.Column("provenance", JSON, nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["extends_id"], ["searches.id"], name=op.f("fk_searches_extends_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_searches_job_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_searches_project_id")),
        sa.ForeignKeyConstraint(["supernet_id"], ["supernets.id"], name=op.f("fk_searches_supernet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_searches")),
    )
    op.create_table(
        "search_labels",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.String(length=400), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["searches.id"], name=op.f("fk_search_labels_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_search_labels_project_id")),
        sa.PrimaryKeyConstraint("id", "name", name=op.f("pk_search_labels")),
    )
    with op.batch_alter_table("search_labels", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_search_labels_project_id_name_value_created_at_id"),
            ["project_id", "name", "value", "created_at", "id"],
            unique=False,
        )

    op.create_table(
        "subnets",
        sa.Column("supernet_id", sa.String(length=40), nullable=False),
        sa.Column("arch_id", sa.String(length=16), nullable=False),
        sa.Column("arch", JSON, nullable=False),
        sa.Column("costs", JSON, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_subnets_project_id")),
        sa.ForeignKeyConstraint(["supernet_id"], ["supernets.id"], name=op.f("fk_subnets_supernet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subnets")),
        sa.UniqueConstraint(
            "project_id", "supernet_id", "arch_id", name=op.f("uq_subnets_project_id_supernet_id_arch_id")
        ),
    )
    op.create_table(
        "finetunes",
        sa.Column("subnet_id", sa.String(length=40), nullable=False),
        sa.Column("data", sa.String(length=4096), nullable=False),
        sa.Column("recipe", JSON, nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("record", JSON, nullable=True),
        sa.Column("job_id", sa.String(length=40), nullable=True),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_finetunes_job_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_finetunes_project_id")),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnets.id"], name=op.f("fk_finetunes_subnet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finetunes")),
    )
    op.create_table(
        "exports",
        sa.Column("subnet_id", sa.String(length=40), nullable=False),
        sa.Column("format", sa.String(length=20), nullable=False),
        sa.Column("precision", sa.String(length=20), nullable=False),
        sa.Column("opset", sa.Integer(), nullable=False),
        sa.Column("batch", sa.String(length=20), nullable=False),
        sa.Column("ir_version", sa.Integer(), nullable=True),
        sa.Column("finetune_id", sa.String(length=40), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("exporter", JSON, nullable=True),
        sa.Column("parity", JSON, nullable=True),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=True),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["finetune_id"], ["finetunes.id"], name=op.f("fk_exports_finetune_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_exports_job_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_exports_project_id")),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnets.id"], name=op.f("fk_exports_subnet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )

    op.create_table(
        "front_points",
        sa.Column("search_id", sa.String(length=40), nullable=False),
        sa.Column("supernet_id", sa.String(length=40), nullable=False),
        sa.Column("subnet_id", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=60), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_front_points_project_id")),
        sa.ForeignKeyConstraint(["search_id"], ["searches.id"], name=op.f("fk_front_points_search_id")),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnets.id"], name=op.f("fk_front_points_subnet_id")),
        sa.ForeignKeyConstraint(["supernet_id"], ["supernets.id"], name=op.f("fk_front_points_supernet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_front_points")),
        sa.UniqueConstraint(
            "project_id",
            "search_id",
            "scope",
            "subnet_id",
            name=op.f("uq_front_points_project_id_search_id_scope_subnet_id"),
        ),
    )
    with op.batch_alter_table("front_points", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_front_points_project_id_supernet_id_subnet_id"),
            ["project_id", "supernet_id", "subnet_id"],
            unique=False,
        )

    op.create_table(
        "reserved_names",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_reserved_names_project_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_reserved_names_job_id")),
        sa.PrimaryKeyConstraint("project_id", "kind", "name", name=op.f("pk_reserved_names")),
    )
    op.create_table(
        "best_points",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("supernet_id", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=60), nullable=False),
        sa.Column("subnet_id", sa.String(length=40), nullable=False),
        sa.Column("point_id", sa.String(length=40), nullable=False),
        sa.Column("quality", sa.Double(), nullable=False),
        sa.Column("latency", sa.Double(), nullable=False),
        sa.Column("figures", JSON, nullable=False),
        sa.Column("on_front", sa.Boolean(), nullable=False),
        sa.Column("cell", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_best_points_project_id")),
        sa.ForeignKeyConstraint(["supernet_id"], ["supernets.id"], name=op.f("fk_best_points_supernet_id")),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnets.id"], name=op.f("fk_best_points_subnet_id")),
        sa.ForeignKeyConstraint(["point_id"], ["front_points.id"], name=op.f("fk_best_points_point_id")),
        sa.PrimaryKeyConstraint(
            "project_id", "supernet_id", "scope", "subnet_id", name=op.f("pk_best_points")
        ),
    )
    with op.batch_alter_table("best_points", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_best_points_project_id_supernet_id_scope_on_front"),
            ["project_id", "supernet_id", "scope", "on_front"],
            unique=False,
            postgresql_where=sa.text("on_front"),
            sqlite_where=sa.text("on_front = 1"),
        )

    op.create_table(
        "front_cells",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("supernet_id", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=60), nullable=False),
        sa.Column("cell", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("page", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_front_cells_project_id")),
        sa.ForeignKeyConstraint(["supernet_id"], ["supernets.id"], name=op.f("fk_front_cells_supernet_id")),
        sa.PrimaryKeyConstraint("project_id", "supernet_id", "scope", "cell", name=op.f("pk_front_cells")),
    )

    op.create_table(
        "measurements",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=80), nullable=False),
        sa.Column("supernet_id", sa.String(length=40), nullable=False),
        sa.Column("subnet_id", sa.String(length=40), nullable=False),
        sa.Column("target_id", sa.String(length=40), nullable=True),
        sa.Column("metric", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=60), nullable=False),
        sa.Column("split", sa.String(length=20), nullable=True),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("spread", sa.Double(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("statistic", sa.String(length=200), nullable=False),
        sa.Column("precision", sa.String(length=20), nullable=False),
        sa.Column("protocol_version", sa.String(length=20), nullable=True),
        sa.Column("verdict", sa.String(length=20), nullable=True),
        sa.Column("details", JSON, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_measurements_job_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_measurements_project_id")),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnets.id"], name=op.f("fk_measurements_subnet_id")),
        sa.ForeignKeyConstraint(["supernet_id"], ["supernets.id"], name=op.f("fk_measurements_supernet_id")),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_measurements_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurements")),
        sa.UniqueConstraint(
            "project_id",
            "job_id",
            "step",
            "subnet_id",
            "metric",
            "scope",
            name=op.f("uq_measurements_project_id_job_id_step_subnet_id_metric_scope"),
        ),
    )
    for table, more in (
        ("measured_subnets", sa.Column("subnet_id", sa.String(length=40), nullable=False)),
        ("measured_counts", sa.Column("subnets", sa.Integer(), nullable=False)),
    ):
        keys = ["project_id", "supernet_id", "metric", "scope"]
        foreign = [("project_id", "projects.id"), ("supernet_id", "supernets.id")]
        if more.name == "subnet_id":
            keys.append("subnet_id")
            foreign.append(("subnet_id", "subnets.id"))
        op.create_table(
            table,
            sa.Column("project_id", sa.String(length=40), nullable=False),
            sa.Column("supernet_id", sa.String(length=40), nullable=False),
            sa.Column("metric", sa.String(length=40), nullable=False),
            sa.Column("scope", sa.String(length=60), nullable=False),
            more,
            *(
                sa.ForeignKeyConstraint([column], [other], name=op.f(f"fk_{table}_{column}"))
                for column, other in foreign
            ),
            sa.PrimaryKeyConstraint(*keys, name=op.f(f"pk_{table}")),
        )
    op.create_table(
        "api_keys",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("target_id", sa.String(length=40), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_api_keys_project_id")),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_api_keys_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_api_keys_project_id_name")),
    )
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_keys_sha256"), ["sha256"], unique=False)

    op.create_table(
        "idempotent_requests",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("location", sa.String(length=200), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_idempotent_requests_job_id")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_idempotent_requests_project_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotent_requests")),
        sa.UniqueConstraint("project_id", "key", name=op.f("uq_idempotent_requests_project_id_key")),
    )
    with op.batch_alter_table("idempotent_requests", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_idempotent_requests_created_at"), ["created_at"], unique=False
        )

    op.create_table(
        "agents",
        sa.Column("target_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", JSON, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_agents_project_id")),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_agents_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents")),
        sa.UniqueConstraint(
            "project_id", "target_id", "name", name=op.f("uq_agents_project_id_target_id_name")
        ),
    )
    op.create_table(
        "measurement_orders",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=80), nullable=False),
        sa.Column("target_id", sa.String(length=40), nullable=False),
        sa.Column("protocol", JSON, nullable=False),
        sa.Column("metrics", JSON, nullable=False),
        sa.Column("together", sa.Boolean(), nullable=False),
        sa.Column("span", JSON, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_measurement_orders_job_id")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_measurement_orders_project_id")
        ),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_measurement_orders_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurement_orders")),
        sa.UniqueConstraint(
            "project_id", "job_id", "step", name=op.f("uq_measurement_orders_project_id_job_id_step")
        ),
    )
    op.create_table(
        "measurement_leases",
        sa.Column("target_id", sa.String(length=40), nullable=False),
        sa.Column("agent_id", sa.String(length=40), nullable=False),
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=op.f("fk_measurement_leases_agent_id")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["measurement_orders.id"], name=op.f("fk_measurement_leases_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_measurement_leases_project_id")
        ),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_measurement_leases_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurement_leases")),
    )
    with op.batch_alter_table("measurement_leases", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_measurement_leases_project_id_target_id_state"),
            ["project_id", "target_id", "state"],
            unique=False,
        )

    op.create_table(
        "unsupported_subnets",
        sa.Column("supernet_id", sa.String(length=40), nullable=False),
        sa.Column("subnet_id", sa.String(length=40), nullable=False),
        sa.Column("target_id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_unsupported_subnets_job_id")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_unsupported_subnets_project_id")
        ),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnets.id"], name=op.f("fk_unsupported_subnets_subnet_id")),
        sa.ForeignKeyConstraint(
            ["supernet_id"], ["supernets.id"], name=op.f("fk_unsupported_subnets_supernet_id")
        ),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_unsupported_subnets_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unsupported_subnets")),
        sa.UniqueConstraint(
            "project_id",
            "target_id",
            "subnet_id",
            name=op.f("uq_unsupported_subnets_project_id_target_id_subnet_id"),
        ),
    )
    op.create_table(
        "measurement_items",
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.Column("target_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("file_sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("lease_id", sa.String(length=40), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("result", JSON, nullable=True),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lease_id"], ["measurement_leases.id"], name=op.f("fk_measurement_items_lease_id")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["measurement_orders.id"], name=op.f("fk_measurement_items_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_measurement_items_project_id")
        ),
        sa.ForeignKeyConstraint(["target_id"], ["targets.id"], name=op.f("fk_measurement_items_target_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurement_items")),
        sa.UniqueConstraint(
            "project_id",
            "order_id",
            "position",
            name=op.f("uq_measurement_items_project_id_order_id_position"),
        ),
    )
    with op.batch_alter_table("measurement_items", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_measurement_items_project_id_target_id_state"),
            ["project_id", "target_id", "state"],
            unique=False,
        )

    for table, columns in LISTED:
        name = "_".join(column.removesuffix("_id") for column in columns) or "created"
        op.create_index(f"ix_{table}_by_{name}", table, ["project_id", *columns, "created_at", "id"])


def downgrade() -> None:
    for table, columns in LISTED:
        name = "_".join(column.removesuffix("_id") for column in columns) or "created"
        op.drop_index(f"ix_{table}_by_{name}", table)

    with op.batch_alter_table("measurement_items", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_measurement_items_project_id_target_id_state"))

    op.drop_table("measurement_items")
    op.drop_table("unsupported_subnets")
    with op.batch_alter_table("measurement_leases", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_measurement_leases_project_id_target_id_state"))

    op.drop_table("measurement_leases")
    op.drop_table("measurement_orders")
    op.drop_table("agents")
    op.drop_table("idempotent_requests")
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_keys_sha256"))

    op.drop_table("api_keys")
    op.drop_table("measured_counts")
    op.drop_table("measured_subnets")
    op.drop_table("measurements")
    with op.batch_alter_table("best_points", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_best_points_project_id_supernet_id_scope_on_front"))

    op.drop_table("best_points")
    op.drop_table("front_cells")
    op.drop_table("reserved_names")
    with op.batch_alter_table("front_points", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_front_points_project_id_supernet_id_subnet_id"))

    op.drop_table("front_points")
    op.drop_table("exports")
    op.drop_table("finetunes")
    op.drop_table("subnets")
    with op.batch_alter_table("search_labels", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_search_labels_project_id_name_value_created_at_id"))

    op.drop_table("search_labels")
    op.drop_table("searches")
    op.drop_table("predictors")
    op.drop_table("job_steps")
    with op.batch_alter_table("job_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_events_job_id_id"))

    op.drop_table("job_events")
    op.drop_table("targets")
    op.drop_table("supernets")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_worker_id"))

    op.drop_table("jobs")
    op.drop_table("artifacts")
    op.drop_table("workers")
    op.drop_table("projects")
