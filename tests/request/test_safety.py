"""No request, however hostile, reaches a shell, a path outside of the work directory, or a template."""

from __future__ import annotations

import ast
import contextlib
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as any_of
from hypothesis import strategies as st
from rich.console import Console
from ruamel.yaml import YAML

import servelab.request
from servelab.cli.replies import print_reply
from servelab.request import safe
from servelab.request.contract import contract
from servelab.request.dialog import advance, heard
from servelab.request.reply import Ask, Box, Line, Reply, Section, Table, Text, YesNo
from servelab.request.said import Option, Question, Request, Understanding
from servelab.request.settle import settle
from servelab.request.state import State
from servelab.request.understand import understand
from servelab.request.workdir import write_experiment
from servelab.spec.base import check_label
from servelab.spec.errors import ServelabError
from tests.request.given import LLAMA_7B, facts

HOSTILE = [
    "../../etc/passwd",
    "..",
    "/etc/cron.d/x",
    "a/../../b",
    "$(touch /tmp/owned)",
    "`id`",
    "x; rm -rf ~",
    "x && reboot",
    "x | sh",
    "{{ ''.__class__.__mro__ }}",
    "{% for x in range(9) %}",
    "$(params.namespace)",
    "${HOME}",
    "x\nargs: [--evil]",
    "x\r\nHost: evil",
    "\x00",
    "\x1b[2J",
    "!!python/object/apply:os.system [id]",
    "*anchor",
    "&anchor",
    "[bold red]markup[/]",
    "-rf",
    "--root=/",
    "ﬁle",
    "аdmin",  # noqa: RUF001 - a Cyrillic letter
    "a" * 500,
    "",
    " ",
]
FIELDS = ("model", "namespace", "experiment_id", "workload", "engine", "platform", "accelerator")
ANYTHING = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=80))
ROOM = Path(servelab.request.__file__).parent


def everything_safe(directory: Path, root: Path) -> None:
    """All that was written lies in its directory, is valid YAML, and holds nothing that something else would run."""
    assert directory.parent == root
    assert check_label(directory.name)
    for path in root.rglob("*"):
        assert path.resolve().is_relative_to(root.resolve())
    values = YAML(typ="safe").load(directory / "values.yaml")
    container = values["stack"]["model"]["helmValues"]["decode"]["containers"][0]
    for argument in container.get("args", []):
        assert argument.startswith("--")
        assert not {"$", "`", ";", "|", "&", "<", ">", "\n", "\\"} & set(argument)
        assert "{{" not in argument
        assert "{%" not in argument
    assert safe.image_fault(container["image"]) is None
    run = YAML(typ="safe").load(directory / "pipelinerun.yaml")
    params = {param["name"]: param["value"] for param in run["spec"]["params"]}
    assert check_label(params["experimentId"])
    assert safe.namespace_fault(params["namespace"]) is None
    assert safe.model_fault(params["model"]) is None


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@any_of(
    said=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANYTHING)),
    image=st.none() | ANYTHING,
    arguments=st.dictionaries(ANYTHING | st.just("--dtype"), ANYTHING | st.integers() | st.booleans(), max_size=3),
    sweep=st.dictionaries(ANYTHING | st.just("--seed"), st.tuples(ANYTHING), max_size=1),
)
def test_whatever_a_request_holds_is_written_safely_or_asked_about(tmp_path_factory, said, image, arguments, sweep):
    asked = Request(
        **{"model": LLAMA_7B, "namespace": "mert"} | said,
        images={"main": image},
        engine_args=arguments,
        sweep=sweep,
    )
    found = settle(Understanding(request=asked), facts())
    root = tmp_path_factory.mktemp("root")
    try:
        directory = write_experiment(found, facts(), root)
    except ServelabError:
        assert list(root.iterdir()) == []
        return
    if found.pipeline:
        everything_safe(directory, root)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_id_is_written_safely_with_a_note(tmp_path, text):
    found = settle(Understanding(request=Request(model=LLAMA_7B, namespace="mert", experiment_id=text)), facts())
    assert found.experiment_id is not None
    assert check_label(found.experiment_id)
    if text and text != found.experiment_id:
        assert any("experiment id" in warning for warning in found.warnings)
    everything_safe(write_experiment(found, facts(), tmp_path), tmp_path)


@pytest.mark.parametrize("text", [text for text in HOSTILE if text.strip()])
@pytest.mark.parametrize("field", ["model", "namespace", "workload"])
def test_a_hostile_name_is_asked_for_again(field, text):
    asked = Request(**{"model": LLAMA_7B, "namespace": "mert"} | {field: text})
    found = settle(Understanding(request=asked), facts())
    checks = {"model": safe.model_fault, "namespace": safe.namespace_fault, "workload": lambda name: "unknown"}
    if checks[field](text) is None:
        assert getattr(found, field) == text
    else:
        assert field in {question.parameter for question in found.questions}
        assert getattr(found, field) != text


@pytest.mark.parametrize("value", ["a{{b}}", "$(params.x)", "a`b`", "x;y", "a\nb", "a|b", "{%x%}", "a\\b", "a&b", "<a"])
def test_no_argument_is_a_template_or_a_command(value):
    assert safe.argument_fault("--served-model-name", value)


@pytest.mark.parametrize(
    "value", ['{"method": "ngram", "num_speculative_tokens": 3}', "a/b:c@d", "[1,2]", "50%", -1, 0.5]
)
def test_what_engines_take_passes(value):
    assert safe.argument_fault("--speculative-config", value) is None


@settings(max_examples=150)
@any_of(st.lists(ANYTHING | st.sampled_from(["1", "y", "n", "keep", "mert", "llama3-8b chatsweep ns a"]), max_size=6))
def test_no_sequence_of_messages_breaks_the_dialog(messages):
    state = State(facts=facts())
    for message in messages:
        state, reply = advance(state, message, understand)
        assert State.model_validate_json(state.model_dump_json()) == state
        assert Reply.model_validate_json(reply.model_dump_json()) == reply
    with contextlib.suppress(ServelabError):
        contract(state.settled, state.facts, state.understanding)


@any_of(ANYTHING)
def test_nothing_that_is_shown_acts_on_the_terminal(text):
    option = Option(value=f"a/{text}", label=text, notes=(text,))
    asked = Ask(questions=(Question(parameter="model", kind="ambiguous", text=text, options=(option,)),))
    box = Box(title=text, sections=(Section(title=text, lines=(Line(label=text, value=text, note=text),)),))
    table = Table(title=text, columns=("a",), rows=((text,),))
    written = StringIO()
    console = Console(file=written, width=100, force_terminal=False)
    print_reply(console, Reply(blocks=(Text(text=text), table, box, asked, YesNo(text=text, hints=(text,)))))
    assert all(char.isprintable() or char == "\n" for char in written.getvalue())


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@any_of(
    hostile=ANYTHING, place=st.sampled_from(["id {}", "namespace {}", "image {}", "--dtype {}", "{} --seed {}", "{}"])
)
def test_no_sentence_gets_through(tmp_path_factory, hostile, place):
    sentence = f"run chatsweep with llama2-7b in namespace mert, {place.format(hostile, hostile)}"
    state = heard(State(facts=facts()), sentence, understand)
    root = tmp_path_factory.mktemp("root")
    try:
        directory = write_experiment(state.settled, state.facts, root)
    except ServelabError:
        assert list(root.iterdir()) == []
        return
    if state.settled.pipeline:
        everything_safe(directory, root)


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda path: path.stem)
def test_the_room_starts_no_process_and_evaluates_nothing(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }
    assert not imported & {"subprocess", "pty", "jinja2", "pickle", "marshal", "ctypes"}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
