"""How well latency models are estimated: ``python -m benchmarks.estimate --out docs/benchmarks/estimate.md``.

On the embedded engine, a fit to three concurrencies predicts three others, beside the two-point formula on the same
data. On the simulated engine, known coefficients are to come back. What was measured is kept with ``--keep DIRECTORY``
and fitted anew when it is there already.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median

from servelab.catalog.study import load_study
from servelab.engines.simulated.profile import profiles
from servelab.lab.estimation import fit_study, study_samples
from servelab.lab.run import run_study
from servelab.perf.estimate import estimate
from servelab.perf.figure import fit_figure
from servelab.perf.models import Lengths, LinearBatch
from servelab.perf.parameters import Origin, Parameters
from servelab.perf.sample import Sample, usable
from servelab.spec.errors import NotFoundError
from servelab.spec.trial import StudyRecord
from servelab.store.store import Store

FITTED, PREDICTED = (1, 2, 8), (3, 4, 6)
REAL = """
name: real
model: smollm2-135m
engine: {name: llamacpp, arguments: {ctx_size: 4096, parallel: 8}}
workload: {prompt: 16, output: 24}
load: {concurrency: [1, 3, 8, 4, 2, 6], seconds: 4, warmup: 1}
budget: {repeats: 4}
"""
SCALE = 4  # the simulated engine is slowed down, so that this machine keeps up with it
KNOWN = f"""
name: simulated
model: {{id: m}}
engine: {{name: simulated, profile: h100-llama-3.1-8b, arguments: {{time_scale: {SCALE}, startup_seconds: 0}}}}
workload: {{prompt: 128, output: 128}}
load: {{estimate: {{high: 64, total: 150}}, seconds: 8, warmup: 1}}
"""


def main() -> None:
    """Measure, unless that was done, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = given.keep or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        os.environ["SERVELAB_HOME"] = str(home.absolute())
        store = Store(str(home / "estimate.db"))
        real, known = measured(store, REAL), measured(store, KNOWN)
        samples, _ = study_samples(store, real)
        lines = [*HEAD, *predictions(samples), *recovery(store, known)]
        if given.out is not None:
            given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
            figure = fit_figure(fitted(samples), [one for one in samples if one.concurrency in FITTED])
            given.out.with_suffix(".svg").write_text(figure, encoding="utf-8")
    print("\n".join(lines))


HEAD = [
    "# Latency models",
    "",
    "Written by `make bench-estimate`; see [Coefficients of latency models](../estimation.md).",
]


def measured(store: Store, document: str) -> StudyRecord:
    """The study of a document, run unless it was."""
    study = load_study(document)
    try:
        record = store.get_study(study.name)
    except NotFoundError:
        record = store.create_study(study)
    return asyncio.run(run_study(store, record.id))


def fitted(samples: Sequence[Sample]) -> Parameters:
    """The fit to the fitted levels."""
    return estimate([one for one in samples if one.concurrency in FITTED], Origin(method="sweep"))


def predictions(samples: Sequence[Sample]) -> Iterator[str]:
    """ITL at concurrencies that were not fitted, predicted and measured."""
    good = usable(samples)
    itl = {level: median(s.itl for s in good if s.concurrency == level) for level in (*FITTED, *PREDICTED)}
    low, high = FITTED[0], FITTED[-1]
    found, lengths = fitted(samples), Lengths(16, 24)
    beta = (itl[high] - itl[low]) / (high - 1)  # the command refuses a negative alpha; here it may predict
    ways = {found.decode: found.decode_model, "two-point": LinearBatch(itl[low] - beta, beta)}
    yield from (
        "",
        "## Predictions on a real engine",
        "",
        "llama.cpp with SmolLM2-135M on one core, 16 prompt and 24 output tokens, eight slots; four measurements at",
        f"each concurrency. Fitted to {_listed(FITTED)}, predicted for {_listed(PREDICTED)}; mean ITL in ms,",
        "median of the four.",
        "",
        f"| concurrency | measured | {' | '.join(f'{name} | error' for name in ways)} |",
        f"|---:|---:|{'---:|---:|' * len(ways)}",
    )
    errors: dict[str, list[float]] = {name: [] for name in ways}
    for level in PREDICTED:
        cells = []
        for name, model in ways.items():
            predicted = model.itl(level, lengths)
            errors[name].append(abs(predicted / itl[level] - 1))
            cells.append(f"{predicted * 1000:.1f} | {predicted / itl[level] - 1:+.1%}")
        yield f"| {level} | {itl[level] * 1000:.1f} | {' | '.join(cells)} |"
    means = [f" | **{fmean(each):.1%}**" for each in errors.values()]
    yield f"| MAPE | | {' | '.join(means)} |"
    yield from (
        "",
        "![The fit](estimate.svg)",
        "",
        "| concurrency | batch met | ITL, ms | TTFT, ms | |",
        "|---:|---:|---:|---:|---|",
    )
    for one in sorted(samples, key=lambda one: one.concurrency):
        values = f"{one.concurrency:g} | {one.batch:.2f} | {one.itl * 1000:.1f} | {one.ttft * 1000:.0f}"
        yield f"| {values} | {one.flaw and f'left out: {one.flaw}'} |"


def recovery(store: Store, record: StudyRecord) -> Iterator[str]:
    """Coefficients of the simulated engine's step, given and estimated over HTTP."""
    found, samples = fit_study(store, record)
    profile = profiles()["h100-llama-3.1-8b"]
    given = {
        "base": profile.base_s,
        "prefill": profile.prefill_s,
        "decode": profile.decode_s + profile.context_s * (128 + 128 / 2),
    }
    yield from (
        "",
        "## Known coefficients",
        "",
        f"The simulated engine (time x {SCALE}) over HTTP, {len(samples)} measurements of 8 s that the design chose at",
        f"concurrency {_listed(sorted({round(one.concurrency) for one in samples}))}. `decode` holds the reading of a",
        "request's cache, as its lengths do not vary.",
        "",
        "| model | coefficient | given, ms | estimated, ms | error | 95 % interval, ms |",
        "|---|---|---:|---:|---:|---:|",
    )
    known = {("step-time", name): value for name, value in given.items()}
    known["linear-batch", "alpha"] = given["base"]
    models = {fit.model: fit for fit in found.fits}
    for (model, name), value in known.items():
        if model not in models:
            continue
        one = models[model].values[name]
        low, high = one.interval or (float("nan"), float("nan"))
        true = value * SCALE * 1000
        yield (
            f"| {model} | {name} | {true:.4g} | {one.value * 1000:.4g} | {one.value * 1000 / true - 1:+.1%} "
            f"| {low * 1000:.4g} to {high * 1000:.4g} |"
        )


def _listed(numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last


if __name__ == "__main__":
    main()
