"""The command line: every command by name, imported only when it is used."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

import cyclopts

from servelab import __version__

EXIT_FAULT = 70
EXIT_INTERRUPTED = 130

app = cyclopts.App(
    name="servelab",
    help="Say what model, workload and goal you have; servelab runs the experiments and tells you how to serve it.",
    version=__version__,
    help_flags=["--help", "-h"],
    help_format="plaintext",  # without the parser of Markdown: a tenth of the time
    result_action="return_value",
)

RUNNING = cyclopts.Group("Run studies", sort_key=1)
LOOKING = cyclopts.Group("Look at studies", sort_key=2)
WRITING = cyclopts.Group("Write studies", sort_key=3)
PREDICTING = cyclopts.Group("Predict", sort_key=4)
CLUSTER = cyclopts.Group("On a cluster", sort_key=5)
MACHINE = cyclopts.Group("This machine", sort_key=6)

COMMANDS = {
    RUNNING: {
        "ask": ("ask:ask", "Say in plain words what to find out; nothing starts without a yes."),
        "quickstart": ("run:quickstart", "Tune llama.cpp on this machine, and say how to serve it."),
        "run": ("run:run", "Run a study from a YAML or JSON document."),
        "tune": ("run:tune", "Tune an engine for a model and a workload, without writing a document."),
        "estimate": ("estimate:estimate", "Estimate the coefficients of a server's latency model."),
        "serve": ("serve:serve", "Open the page: start studies, watch them live, see the answer."),
        "resume": ("run:resume", "Go on with a study that was interrupted."),
        "worker": ("run:worker", "Help with a study in a shared PostgreSQL store."),
        "pause": ("control:pause", "Let the running trials of a study finish, and start no more."),
        "cancel": ("control:cancel", "Stop a study for good."),
        "delete": ("control:delete", "Remove a study with all that it measured."),
    },
    LOOKING: {
        "status": ("look:status", "Show studies, or one study; -f follows it."),
        "logs": ("look:logs", "Show the engine's log of a trial."),
        "report": ("look:report", "Write the report of a study and print its summary."),
        "recommend": ("look:recommend", "Print how to serve, in the form you ask for."),
        "compare": ("look:compare", "Compare trials side by side."),
        "coefficients": (
            "coefficients:coefficients",
            "Show estimated coefficients, or write them as others read them.",
        ),
        "export": ("look:export", "Write a study's trials and reports as files."),
        "import-report": ("harnesses:import_report", "Read the results of other load generators."),
    },
    WRITING: {
        "import": ("migrate:import_", "Read a task or result file of the inference autotuner."),
        "validate": ("write:validate", "Check a study document."),
        "plan": ("write:plan", "Show what a study would do: trials, commands, time. Starts nothing."),
        "schema": ("write:schema", "Print the JSON Schema of a study."),
        "convert": ("convert:convert", "Convert an llm-d guide into a benchmark scenario and experiment."),
        "models": ("knowledge:models", "List the models servelab knows."),
        "workloads": ("knowledge:workloads", "List the workload presets."),
        "engines": ("knowledge:engines", "List the engines, or show one engine's arguments."),
    },
    PREDICTING: {
        "predict": ("predict:predict", "Predict latency, capacity and cost at a load from fitted coefficients."),
        "simulate": ("predict:simulate", "Simulate a study's load levels with fitted coefficients."),
    },
    CLUSTER: {
        "tekton": ("tekton:app", "Run experiments as Tekton pipelines: compile, check, render."),
    },
    MACHINE: {
        "doctor": ("machine:doctor", "Check this machine: engines, store, disk, cores, leftovers."),
        "cleanup": ("machine:cleanup", "Remove what crashed studies left running."),
        "harness": ("harnesses:app", "Install the field's own load generators, and see which are here."),
    },
}

for group, commands in COMMANDS.items():
    for name, (target, summary) in commands.items():
        app.command(f"servelab.cli.{target}", name=name, group=group, help=summary)
app.register_install_completion_command(add_to_startup=False, group=MACHINE)


def main() -> None:
    """Run the command line; every error is a sentence and an exit code."""
    from servelab.spec.errors import ServelabError

    try:
        code = app()
    except ServelabError as error:
        print_error(error.message, error.remedy)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output is gone; Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - a fault of ours: the person gets a sentence, the file the details
        print_error(*_unexpected(error))
        sys.exit(EXIT_FAULT)
    sys.exit(code if isinstance(code, int) else 0)


def print_error(message: str, remedy: str) -> None:
    """Tell an error to the person: what happened, then what to do next."""
    print(f"servelab: {message}", file=sys.stderr)
    if remedy:
        print(f"  {remedy}", file=sys.stderr)


def _unexpected(error: Exception) -> tuple[str, str]:
    """Write the traceback to a file; what to tell the person."""
    with tempfile.NamedTemporaryFile("w", prefix="servelab-fault-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    message = f"an error that servelab did not expect: {type(error).__name__}: {error}"
    return message, f"This is a fault of servelab. Please report it with {file.name}; the study can be resumed."
