"""Read a study document: names from the catalog are expanded, defaults from it filled in."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from servelab.catalog.check import check_study
from servelab.catalog.engines import engine_arguments
from servelab.catalog.models import find_model
from servelab.catalog.recorded import RecordedError, dataset_lengths, read_dataset, read_trace, trace_lengths
from servelab.catalog.workloads import preset_data
from servelab.spec.base import Parameters
from servelab.spec.document import parse_document
from servelab.spec.errors import DocumentError, NotFoundError
from servelab.spec.study import Study
from servelab.spec.workload import Trace, Workload


def load_study(text: str, source: str = "study.yaml") -> Study:
    """Read a study; a model or workload may be a name that the catalog knows.

    ``model: smollm2-135m`` and ``workload: chatsweep`` (or ``workload: {preset: chatsweep, seed: 3}``) stand for
    what the catalog holds. Parameters of the space get the engine's defaults as the study's baseline. Paths of traces
    and data sets are relative to ``source``; what they hold is summed up as the workload's lengths.

    Raises:
        DocumentError: with one line per fault, each with file, line and column.
    """
    document = parse_document(text, source)
    data = dict(document.data)
    try:
        data["workload"] = _recorded(_workload(data.get("workload")), Path(source).parent)
    except (NotFoundError, RecordedError) as error:
        raise DocumentError((document.fault(("workload",), error.message),), error.remedy) from None
    data["model"] = _model(data.get("model"))
    data = {name: value for name, value in data.items() if value is not None or name in document.data}
    study = dataclasses.replace(document, data=data).study()
    fatal = tuple(document.fault(p.path, str(p)) for p in check_study(study) if p.fatal)
    if fatal:
        raise DocumentError(fatal)
    return with_defaults(study)


def load_workload(text: str, source: str = "workload.yaml") -> Workload:
    """Read a workload alone, written as in a study.

    Raises:
        DocumentError: with one line per fault, each with file, line and column.
    """
    document = parse_document(text, source)
    try:
        return Workload.model_validate(_recorded(_workload(dict(document.data)), Path(source).parent))
    except (NotFoundError, RecordedError) as error:
        raise DocumentError((f"{source}: {error.message}",), error.remedy) from None
    except ValidationError as error:
        faults = (document.fault(e["loc"], e["msg"]) for e in error.errors())
        raise DocumentError(tuple(faults), "Write it as the workload of a study; see docs/study.md.") from None


def with_defaults(study: Study) -> Study:
    """The study with the engine's defaults as its baseline, where it names none itself."""
    return study.model_copy(update={"baseline": {**default_parameters(study), **study.baseline}})


def default_parameters(study: Study) -> Parameters:
    """The engine's own defaults of the parameters that a search changes, as far as the catalog knows them."""
    if study.space is None:
        return {}
    known = engine_arguments(study.engine.name)
    found: Parameters = {}
    for name in study.space.parameters:
        default = known[name].default if name in known else None
        if default is not None and study.space.active(name, found):
            found[name] = default
    return found


def _workload(raw: Any) -> Any:
    if isinstance(raw, str):
        return preset_data(raw)
    if isinstance(raw, dict) and "preset" in raw:
        return {**preset_data(str(raw["preset"])), **{name: value for name, value in raw.items() if name != "preset"}}
    return raw


def _recorded(raw: Any, directory: Path) -> Any:
    """The workload with the absolute path of its trace or data set, and the lengths that are in there."""
    if not isinstance(raw, dict):
        return raw
    trace, dataset = raw.get("trace"), raw.get("dataset")
    if isinstance(trace, dict) and isinstance(trace.get("path"), str):
        trace = {**trace, "path": str(_resolved(directory, trace["path"]))}
        try:
            prompt, output = trace_lengths(read_trace(Trace.model_validate(trace)))
        except ValidationError:
            return {"prompt": 1, "output": 1, **raw}  # the study's own validation says what is wrong, and where
        return {"prompt": prompt.model_dump(), "output": output.model_dump(), **raw, "trace": trace}
    if isinstance(dataset, str) and dataset:
        dataset = str(_resolved(directory, dataset))
        prompts, outputs = dataset_lengths(read_dataset(dataset))
        known = {"prompt": prompts.model_dump()} | ({"output": outputs.model_dump()} if outputs else {})
        return {**known, **raw, "dataset": dataset}
    return raw


def _resolved(directory: Path, path: str) -> Path:
    return (directory / Path(path).expanduser()).absolute()


def _model(raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    known = find_model(raw)
    return {"id": known.id if known else raw}
