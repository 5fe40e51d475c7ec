"""What a dialog shows at each step."""

from __future__ import annotations

from servelab.request import boxes
from servelab.request.feasible import doubts
from servelab.request.final import final_box, short_box
from servelab.request.lines import LIMIT_FLAGS
from servelab.request.reply import Ask, Block, Reply, Text, YesNo
from servelab.request.settle import Settled
from servelab.request.state import State
from servelab.request.study import make_study
from servelab.request.study_box import study_box
from servelab.request.verification import verification

MODIFICATIONS = (
    "Add --trust-remote-code (for custom model code)",
    "Add --enable-prefix-caching (for prefix caching experiments)",
    "Change --gpu-memory-utilization (default: 0.9)",
    "Add --dtype bfloat16 (for precision control)",
)


def opening() -> Reply:
    """What is said first when no request was given."""
    text = (
        "What do you want to find out? For example: run a chatbot benchmark with llama3-8b and TP=2 in namespace perf"
    )
    return Reply(blocks=(Text(text=text),))


def introduction(state: State, settled: Settled) -> list[Block]:
    """What was taken from the first sentence."""
    found: list[Block] = [Text(text="I've parsed your request. Here's what I detected:")]
    found.append(boxes.detected(settled, state.understanding))
    if settled.request.workload is None and settled.workload != "custom":
        found += [
            boxes.workload_table(),
            Text(text=f"No workload was named: {settled.workload}, as in the values file."),
        ]
    return found


def naming(settled: Settled) -> list[Block]:
    """The name that the experiment gets when none is given."""
    if settled.experiment_id is None or settled.request.experiment_id is not None:
        return []
    return [Text(text=f"The experiment id will be {settled.experiment_id}, unless you name another.")]


def engine_changed(settled: Settled) -> bool:
    """Whether image, arguments or limits of the engine differ from the values file."""
    names = (*LIMIT_FLAGS, "images.main", "images.init")
    return any(change.parameter in names or change.parameter.startswith("--") for change in settled.changed)


def verify(state: State, settled: Settled) -> list[Block]:
    """The comparison with the values file, and the engine in full."""
    return [
        Text(text="I've compared your requirements with the current values.yaml configuration:"),
        boxes.comparison(settled),
        *_warnings(state, settled),
        Text(text="Please verify the vLLM configuration:"),
        verification(settled, state.facts, state.understanding),
        YesNo(text="Do you want to modify any vLLM settings?", default=True, hints=MODIFICATIONS),
    ]


def confirm(state: State, settled: Settled) -> list[Block]:
    """Everything before the yes, in short where nothing changes."""
    if not settled.pipeline:
        box = study_box(settled, make_study(settled, state.facts))
        return [*_warnings(state, settled), box, YesNo(text="Proceed?")]
    if not settled.changed:
        text = "Your request matches current values.yaml. Only pipelinerun.yaml params need to be set."
        box, question = short_box(settled), "No configuration changes needed. Proceed?"
        return [Text(text=text), *_warnings(state, settled), box, YesNo(text=question)]
    compared = [] if engine_changed(settled) else [boxes.comparison(settled)]
    text = "Here is the complete experiment configuration:"
    blocks: list[Block] = [*compared, *_warnings(state, settled), Text(text=text), final_box(settled)]
    return [*blocks, YesNo(text="Proceed with deployment?")]


def _warnings(state: State, settled: Settled) -> list[Block]:
    texts = [*settled.warnings, *state.kept]
    return [Text(text=text, tone="warning") for text in texts]


def unasked(state: State) -> Reply:
    """What is said where nobody can answer: the final box, or what is missing."""
    settled = state.settled
    if settled.questions:
        return Reply(blocks=(boxes.detected(settled, state.understanding), Ask(questions=settled.questions)))
    known = state.model_copy(update={"kept": tuple(doubt.text for doubt in doubts(settled, state.facts))})
    return Reply(blocks=tuple(block for block in confirm(known, settled) if not isinstance(block, YesNo)))
