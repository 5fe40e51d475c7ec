"""A measurement as the trace pair of BLIS (inference-sim), for its ``blis replay`` and ``blis calibrate``.

Source: inference-sim, sim/workload/tracev2.go: a YAML header of version 2 and a CSV with 27 columns, times in
microseconds. BLIS fits its coefficients from such traces itself. What records do not tell is empty, which means "not
recorded" there: why an answer ended, and which of several prefixes a request had. ``input_tokens`` are those after the
prefix (replay.go puts the prefix before them), ``server_input_tokens`` all.
"""

from __future__ import annotations

import csv
import gzip
import json
from io import StringIO
from pathlib import Path
from typing import Any

from servelab.perf.text import yaml_text
from servelab.spec.errors import DocumentError
from servelab.spec.report import Report
from servelab.spec.workload import SharedPrefix

COLUMNS = (
    "request_id",
    "client_id",
    "tenant_id",
    "slo_class",
    "session_id",
    "round_index",
    "prefix_group",
    "prefix_length",
    "streaming",
    "input_tokens",
    "output_tokens",
    "text_tokens",
    "image_tokens",
    "audio_tokens",
    "video_tokens",
    "reason_ratio",
    "model",
    "deadline_us",
    "server_input_tokens",
    "arrival_time_us",
    "send_time_us",
    "first_chunk_time_us",
    "last_chunk_time_us",
    "num_chunks",
    "status",
    "error_message",
    "finish_reason",
)


def trace_header(report: Report) -> str:
    """The header: that real requests were observed, of which server and model."""
    provenance = report.provenance
    server: dict[str, Any] = {"type": provenance.engine, "model": provenance.model}
    numbers = {
        "tensor_parallel": ("tensor_parallel_size", "tp_size"),
        "max_num_seqs": ("max_num_seqs", "max_running_requests"),
        "block_size": ("block_size",),
        "gpu_memory_utilization": ("gpu_memory_utilization",),
        "max_model_len": ("max_model_len", "context_length"),
    }
    for theirs, ours in numbers.items():
        values = [provenance.parameters[name] for name in ours if name in provenance.parameters]
        if values:
            server[theirs] = values[0]
    return yaml_text(
        {
            "trace_version": 2,
            "time_unit": "microseconds",
            "created_at": provenance.started_at,
            "mode": "real",
            "warm_up_requests": 0,  # the records begin after it
            "workload_seed": provenance.seed,
            "server": server,
        }
    )


def trace_rows(report: Report, records: Path, prefix: SharedPrefix | None = None) -> str:
    """The CSV, of the records of a measurement; ``prefix`` is its workload's.

    Raises:
        DocumentError: the records are not there.
    """
    try:
        with gzip.open(records, "rt", encoding="utf-8") as lines:
            found = [json.loads(line) for line in lines]
    except (OSError, EOFError, ValueError) as error:
        raise DocumentError((f"the records of a measurement cannot be read: {records}",)) from error
    shared = prefix.tokens if prefix and prefix.groups == 1 else 0
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, record in enumerate(sorted(found, key=lambda one: one["intended"])):
        writer.writerow(_row(number, record, report.provenance.model, shared))
    return stream.getvalue()


def _row(number: int, record: dict[str, Any], model: str, shared: int) -> tuple[Any, ...]:
    failed = record["error"] is not None
    prompt = record["prompt_tokens"]
    shared = min(shared, prompt)
    own = prompt - shared
    times = (record["intended"], record["sent"], record["first"], record["last"])
    return (
        *(number, "servelab", "", "", "", 0, "shared" if shared else "", shared, "true"),
        *(own, record["output_tokens"], own, 0, 0, 0, 0),
        *(model, 0, prompt),
        *(round((when or 0.0) * 1e6) for when in times),
        *(record["chunks"], "error" if failed else "ok", record["error"] or "", ""),
    )
