"""Where servelab keeps its files."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path


def data_directory() -> Path:
    """Studies' logs and records; SERVELAB_HOME moves it, and the default store with it."""
    home = os.environ.get("SERVELAB_HOME")
    return Path(home) if home else user_data_path("servelab")


def study_directory(study_id: str) -> Path:
    """What a study leaves on this machine. Its id is a DNS label, so the path stays below the data directory."""
    return data_directory() / "studies" / study_id


def trial_directory(study_id: str, number: int) -> Path:
    """Logs and records of one trial."""
    return study_directory(study_id) / f"trial-{number:04d}"


def measurement_directory(trial: Path, phase: str, point: int, repeat: int) -> Path:
    """Records of one measurement, below its trial's directory."""
    return trial / f"{phase}-{point}-{repeat}"
