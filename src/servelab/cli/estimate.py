"""Coefficients of latency models: from a running server, a study, reports, or two numbers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
from pydantic import Field
from rich.markup import escape

from servelab.cli.output import Json, StoreUrl, console, notes, print_json, read_text
from servelab.lab.estimation import EstimateRequest
from servelab.spec.base import Spec
from servelab.spec.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from servelab.perf.parameters import Parameters
    from servelab.perf.sample import Sample
    from servelab.spec.study import Study
    from servelab.spec.trial import StudyRecord
    from servelab.store.store import Store

PARAMETERS, PLOT = "parameters.json", "estimate.svg"


class TwoPointRequest(Spec):
    """The numbers of the bare calculation, in milliseconds."""

    itl_sync: float | None = Field(default=None, description="ITL of one request at a time.")
    itl_throughput: float | None = Field(default=None, description="ITL of batch-size requests at a time.")
    batch_size: float = Field(default=64.0, description="Requests at a time in the throughput benchmark.")
    ttft_sync: float | None = Field(default=None, description="TTFT of one request at a time.")
    ttft_throughput: float | None = Field(default=None, description="TTFT of batch-size requests at a time.")
    input_tokens: float | None = Field(default=None, description="Tokens of each prompt.")


Output = Annotated[
    Path | None, cyclopts.Parameter(name=["--output", "-o"], help="File (.json) or directory for the parameters.")
]


def estimate(
    study: Path | None = None,
    /,
    *,
    server: Annotated[EstimateRequest | None, cyclopts.Parameter(name="*")] = None,
    two_point: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    numbers: Annotated[TwoPointRequest | None, cyclopts.Parameter(name="*")] = None,
    from_reports: Annotated[list[Path] | None, cyclopts.Parameter(consume_multiple=True, negative="")] = None,
    from_study: str | None = None,
    trial: int | None = None,
    output: Output = None,
    store: StoreUrl = None,
    json: Json = False,
) -> int | None:
    """Estimate a latency model's coefficients: measures a server at several levels of concurrency, unless told else.

    Parameters
    ----------
    study
        A study whose engine is started and measured, with its workload; without it, the server at --url is.
    two_point
        Calculate from two numbers: --itl-sync and --itl-throughput, which imply it. Measures nothing.
    from_reports
        Take reports that load generators left: two of guidellm, one request at a time and many, or any at several
        levels. Measures nothing.
    from_study
        Take what a study measured; id, its beginning, or name. Measures nothing.
    trial
        Which of the study's trials; default: the first.
    """
    numbers, server = numbers or TwoPointRequest(), server or EstimateRequest()
    two_point = two_point or bool(numbers.model_fields_set - {"batch_size"})
    _require_one_way(two_point, study, from_reports, from_study, trial, numbers, server)
    if two_point:
        return _tell(_from_numbers(numbers), (), output, json)
    if from_reports:
        return _tell(*_from_reports(from_reports, numbers), output, json)
    if from_study is not None:
        from servelab.store.store import open_store

        opened = open_store(store)
        return conclude(opened, opened.get_study(from_study), output, json, trial)
    return _measure(_study(study, server), store, output, json)


def _require_one_way(
    two_point: bool,
    study: Path | None,
    reports: list[Path] | None,
    from_study: str | None,
    trial: int | None,
    numbers: TwoPointRequest,
    server: EstimateRequest,
) -> None:
    """Refuse options that the way to the coefficients has no use for."""
    takes: Collection[str]
    if two_point:
        way, takes = "the two-point formula", TwoPointRequest.model_fields
    elif reports:
        way, takes = "--from-reports", ("from_reports", "batch_size")
    elif from_study is not None:
        way, takes = "--from-study", ("from_study", "trial")
    elif study is not None:
        way, takes = "a study, which says what is measured,", ("study", "max_concurrency", "max_seconds")
    else:
        way, takes = "measuring a server", EstimateRequest.model_fields
    places = {"study": study, "from_reports": reports or None, "from_study": from_study, "trial": trial}
    given = [name for name, value in places.items() if value is not None]
    for options in (server, numbers):
        given += [name for name in type(options).model_fields if name in options.model_fields_set]
    if useless := [name for name in given if name not in takes]:
        named = ", ".join("study document" if name == "study" else f"--{name.replace('_', '-')}" for name in useless)
        raise DocumentError((f"{way} takes no {named}",), "Give one or the other: see servelab estimate --help.")


def conclude(store: Store, record: StudyRecord, output: Path | None, json: bool, trial: int | None = None) -> int:
    """Fit what a study measured, and tell it."""
    from servelab.lab.estimation import fit_study
    from servelab.lab.results import results_directory

    parameters, found = fit_study(store, record, trial)
    return _tell(parameters, found, output or results_directory(record.id), json)


def _study(document: Path | None, request: EstimateRequest) -> Study:
    from servelab.catalog.study import load_study
    from servelab.lab.estimation import estimation_load, estimation_study

    if document is None:
        return estimation_study(request)
    loaded = load_study(read_text(document), str(document))
    load = estimation_load(request.max_concurrency, request.max_seconds)
    empty: dict[str, Any] = {
        "space": None,
        "factors": {},
        "treatments": (),
        "objectives": (),
        "constraints": (),
        "baseline": {},
    }
    return loaded.model_copy(update={**empty, "load": load})


def _measure(study: Study, store: str | None, output: Path | None, json: bool) -> int:
    from servelab.cli.run import create_and_run

    return create_and_run(study, store, output, json)


def _from_numbers(numbers: TwoPointRequest) -> Parameters:
    from servelab.perf.pair import Pair, estimate_pair

    if numbers.itl_sync is None or numbers.itl_throughput is None:
        raise DocumentError(
            ("the two-point formula needs two latencies",),
            "Give both: servelab estimate --two-point --itl-sync 7.0 --itl-throughput 8.7 --batch-size 64",
        )
    pair = Pair(
        numbers.itl_sync,
        numbers.itl_throughput,
        numbers.batch_size,
        numbers.ttft_sync,
        numbers.ttft_throughput,
        numbers.input_tokens,
    )
    return estimate_pair(pair)


def _from_reports(files: list[Path], numbers: TwoPointRequest) -> tuple[Parameters, Sequence[Sample]]:
    from servelab.harnesses.external.importing import import_reports, is_of_guidellm
    from servelab.perf.estimate import estimate as fit
    from servelab.perf.pair import estimate_pair, read_pair
    from servelab.perf.parameters import Origin
    from servelab.perf.sample import samples

    if len(files) == 2 and all(map(is_of_guidellm, files)):
        return estimate_pair(read_pair(files[0], files[1], numbers.batch_size)), ()
    if "batch_size" in numbers.model_fields_set:
        raise DocumentError(
            ("--batch-size goes with two reports of guidellm: of others, the batch is read from them",), "Leave it out."
        )
    reports = [report for file in files for report in import_reports(file)]
    found = samples((report, None) for report in reports)
    harness = reports[0].provenance.harness if reports else None
    origin = Origin(method="sweep", harness=harness, files=tuple(map(str, files)))
    return fit(found, origin, reports[0].provenance.model if reports else None), found


def _tell(parameters: Parameters, found: Sequence[Sample], output: Path | None, json: bool) -> int:
    from servelab.cli.coefficients import print_parameters

    for warning in parameters.warnings:
        notes.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    files = [] if output is None else _write(parameters, found, output)
    if json:
        from servelab.perf.parameters import file_data

        print_json(file_data(parameters))
        return 0
    print_parameters(parameters, console)
    for file in files:
        notes.print(f"written: {escape(str(file))}", soft_wrap=True)
    return 0


def _write(parameters: Parameters, found: Sequence[Sample], output: Path) -> list[Path]:
    from servelab.perf.parameters import write_parameters

    file = output if output.suffix == ".json" else output / PARAMETERS
    plot = file.with_name(PLOT)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_parameters(parameters, file)
        if not found:
            return [file]
        from servelab.perf.figure import fit_figure

        plot.write_text(fit_figure(parameters, found), encoding="utf-8")
    except OSError as error:
        raise DocumentError((f"cannot write {error.filename or output}: {error.strerror or error}",)) from error
    return [file, plot]
