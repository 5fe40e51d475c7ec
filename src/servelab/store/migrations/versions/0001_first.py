"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    op.create_table("servelab_schema", sa.Column("version", sa.Integer, primary_key=True))
    op.execute("INSERT INTO servelab_schema (version) VALUES (1)")
    _create_studies()
    _create_trials()
    _create_measurements()
    _create_events()
    _create_devices()


def _create_studies() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("finished_at", sa.Float),
        sa.Column("suggester", sa.String(128)),
        sa.Column("suggester_until", sa.Float),
    )
    op.create_index("studies_by_age", "studies", ["created_at"])


def _create_trials() -> None:
    op.create_table(
        "trials",
        sa.Column("study", sa.String(64), sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("verifies", sa.Integer),
        sa.Column("round", sa.Integer),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(128)),
        sa.Column("lease_until", sa.Float),
        sa.Column("timings", sa.JSON, nullable=False),
        sa.Column("failure", sa.JSON),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("command", sa.JSON, nullable=False),
        sa.Column("outcome", sa.JSON, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("feasible", sa.Boolean),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("finished_at", sa.Float),
    )
    op.create_index("trials_by_state", "trials", ["study", "state"])
    op.create_index("trials_by_value", "trials", ["study", "kind", "feasible", "value"])


def _create_measurements() -> None:
    op.create_table(
        "measurements",
        sa.Column("study", sa.String(64), primary_key=True),
        sa.Column("trial", sa.Integer, primary_key=True),
        sa.Column("phase", sa.String(8), primary_key=True),
        sa.Column("point", sa.Integer, primary_key=True),
        sa.Column("repeat", sa.Integer, primary_key=True),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.ForeignKeyConstraint(["study", "trial"], ["trials.study", "trials.number"]),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("study", sa.String(64), nullable=False),
        sa.Column("trial", sa.Integer),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_index("events_by_study", "events", ["study", "id"])


def _create_devices() -> None:
    op.create_table(
        "devices",
        sa.Column("device", sa.String(128), primary_key=True),
        sa.Column("study", sa.String(64), nullable=False),
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(128), nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
    )
