"""What a study says, read as far as that needs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from servelab.report.decisive import decisive
from servelab.report.digest import Digest, digest
from servelab.spec.trial import StudyRecord
from servelab.store.store import Store
from servelab.store.views import TrialPoint
from servelab.web.context import Context


def version(record: StudyRecord, points: Sequence[TrialPoint]) -> tuple[str, int]:
    """What a judgement depends on: where it has not changed, there is nothing new to say."""
    return (record.state, sum(point.finished_at is not None for point in points))


async def judged(context: Context, record: StudyRecord, points: Sequence[TrialPoint]) -> Digest:
    """What a study says, worked out once for all who look at it; may be a little old while the study runs."""
    call = partial(judge, context.store, record, points)
    found: Digest = await context.shared.get(("answer", record.id), version(record, points), call)
    return found


def judge(store: Store, record: StudyRecord, points: Sequence[TrialPoint]) -> Digest:
    """What a study says, by the trials that matter for it."""
    numbers = decisive(record.study, points)
    return digest(record, store.trials(record.id, with_reports=bool(record.study.objectives), numbers=numbers))
