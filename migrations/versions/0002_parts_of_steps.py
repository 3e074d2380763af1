"""parts of steps that workers do, beside those that agents do; since when an artifact is unused"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """An order, its items and its leases may be without a target; a worker holds a lease then."""
    with op.batch_alter_table("artifacts") as table:
        table.add_column(sa.Column("unused_since", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("measurement_orders") as table:
        table.alter_column("target_id", existing_type=sa.String(40), nullable=True)
        table.add_column(sa.Column("task", sa.String(120), nullable=True))
        table.create_index("ix_measurement_orders_task", ["task"])
    with op.batch_alter_table("measurement_leases") as table:
        table.alter_column("target_id", existing_type=sa.String(40), nullable=True)
        table.alter_column("agent_id", existing_type=sa.String(40), nullable=True)
        table.add_column(sa.Column("worker_id", sa.String(40), nullable=True))
        table.create_index("ix_measurement_leases_worker_id", ["worker_id"])
    with op.batch_alter_table("measurement_items") as table:
        table.alter_column("target_id", existing_type=sa.String(40), nullable=True)
        table.alter_column("file_sha256", existing_type=sa.String(64), nullable=True)
        table.alter_column("bytes", existing_type=sa.BigInteger(), nullable=True)
        table.add_column(sa.Column("request", JSON, nullable=True))


def downgrade() -> None:
    """There is no way back: restore a backup."""
    raise NotImplementedError
