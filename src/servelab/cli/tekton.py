"""Commands for Tekton pipelines."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Annotated

import cyclopts

from servelab.cli.output import read_text

app = cyclopts.App(name="tekton", help="Run experiments as Tekton pipelines: compile, check, render.")

Input = Annotated[Path, cyclopts.Parameter(allow_leading_hyphen=True)]
"""A file; - is standard input, which looks like an option."""

Out = Annotated[Path | None, cyclopts.Parameter(name=["--out", "-o"], help="File to write; default: standard output.")]


@app.command(name="compile")
def compile_pipeline(
    *,
    template: Annotated[Path, cyclopts.Parameter(name=["--template", "-t"], allow_leading_hyphen=True)],
    values: Annotated[Path, cyclopts.Parameter(name=["--values", "-f"], allow_leading_hyphen=True)],
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

    gc.set_threshold(20_000)  # what is made are trees: to look for cycles in them all the time costs some 6 %
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
    write_out(to_yaml(compiled.document), out)


@app.command
def override(values: Input, *rules: str, out: Out = None) -> None:
    """Change Helm values by rules, as deploy-model does, and print them.

    Parameters
    ----------
    values
        The values, YAML or JSON; - reads standard input.
    rules
        Each as path.to[name="x"].field=value; [0] picks an item by position. Where the path leads to a list of
        arguments, the one with the same flag is replaced.
    """
    from servelab.spec.errors import DocumentError
    from servelab.tekton.scripts.override import RuleError
    from servelab.tekton.scripts.override import override as apply
    from servelab.tekton.values import read_mapping
    from servelab.tekton.write import to_yaml

    try:
        changed = apply(read_mapping(read_text(values), str(values)), list(rules))
    except RuleError as error:
        raise DocumentError((str(error),)) from None
    write_out(to_yaml(changed), out)


@app.command
def render(
    study: Input,
    *,
    namespace: Annotated[str, cyclopts.Parameter(name=["--namespace", "-n"])] = "default",
    experiment: str | None = None,
    values: Annotated[Path | None, cyclopts.Parameter(name=["--values", "-f"])] = None,
    definitions: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    dry: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    out: Out = None,
) -> None:
    """Render a study with explicit treatments to a Pipeline and the PipelineRun that runs it.

    Parameters
    ----------
    study
        The study, YAML or JSON; - reads standard input.
    namespace
        Where it is to run.
    experiment
        Name of the run; default: the study's.
    values
        Values of the data-collection pipeline, in place of the shipped ones.
    definitions
        Print the StepActions and Tasks as well.
    dry
        Each step only says what it would do: the run takes seconds and no accelerator.
    """
    from servelab.catalog.study import load_study
    from servelab.tekton.render import render_study
    from servelab.tekton.shipped import joined
    from servelab.tekton.values import read_mapping
    from servelab.tekton.write import to_yaml

    base = None if values is None else read_mapping(read_text(values), str(values))
    rendered = render_study(load_study(read_text(study), str(study)), namespace, experiment, base, dry=dry)
    objects = rendered.objects if definitions else (rendered.pipeline, rendered.run)
    write_out(joined([to_yaml(item) for item in objects]), out)


@app.command
def manifests(what: str = "tasks", *, out: Out = None) -> None:
    """Print manifests that come with servelab, for kubectl apply.

    Parameters
    ----------
    what
        step-actions, tasks, roles, or the name of one Task or StepAction.
    """
    from servelab.tekton import shipped

    write_out(shipped.manifests(what), out)


def write_out(text: str, out: Path | None) -> None:
    """Write to a file, or to standard output.

    Raises:
        DocumentError: the file cannot be written.
    """
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        from servelab.spec.errors import DocumentError

        raise DocumentError((f"cannot write {out}: {error.strerror}",)) from None


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
    app.command(f"servelab.cli.tekton_runs:{_name}", name=_name, help=_help)

app.command(
    "servelab.cli.tekton_estimate:estimate",
    name="estimate",
    help="Estimate a latency model's alpha and beta of a running server, by two benchmarks on a cluster.",
)
