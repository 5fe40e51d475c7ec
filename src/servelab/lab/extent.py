"""How far a study is: what of the search and of the verification has ended, and what is planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from servelab.lab.steps import planned_retests, planned_trials
from servelab.spec.trial import StudyRecord
from servelab.store.rows import Summary


class Extent(NamedTuple):
    """Trials that have ended, and that are to be run as far as is known now."""

    searched: int
    to_search: int
    verified: int
    to_verify: int

    @property
    def share(self) -> float:
        """Ended / planned of all trials, 0 to 1."""
        planned = self.to_search + self.to_verify
        return (self.searched + self.verified) / planned if planned else 0.0


def extent(record: StudyRecord, summary: Summary) -> Extent:
    """How far this study is; nothing is planned beyond what is there once it verifies or is over."""
    tried, retests = sum(summary.counts.values()), sum(summary.verifications.values())
    searched = bool(retests) or record.state == "complete"
    known = searched or record.state in ("failed", "cancelled")
    return Extent(
        searched=tried - _open(summary.counts),
        to_search=tried if searched else max(tried, planned_trials(record.study)),
        verified=retests - _open(summary.verifications),
        to_verify=retests if known else planned_retests(record.study),
    )


def _open(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in ("waiting", "running"))
