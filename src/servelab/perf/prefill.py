"""TTFT against prompt tokens and batch, without the queue; and the models that tell TTFT and ITL together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from servelab.perf.decode import as_fit, levels, ranges
from servelab.perf.models import LinearPrefill, StepTime, Tokenwise
from servelab.perf.parameters import Fit
from servelab.perf.regression import Regression, regress, solve
from servelab.perf.sample import Sample, Steps


def fit_prefill(found: Sequence[Sample]) -> Fit | None:
    """``linear-prefill``; None where prompts and batch never changed, or no time to first token is known."""
    found = [one for one in found if one.ttft > 0]
    work = np.array([one.prompt * one.batch for one in found])
    ttft = np.array([one.ttft for one in found])
    if len(levels(work.tolist())) < 2:
        return None
    columns = np.column_stack([np.ones_like(work), work])
    return as_fit(LinearPrefill, regress(lambda c: columns @ c, ttft, solve(columns, ttft))).model_copy(
        update={"valid": ranges(found)}
    )


def fit_tokenwise(found: Sequence[Sample]) -> Fit | None:
    """``tokenwise``, of ITL and TTFT at once; None where it would have a negative coefficient, or too few points."""
    if len(found) < 2 or any(one.ttft <= 0 or one.output <= 0 or one.prompt <= 0 for one in found):
        return None
    rows = np.array([row for one in found for row in _rows(one)])
    measured = np.array([value for one in found for value in (one.itl, one.ttft)])
    regression = regress(lambda c: rows @ c, measured, solve(rows, measured))
    if np.any(regression.values < 0):
        return None
    return as_fit(Tokenwise, regression).model_copy(update={"valid": ranges(found)})


def _rows(one: Sample) -> tuple[list[float], list[float]]:
    """What multiplies alpha, beta and gamma in ITL and in TTFT; see ``Tokenwise``."""
    computed = one.batch * (one.prompt + one.output) / (one.output + 1)
    read = one.batch * (one.prompt + one.output / 2)
    itl = [1.0, computed + 1, read + one.prompt + (one.output + 1) / 2]
    return itl, [1.0, computed + one.prompt, read + one.prompt]


def fit_step_time(found: Sequence[Sample]) -> Fit | None:
    """``step-time`` with ``context`` within ``decode``, since lengths do not vary enough to tell them apart.

    The mean interval between tokens holds a step of the batch, and the prompts that joined meanwhile. The mean TTFT
    holds the step that ran when the request came, the step of its prompt, and an overhead outside of steps, which is
    fitted too and left out of the model. None without records, or where it would have a negative coefficient.
    """
    steps = [one.steps for one in found if one.steps is not None and one.ttft > 0]
    if len(found) < 3 or len(steps) < len(found):
        return None
    rows = np.array([row for one, held in zip(found, steps, strict=True) for row in _step_rows(one, held)])
    measured = np.array([value for one in found for value in (one.itl, one.ttft)])
    if np.linalg.matrix_rank(rows / measured[:, None]) < rows.shape[1]:
        return None
    regression = regress(lambda c: rows @ c, measured, solve(rows, measured))
    if np.any(regression.values[:3] < 0):
        return None
    values = np.append(regression.values[:3], 0.0)
    covariance = None if regression.covariance is None else np.pad(regression.covariance[:3, :3], (0, 1))
    whole = Regression(values, covariance, regression.goodness, regression.freedom)
    return as_fit(StepTime, whole).model_copy(update={"valid": ranges(found)})


def _step_rows(one: Sample, held: Steps) -> tuple[list[float], list[float]]:
    """What multiplies base, prefill, decode and the overhead in ITL and in TTFT."""
    return [1.0, held.joined, one.batch, 0.0], [held.until_first, held.prompts, held.decoding, 1.0]
