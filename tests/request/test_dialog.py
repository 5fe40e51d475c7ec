"""The dialog's steps: what each waits for, what ends it, and that nothing said is lost.

What a sentence means is the grammar's affair: here each message has its meaning beside it. The dialogs of the plan,
word for word, are in test_seed.py.
"""

from __future__ import annotations

import pytest

from servelab.request.dialog import advance, pending
from servelab.request.reply import Ask, Box, Reply, Table, YesNo
from servelab.request.said import Option, Question, Request, Understanding
from servelab.request.screens import opening
from servelab.request.state import State, Step
from tests.request import asking
from tests.request.given import LLAMA_7B, LLAMA_70B, facts

LLAMAS = (
    Option(value="meta-llama/Llama-2-70b-hf", label="Llama 2 70B"),
    Option(value=LLAMA_70B, label="Llama 3.3 70B", recommended=True),
)
WHICH = Question(parameter="model", kind="ambiguous", text='"llama-70b": which?', options=LLAMAS)
SIMPLE = {"model": LLAMA_7B, "namespace": "mert", "workload": "chatsweep"}
MEANINGS = {
    "simple": SIMPLE,
    "llama-70b": {"tensor_parallelism": (4,), "custom_image": True},
    "the image": {"images": {"main": "ghcr.io/org/vllm:v1"}},
    "in mert": {"namespace": "mert"},
    "8192": {"max_model_len": 8192},
    "summarize": SIMPLE | {"model": LLAMA_70B, "workload": "summarization", "tensor_parallelism": (4,)},
    "custom": SIMPLE | {"workload": "custom", "profile": {"prompt": {"mean": 500}, "output": {"mean": 100}}},
    "half": SIMPLE | {"workload": "custom", "profile": {"prompt": {"mean": 500}}},
    "stdev": {"profile": {"prompt": {"mean": 500, "stdev": 100}, "output": {"mean": 100, "stdev": 50}}},
    "trust": {"engine_args": {"--trust-remote-code": True}},
    "tune": SIMPLE | {"intent": "tune", "namespace": None, "objective": "maximize output_throughput"},
    "nowhere": SIMPLE | {"namespace": None},
    "hello": {},
}


def read(message: str, before: Request | None) -> Understanding:
    """The meaning of a message, on top of what was said before."""
    said = MEANINGS.get(message)
    plain = (before or Request()).model_dump()
    if said is None:
        return Understanding(request=Request.model_validate(plain), leftover=(message,))
    plain |= said | ({"engine_args": {**plain["engine_args"], **said["engine_args"]}} if "engine_args" in said else {})
    questions = (WHICH,) if message == "llama-70b" else ()
    return Understanding(request=Request.model_validate(plain), words=dict.fromkeys(said, message), questions=questions)


def talk(*messages: str, known=None) -> tuple[State, Reply]:
    """State and last reply; both pass through JSON at every turn, as between a page and its server."""
    state, reply = State(facts=known or facts()), opening()
    for message in messages:
        state, reply = advance(state, message, read)
        state = State.model_validate_json(state.model_dump_json())
        reply = Reply.model_validate_json(reply.model_dump_json())
    return state, reply


def asked(reply: Reply) -> list[str]:
    """The parameters that are asked for."""
    return [question.parameter for block in reply.blocks if isinstance(block, Ask) for question in block.questions]


def boxes(reply: Reply) -> list[str]:
    return [block.title for block in reply.blocks if isinstance(block, Box)]


def text(reply: Reply) -> str:
    return reply.model_dump_json()


def test_a_match_is_one_box_and_a_yes():
    state, reply = talk("simple")
    assert state.step is Step.CONFIRM
    assert "Only pipelinerun.yaml params need to be set." in text(reply)
    assert [block.text for block in reply.blocks if isinstance(block, YesNo)] == [
        "No configuration changes needed. Proceed?"
    ]
    assert talk("simple", "y")[0].step is Step.ACCEPTED


@pytest.mark.parametrize("yes", ["y", "Y", "yes", "Yes.", "proceed", "go ahead", "ok", "Sure!", "yep"])
def test_a_yes(yes):
    assert talk("simple", yes)[0].step is Step.ACCEPTED


@pytest.mark.parametrize("no", ["n", "no", "No.", "cancel", "quit", "exit", "stop"])
def test_a_no(no):
    state, reply = talk("simple", no)
    assert state.step is Step.CANCELLED
    assert "Nothing was started" in text(reply)


@pytest.mark.parametrize("neither", ["", " ", "maybe", "why", "1", "yes and no", "yesterday", "\x00", "y" * 5000])
def test_everything_else_is_no_yes(neither):
    state, reply = talk("simple", neither)
    assert state == talk("simple")[0]
    assert isinstance(reply.blocks[-1], YesNo)


@pytest.mark.parametrize("turns", [["llama-70b"], ["llama-70b", "2"], ["custom"], ["simple", "trust"]])
def test_cancel_ends_it_at_any_point(turns):
    assert talk(*turns, "cancel")[0].step is Step.CANCELLED


def test_what_has_ended_stays_ended():
    for end in ("y", "n"):
        state, _ = talk("simple", end)
        assert advance(state, "simple", read)[0] == state


def test_a_choice_is_asked_for_alone_then_all_that_is_missing():
    state, reply = talk("llama-70b")
    assert asked(reply) == ["model"]
    assert boxes(reply) == ["DETECTED PARAMETERS"]
    state, reply = talk("llama-70b", "2")
    assert state.understanding.request.model == LLAMA_70B
    assert asked(reply) == ["images", "namespace"]
    assert "30-60 minutes" in text(reply)
    assert "feb04-llama70b-chatsweep-tp4" in text(reply)


@pytest.mark.parametrize("answer", ["2", "[2]", " 2. ", LLAMA_70B, LLAMA_70B.lower(), "llama 3.3 70b"])
def test_an_option_by_number_id_or_label(answer):
    assert talk("llama-70b", answer)[0].understanding.request.model == LLAMA_70B


def test_another_full_id_is_an_answer_too():
    assert talk("llama-70b", "org/Another-70B")[0].understanding.request.model == "org/Another-70B"


@pytest.mark.parametrize("answer", ["3", "0", "99", "", "dunno", "no", "yes"])
def test_a_bad_answer_changes_nothing_and_is_asked_for_again(answer):
    before, _ = talk("llama-70b")
    state, reply = talk("llama-70b", answer)
    assert state == before
    assert asked(reply) == ["model"]


def test_a_sentence_beside_the_question_is_kept_and_the_question_stays():
    state, reply = talk("llama-70b", "in mert")
    assert state.understanding.request.namespace == "mert"
    assert asked(reply) == ["model"]
    assert asked(talk("llama-70b", "in mert", "1")[1]) == ["images"]


def test_one_word_answers_what_it_can_be():
    state, reply = talk("llama-70b", "2", "mert")
    assert (state.understanding.request.namespace, asked(reply)) == ("mert", ["images"])
    state, reply = talk("llama-70b", "2", "ghcr.io/org/vllm:v1")
    assert (state.understanding.request.images.main, asked(reply)) == ("ghcr.io/org/vllm:v1", ["namespace"])
    state, reply = talk("half", "300")
    assert state.understanding.request.profile.output.mean == 300


def test_an_unusable_answer_is_asked_for_again_with_the_reason():
    state, reply = talk("llama-70b", "2", "Not_A_Namespace!")
    assert "namespace" in asked(reply)
    assert "is no namespace" in text(reply)
    assert state.settled.namespace is None


def test_the_engine_is_looked_at_before_the_last_box():
    state, reply = talk("llama-70b", "2", "the image", "in mert")
    assert state.step is Step.VERIFY
    assert boxes(reply) == ["PARAMETER MATCHING RESULTS", "vLLM CONTAINER CONFIGURATION"]
    for answer in ("n", "no", "looks good", "fine"):
        state, reply = talk("llama-70b", "2", "the image", "in mert", answer)
        assert state.step is Step.CONFIRM
        assert boxes(reply) == ["BLIS EXPERIMENT: feb04-llama70b-chatsweep-tp4"]
    for answer in ("y", "yes", ""):
        state, reply = talk("llama-70b", "2", "the image", "in mert", answer)
        assert state.step is Step.VERIFY
        assert "Say what to change" in text(reply)
    state, reply = talk("llama-70b", "2", "the image", "in mert", "trust")
    assert state.step is Step.CONFIRM
    assert "--trust-remote-code" in text(reply)


def test_a_change_at_the_last_box_is_shown_before_the_yes():
    state, reply = talk("simple", "trust")
    assert state.step is Step.VERIFY
    assert "--trust-remote-code" in text(reply)
    state, reply = talk("simple", "trust", "n")
    assert state.step is Step.CONFIRM
    assert talk("simple", "trust", "n", "y")[0].settled.engine_args == {"--trust-remote-code": True}


def test_a_doubt_is_asked_about_with_its_fix():
    state, reply = talk("summarize")
    assert state.step is Step.QUESTIONS
    assert asked(reply) == ["max_model_len"]
    assert talk("summarize", "1")[0].settled.limits["max_model_len"] == 9216
    assert talk("summarize", "8192")[0].understanding.request.max_model_len == 8192  # too little: it is asked again
    assert asked(talk("summarize", "8192")[1]) == ["max_model_len"]


def test_a_doubt_may_be_kept_and_is_shown_with_the_last_box():
    state, reply = talk("summarize", "2")
    assert state.step is Step.CONFIRM
    assert "9012 tokens" in text(reply)
    assert state.settled.limits["max_model_len"] == 4096
    assert talk("summarize", "2", "y")[0].step is Step.ACCEPTED


def test_a_workload_of_ones_own_is_shown_and_may_vary():
    """Section 3: the numbers with the plan's defaults, then the question about variation."""
    state, reply = talk("custom")
    assert state.step is Step.WORKLOAD
    lines = {
        line.label.strip(): line.value
        for block in reply.blocks
        if isinstance(block, Box)
        for section in block.sections
        for line in section.lines
    }
    assert (lines["Rate Type"], lines["Max Requests"], lines["Rate"]) == ("sweep", "50", "12")
    assert (lines["Prompt Tokens"], lines["Output Tokens"], lines["Prefix Tokens"]) == ("500", "100", "0")
    assert lines["Min/Max"] == "1 / 200"
    assert talk("custom", "n")[0].step is Step.CONFIRM
    for answer in ("y", ""):
        assert talk("custom", answer)[0].step is Step.WORKLOAD
    state, _ = talk("custom", "y", "stdev")
    assert state.step is Step.CONFIRM
    assert (state.settled.numbers.prompt_tokens_stdev, state.settled.numbers.output_tokens_stdev) == (100, 50)


def test_presets_are_shown_when_no_workload_was_named():
    _, reply = talk("llama-70b")
    table = next(block for block in reply.blocks if isinstance(block, Table))
    assert len(table.rows) == 8


def test_a_study_that_no_pipeline_runs_needs_no_namespace():
    state, reply = talk("tune")
    assert state.step is Step.CONFIRM
    assert boxes(reply) == ["STUDY (tune): feb04-llama7b-chatsweep"]
    for truth in ("maximize output_throughput", "concurrency 16", "160 requests", "max_num_batched_tokens"):
        assert truth in text(reply)


def test_nothing_in_a_first_sentence_is_no_request():
    for message in ("hello", "dunno"):
        state, reply = talk(message)
        assert state.step is Step.REQUEST
        assert "no request" in text(reply)
    assert talk("hello", "simple")[0].step is Step.CONFIRM


def test_an_id_that_exists_is_asked_about():
    known = facts(taken=("mine",))
    MEANINGS["mine"] = SIMPLE | {"experiment_id": "mine"}
    state, reply = talk("mine", known=known)
    assert asked(reply) == ["experiment_id"]
    assert talk("mine", "1", known=known)[0].settled.experiment_id == "mine-v2"
    assert talk("mine", "other", known=known)[0].settled.experiment_id == "other"
    assert pending(state)


def test_what_the_model_understood_is_marked():
    def by_model(message: str, before: Request | None) -> Understanding:
        del message, before
        asked = Request.model_validate(SIMPLE | {"engine_args": {"--seed": 1}})
        return Understanding(request=asked, by_model=("--seed", "model"))

    _, reply = advance(State(facts=facts()), "x", by_model)
    assert "NEW, understood by the model" in text(reply)


@pytest.mark.parametrize("word", ["y", "no", "ok"])
def test_a_yes_is_no_name(word):
    state, reply = talk("nowhere", word)
    assert (state.settled.namespace, asked(reply)) == (None, ["namespace"])


def test_a_server_that_runs_already_is_asked_for_its_address():
    assert asking.answer("estimate llama3-8b against my running endpoint")["missing"] == ["url"]
    told = asking.answer("estimate llama3-8b at http://127.0.0.1:8000/v1/completions, please")
    assert told["missing"] == []
    assert told["study"]["platform"] == {"name": "endpoint", "options": {"url": "http://127.0.0.1:8000"}}
