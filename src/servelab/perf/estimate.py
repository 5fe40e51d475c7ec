"""From samples to parameters: every model that they can bear, and what to beware of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from servelab.perf.decode import fit_decode, levels
from servelab.perf.parameters import Fit, FittedWorkload, Origin, Parameters
from servelab.perf.prefill import fit_prefill, fit_step_time, fit_tokenwise
from servelab.perf.sample import Sample, usable
from servelab.spec.errors import MeasureError

POOR = 0.1  # mean error as a share of what was measured
FEW_LEVELS = 3  # below, nothing shows whether a line is the right form
WIDE = 0.5  # half of an interval, as a share of its value
SHORT = 0.8  # share of the asked concurrency that the engine ran at once


def estimate(found: Sequence[Sample], origin: Origin, model: str | None = None) -> Parameters:
    """Fit all models.

    Raises:
        MeasureError: fewer than two levels can be used.
    """
    good = usable(found)
    if len(levels([one.batch for one in good])) < 2:
        flaws = "; ".join(f"at concurrency {one.concurrency:g} {one.flaw}" for one in found if one.flaw)
        raise MeasureError(
            f"a latency model needs measurements at two levels of concurrency, and {len(good)} of {len(found)} "
            f"measurements can be used{f' ({flaws})' if flaws else ''}",
            "Measure at several levels, as load: {concurrency: [1, 4, 16], seconds: 60} does.",
        )
    decode, best = fit_decode(good)
    prefill = fit_prefill(good)
    fits = (*decode, *(one for one in (prefill, fit_tokenwise(good), fit_step_time(good)) if one is not None))
    return Parameters(
        fits=fits,
        decode=best,
        prefill=None if prefill is None else prefill.model,
        workload=FittedWorkload(
            prompt_tokens=fmean(one.prompt for one in good),
            output_tokens=fmean(one.output for one in good),
            model=model,
        ),
        provenance=origin,
        warnings=(*_of_samples(found), *_of_fits(fits, best)),
    )


def _of_samples(found: Sequence[Sample]) -> Iterator[str]:
    for one in found:
        if one.flaw:
            yield f"the measurement at concurrency {one.concurrency:g} is left out: {one.flaw}"
    good = usable(found)
    if len(levels([one.batch for one in good])) < FEW_LEVELS:
        yield "two levels only: nothing shows whether a straight line is the right form"
    for level in sorted({one.concurrency for one in good}):
        batches = [one.batch for one in good if one.concurrency == level and one.source == "server"]
        if batches and fmean(batches) < SHORT * level:
            yield (
                f"at concurrency {level:g} the engine ran {fmean(batches):.1f} requests at once, and others waited: "
                "more concurrency tells nothing more of its steps"
            )
        elif batches and fmean(batches) > level / SHORT:
            yield f"at concurrency {level:g} the engine ran {fmean(batches):.1f} requests: others use it too"


def _of_fits(fits: Sequence[Fit], best: str) -> Iterator[str]:
    for fit in fits:
        used = fit.model in (best, "linear-batch", "linear-prefill")
        for name, one in fit.values.items() if used else ():
            slope = one.unit != "s"
            if one.value < 0 and name != "bend":
                why = "as if more load made the server faster" if slope else "the form does not hold down to there"
                yield f"{name} of {fit.model} is negative: {why}"
            elif fit.model == best and one.interval and one.interval[1] - one.value > WIDE * abs(one.value):
                yield f"{name} of {fit.model} is uncertain by more than {WIDE:.0%}: measure longer, or more levels"
        if used and fit.goodness and fit.goodness.mape is not None and fit.goodness.mape > POOR:
            yield f"{fit.model} misses what was measured by {fit.goodness.mape:.0%} on average"
