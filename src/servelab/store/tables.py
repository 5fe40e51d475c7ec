"""The tables. A change here needs a migration in migrations/versions and a new SCHEMA number."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

SCHEMA = 1
"""The schema this program knows; the number of the newest migration."""

schema_version = Table("servelab_schema", metadata, Column("version", Integer, primary_key=True))

studies = Table(
    "studies",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("document", Text, nullable=False),  # the Study as JSON
    Column("state", String(16), nullable=False),
    Column("message", Text, nullable=False, default=""),
    Column("created_at", Float, nullable=False),  # seconds since the epoch
    Column("finished_at", Float),
    Column("suggester", String(128)),  # worker that holds the right to add trials
    Column("suggester_until", Float),
    Index("studies_by_age", "created_at"),
)

trials = Table(
    "trials",
    metadata,
    Column("study", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("verifies", Integer),
    Column("round", Integer),
    Column("parameters", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("worker", String(128)),
    Column("lease_until", Float),
    Column("timings", JSON, nullable=False),
    Column("failure", JSON),
    Column("note", Text, nullable=False, default=""),
    Column("command", JSON, nullable=False),
    Column("outcome", JSON, nullable=False),  # goal_key -> value
    Column("value", Float),  # of the first objective
    Column("feasible", Boolean),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    ForeignKeyConstraint(["study"], ["studies.id"]),
    Index("trials_by_state", "study", "state"),
    Index("trials_by_value", "study", "kind", "feasible", "value"),
)

measurements = Table(
    "measurements",
    metadata,
    Column("study", String(64), primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("phase", String(8), primary_key=True),
    Column("point", Integer, primary_key=True),
    Column("repeat", Integer, primary_key=True),
    Column("report", Text, nullable=False),  # the Report as JSON
    Column("created_at", Float, nullable=False),
    ForeignKeyConstraint(["study", "trial"], ["trials.study", "trials.number"]),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("study", String(64), nullable=False),
    Column("trial", Integer),
    Column("time", Float, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", JSON, nullable=False),
    Index("events_by_study", "study", "id"),
)

devices = Table(
    "devices",
    metadata,
    Column("device", String(128), primary_key=True),  # machine and index
    Column("study", String(64), nullable=False),
    Column("trial", Integer, nullable=False),
    Column("worker", String(128), nullable=False),
    Column("lease_until", Float, nullable=False),
)
