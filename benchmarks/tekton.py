"""Compiling many treatments to a pipeline: ``python -m benchmarks.tekton --out docs/benchmarks/tekton.md``.

Each row is a process of its own, as a user would start it: reading, rendering, expanding, checking, writing. Time and
memory are of the whole process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from servelab.tekton import shipped
from servelab.tekton.values import read_mapping
from servelab.tekton.write import to_yaml

RUNS = 5
SIZES = (10, 100, 1000)

SMALL = """
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: small}
spec:
  params: [{name: experimentId}]
  tasks:
  - loopName: treatment
    foreach: {domain: {t: {{ treatments }}}}
    vars: {id: "{{ t.id }}", label: "$(params.experimentId)-{{ t.id }}"}
    tasks:
    - name: deploy-{{ id }}
      taskRef: {name: deploy-model}
      params:
      - {name: modelLabel, value: "{{ label }}"}
      - {name: config, value: {{ helmValues }}}
      - {name: overrides, value: ["decode.parallelism.tensor={{ t.tensorParallelism }}"]}
    - name: workload-{{ id }}
      runAfter: ["deploy-{{ id }}"]
      taskRef: {name: run-workload-nop}
      params: [{name: modelLabel, value: "{{ label }}"}, {name: results_dir, value: "{{ label }}"}]
"""


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    lines = [
        "# Tekton pipelines",
        "",
        "`servelab tekton compile` as a process of its own: reading the template, rendering, expanding, checking,",
        f"writing YAML. Wall time is the median of {RUNS} runs, memory the most that a run held. Two tasks per",
        "treatment, which hand on the values of a Helm chart; and the shipped data-collection pipeline, eight tasks",
        "per treatment. Written by `make bench-tekton`; the machine's noise is in it.",
        "",
        "| template | treatments | tasks | seconds | peak memory, MB | written, MB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("two tasks", "data collection"):
            for count in SIZES:
                lines.append(row(Path(folder), name, count))
                print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if out:
        out.write_text(text)


def row(folder: Path, name: str, count: int) -> str:
    """A line of the table."""
    values = read_mapping(shipped.text("data-collection", "values.yaml"), "values.yaml")
    treatments = [
        {"id": f"t{number}", "tensorParallelism": 1 + number % 8, "overrides": [f"decode.replicas={1 + number % 3}"]}
        for number in range(count)
    ]
    if name == "two tasks":
        template, values = SMALL, {"treatments": treatments, "helmValues": values["stack"]["model"]["helmValues"]}
    else:
        template = shipped.text("data-collection", "pipeline.yaml.j2")
        values["stack"]["treatments"] = {"explicit": treatments}
    (folder / "t.j2").write_text(template)
    (folder / "v.yaml").write_text(to_yaml(values))
    taken = [compiled(folder) for _ in range(RUNS)]
    seconds, memory = median(second for second, _ in taken), max(megabytes for _, megabytes in taken)
    written = folder / "out.yaml"
    tasks = written.read_text().count("taskRef:")
    return f"| {name} | {count:,} | {tasks:,} | {seconds:.2f} | {memory:.0f} | {written.stat().st_size / 1e6:.1f} |"


def compiled(folder: Path) -> tuple[float, float]:
    """Wall time in s and peak memory in MB of one process."""
    start = time.monotonic()
    command = [sys.executable, "-m", "servelab", "tekton", "compile", "-t", "t.j2", "-f", "v.yaml", "-o", "out.yaml"]
    process = subprocess.Popen(command, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the compilation failed in {folder}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
