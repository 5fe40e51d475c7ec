"""Commands that look at studies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import cyclopts

from servelab.cli.output import Json, StoreUrl, console, notes, print_json
from servelab.store.store import open_store

FOLLOW_EVERY = 1.0  # seconds

StudyName = Annotated[str, cyclopts.Parameter(help="Id, beginning of an id, or name; default: the last one.")]
Follow = Annotated[bool, cyclopts.Parameter(name=["--follow", "-f"], negative="", help="Go on until it ends.")]


def status(study: str | None = None, *, follow: Follow = False, store: StoreUrl = None, json: Json = False) -> None:
    """Show all studies, or one in detail.

    Parameters
    ----------
    study
        Id, beginning of an id, or name; default: a line for each study.
    """
    from servelab.cli.overview import follow_study, study_lines, study_overview

    opened = open_store(store)
    if follow:
        follow_study(opened, study or "", FOLLOW_EVERY)
    elif study is None:
        study_lines(opened, json)
    else:
        study_overview(opened, study, json)


def logs(study: StudyName = "", *, trial: int | None = None, lines: int = 100, store: StoreUrl = None) -> None:
    """Show the engine's log of a trial.

    Parameters
    ----------
    trial
        Number of the trial; default: the last one that started an engine.
    lines
        How many of the last lines.
    """
    from servelab.lab.logs import engine_log

    opened = open_store(store)
    log = engine_log(opened, opened.get_study(study).id, trial)
    console.print("\n".join(log.splitlines()[-lines:]), markup=False, soft_wrap=True)


def report(
    study: StudyName = "",
    *,
    output: Annotated[Path | None, cyclopts.Parameter(name=["--output", "-o"])] = None,
    store: StoreUrl = None,
    json: Json = False,
) -> None:
    """Write report.html, report.json, trials.csv and the recommendation, and print the summary.

    Parameters
    ----------
    output
        Directory; default: servelab-results/ID.
    """
    from servelab.lab.results import finish_report, results_directory
    from servelab.report.summary import print_summary, summary_data

    opened = open_store(store)
    record = opened.get_study(study)
    files = finish_report(opened, record, output or results_directory(record.id))
    trials = opened.trials(record.id, with_reports=True)
    if json:
        print_json({**summary_data(record, trials), "files": [str(file) for file in files]})
    else:
        print_summary(record, trials, console)
        console.print(f"\nreport: {files[0]}")


def recommend(
    study: StudyName = "",
    *,
    form: Literal["command", "env", "docker", "compose", "kubernetes", "ome", "modelservice"] = "command",
    accelerator_hour_cost: float | None = None,
    store: StoreUrl = None,
    json: Json = False,
) -> None:
    """Print how to serve the model: the verified winner, or the default where nothing beats it.

    Parameters
    ----------
    form
        What to print.
    accelerator_hour_cost
        What an accelerator costs an hour, in any currency; then what serving costs is printed to standard error.
    """
    from servelab.report.cost import cost_lines, serving_costs
    from servelab.report.digest import digest
    from servelab.report.recommend import recommend_from

    opened = open_store(store)
    record = opened.get_study(study)
    made = digest(record, opened.trials(record.id, with_reports=True))
    found = recommend_from(made)
    costs = () if accelerator_hour_cost is None else serving_costs(made, accelerator_hour_cost)
    if json:
        print_json({**found.model_dump(mode="json"), **({"costs": costs} if costs else {})})
        return
    console.print(found.form(form), markup=False, soft_wrap=True, end="")
    for line in cost_lines(costs):
        notes.print(line, markup=False, soft_wrap=True)


def compare(*trials: str, store: StoreUrl = None, json: Json = False) -> None:
    """Compare trials side by side: differences, and whether they are beyond noise.

    Parameters
    ----------
    trials
        Trials as STUDY#NUMBER, or numbers of the last study.
    """
    from servelab.report.compare import compare_trials, print_comparison

    opened = open_store(store)
    chosen = []
    for name in trials:
        study, _, number = name.rpartition("#")
        record = opened.get_study(study)
        chosen.append((record, opened.trial(record.id, _number(number))))
    found = compare_trials(chosen)
    if json:
        print_json(found)
    else:
        print_comparison(found, console)


def export(
    study: StudyName = "",
    *,
    output: Annotated[Path, cyclopts.Parameter(name=["--output", "-o"])],
    traces: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    autotuner: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    store: StoreUrl = None,
) -> None:
    """Write trials.csv, report.json, and each measurement as llm-d Benchmark Report v0.2.

    Parameters
    ----------
    output
        Directory.
    traces
        Write the requests of each measurement too, as the trace pair that blis replay and blis calibrate read.
    autotuner
        Write the result file of the inference autotuner too.
    """
    from servelab.lab.results import write_traces
    from servelab.report.exports import export_study

    opened = open_store(store)
    record = opened.get_study(study)
    trials = opened.trials(record.id, with_reports=True)
    written = [*export_study(record, trials, output), *(write_traces(record, trials, output) if traces else ())]
    if autotuner:
        from servelab.tasks.results import write_results

        written.append(write_results(record, trials, output))
    for path in written:
        console.print(str(path), markup=False, soft_wrap=True)


def _number(text: str) -> int:
    from servelab.spec.errors import NotFoundError

    if not text.isdigit():
        raise NotFoundError(f"{text!r} is not the number of a trial", "Write for example: servelab compare 0 7")
    return int(text)
