"""Under which conditions a study's answer holds, as names and texts."""

from __future__ import annotations

import time

from servelab.report.digest import Digest
from servelab.report.recommend import machine_text
from servelab.report.words import count, duration, listed, load_text, parameters_text, workload_text


def study_facts(found: Digest) -> list[tuple[str, str]]:
    """Under which conditions all this holds."""
    study, provenance, counts = found.study, found.provenance, found.counts()
    facts = [
        ("Model", study.model.id),
        ("Engine", f"{study.engine.name} {provenance.engine_version or '' if provenance else ''}".strip()),
        ("Workload", workload_text(study.workload)),
        ("Load", load_text(study)),
        ("Objective", listed([str(objective) for objective in study.objectives])),
        ("SLO", listed([str(constraint) for constraint in study.constraints])),
        ("Fixed arguments", parameters_text(study.engine.arguments) if study.engine.arguments else ""),
        ("Machine", machine_text(provenance.machine) if provenance else ""),
        ("Measured by", f"{provenance.harness} {provenance.harness_version}" if provenance else ""),
        ("servelab", provenance.servelab if provenance else ""),
        ("Sampler", f"{study.sampler.name}, seed {study.sampler.seed}" if study.space else "explicit treatments"),
        ("Trials", _counts_text(counts)),
        ("Time", f"{duration(found.seconds)} of work" + _ended(found)),
    ]
    return [(name, text) for name, text in facts if text]


def _counts_text(counts: dict[str, int]) -> str:
    words = {"complete": "measured", "stopped": "stopped early", "failed": "failed", "unfinished": "unfinished"}
    parts = [f"{counts[state]} {word}" for state, word in words.items() if counts[state]]
    retests = [count(counts["verification"], "re-test")] if counts["verification"] else []
    return ", ".join([*parts, *retests]) or "none"


def _ended(found: Digest) -> str:
    if found.record.finished_at is None:
        return ""
    return time.strftime(", ended %Y-%m-%d %H:%M UTC", time.gmtime(found.record.finished_at))
