"""Commands for Tekton pipelines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import cyclopts

from servelab.cli.output import read_text

app = cyclopts.App(name="tekton", help="Run experiments as Tekton pipelines: compile, check, render.")

Out = Annotated[Path | None, cyclopts.Parameter(name=["--out", "-o"], help="File to write; default: standard output.")]


@app.command(name="compile")
def compile_pipeline(
    *,
    template: Annotated[Path, cyclopts.Parameter(name=["--template", "-t"])],
    values: Annotated[Path, cyclopts.Parameter(name=["--values", "-f"])],
    run: Annotated[Path | None, cyclopts.Parameter(name=["--pipelinerun", "-r"])] = None,
    out: Out = None,
    explain: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    dot: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    validate: Annotated[bool, cyclopts.Parameter(negative="--no-validate")] = True,
    tasks: Annotated[Path | None, cyclopts.Parameter()] = None,
) -> None:
    """Compile a template of a pipeline and its values to a Tekton Pipeline.

    Parameters
    ----------
    template
        The template, Jinja in YAML; - reads standard input.
    values
        The values, YAML or JSON; - reads standard input.
    run
        A PipelineRun whose parameters named stack and workload change the values.
    explain
        Print the tasks and what each runs after as a table: to standard output when --out is given, else to
        standard error.
    dot
        Print the graph of the tasks in Graphviz' language, likewise.
    validate
        Refuse a pipeline that Tekton would refuse.
    tasks
        File or directory with the Tasks and StepActions that exist, so that references to them are checked.
    """
    from servelab.tekton import graph
    from servelab.tekton.check.known import known_of, read_objects
    from servelab.tekton.compile import compile_template, require_valid
    from servelab.tekton.values import read_mapping, with_run
    from servelab.tekton.write import to_yaml

    data = read_mapping(read_text(values), str(values))
    ran = None if run is None else read_mapping(read_text(run), str(run))
    if ran is not None:
        data = with_run(data, ran, str(run))
    compiled = compile_template(read_text(template), data, str(template))
    explanations = sys.stderr if out is None else sys.stdout
    if explain:
        print(graph.explain(compiled.document), file=explanations)
    if dot:
        print(graph.dot(compiled.document), file=explanations)
    if validate:
        require_valid(compiled, None if tasks is None else known_of(read_objects(tasks)), name=str(template))
    _write(to_yaml(compiled.document), out)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")


RUNS = {
    "submit": "Submit an experiment, and follow it.",
    "retry": "Submit a failed run again, with a fix.",
    "status": "Show the runs, or one; -f follows it.",
    "logs": "Print what the tasks of a run print.",
    "pods": "Show the engines' pods of a run.",
    "cancel": "End a run; its final tasks still clean up.",
    "collect": "Bring the results of a run here, and into the store.",
    "cleanup": "Delete a run that has ended, with everything of it.",
}

for _name, _help in RUNS.items():
    app.command(f"servelab.cli.runs:{_name}", name=_name, help=_help)
