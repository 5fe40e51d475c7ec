"""Command lines of vLLM, in scripts and in lists."""

from __future__ import annotations

import pytest

from servelab.guides.command import read_command
from servelab.guides.parse import parse_one
from servelab.guides.shell import commands, unquoted

SCRIPT = r"""
args:
- |-
  # start-up
  source /usr/local/gib/scripts/set_nccl_env.sh
  export X="a b"; RANK=$(( ${INDEX:-0} * 2 ))
  exec vllm serve \
    org/model \
    --port 8000 \
    -tp 2 \
    --kv_transfer_config '{"a": "$(POD_IP)",
       "b": 1}' \
    --lora-modules one=/a two=/b \
    --trust-remote-code --max-model-len=100 2>&1 | tee "/tmp/a b.log"
  echo done
"""


def test_a_script() -> None:
    node = parse_one(SCRIPT, "f.yaml")
    command = read_command(None, node.get("args"))
    assert command.model == "org/model"
    assert command.preamble.splitlines() == [
        "source /usr/local/gib/scripts/set_nccl_env.sh",
        'export X="a b"; RANK=$(( ${INDEX:-0} * 2 ))',
    ]
    values = {one.name: one.value for one in command.flags}
    assert values == {
        "--port": "8000",
        "--tensor-parallel-size": "2",
        "--kv-transfer-config": '{"a": "$(POD_IP)",\n     "b": 1}',
        "--lora-modules": "one=/a two=/b",
        "--trust-remote-code": None,
        "--max-model-len": "100",
    }
    assert command.postamble == '2>&1 | tee "/tmp/a b.log"\necho done'
    port = command.flag("--port")
    assert port is not None
    assert str(port.span) == "f.yaml#L9-L9"


@pytest.mark.parametrize(
    "text",
    [
        "args: ['--model', 'm', '--port=1']",
        "command: [vllm, serve]\nargs: [m, --port, '1']",
        "command: [python3, -m, vllm.entrypoints.openai.api_server]\nargs: [--model, m, --port, '1']",
        "command: [/bin/sh, -c]\nargs: ['vllm serve m --port 1']",
        "command: ['/bin/bash', '-c', 'exec vllm serve m --port=1']",
        "args: ['serve', 'm', '--port', '1']",
    ],
)
def test_every_way_to_call_it(text: str) -> None:
    node = parse_one(text, "f")
    command = read_command(node.get("command"), node.get("args"))
    model = command.flag("--model")
    port = command.flag("--port")
    assert (command.model or (model and model.value)) == "m"
    assert port is not None
    assert port.value == "1"


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("'a b'", "a b"),
        ('"a\\"b"', 'a"b'),
        ("a\\ b", "a b"),
        ("'it'\\''s'", "it's"),
        ("$X", "$X"),
        ('"$X y"', "$X y"),
        ("''", ""),
    ],
)
def test_quotes(raw: str, value: str) -> None:
    assert unquoted(raw) == value


def test_commands_end_where_a_shell_ends_them() -> None:
    script = "a 'x;y' && b \"$(c | d)\" # not\ne ${F:-g h} \\\n  i\n"
    assert [[word.raw for word in one.words] for one in commands(script)] == [
        ["a", "'x;y'"], ["b", '"$(c | d)"'], ["e", "${F:-g h}", "i"]
    ]  # fmt: skip


SURROUNDED = r"""
command: [/bin/bash, -c]
args:
- |
  # start-up
  cat <<'X' > file
  vllm serve "never
  X
  mkdir -p a && cd a | true
  if [ -n "$A" ]; then
    FOO=1 exec numactl -N 0 vllm serve "$MODEL" --a=-1 --b '' --c -1 --c 2 > log 2>&1 &
    wait
  fi
"""


def test_the_shell_around_it_stays_as_it_is() -> None:
    node = parse_one(SURROUNDED, "f.yaml")
    command = read_command(node.get("command"), node.get("args"))
    assert command.preamble == (
        "cat <<'X' > file\nvllm serve \"never\nX\nmkdir -p a && cd a | true\n"
        'if [ -n "$A" ]; then\n  FOO=1 exec numactl -N 0 '
    )
    assert command.model == "$MODEL"
    assert [(one.name, one.value) for one in command.flags] == [
        ("--a", "-1"), ("--b", ""), ("--c", "-1"), ("--c", "2")
    ]  # fmt: skip
    assert command.postamble == "> log 2>&1 &\n  wait\nfi"
    assert [(span.first, span.last) for span in command.spans] == [(6, 13)]


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("command: [sh, -c]\nargs: ['echo \"vllm serve\"; sleep 1']", 'echo "vllm serve"; sleep 1'),
        (
            "command: [python3, -m, sglang.launch_server]\nargs: [--model, 'a b']",
            "python3 -m sglang.launch_server --model 'a b'",
        ),
        ("command: serve-all", "serve-all"),
    ],
)
def test_what_starts_no_vllm_is_copied(text: str, unread: str) -> None:
    node = parse_one(text, "f.yaml")
    command = read_command(node.get("command"), node.get("args"))
    assert (command.unread, command.flags) == (unread, ())


@pytest.mark.parametrize(
    "text",
    ["args: --a 1 --b", "args: [--a 1, --b]", "args: [--a, '1', --b]", "args: [null, --a, 1, --b]"],
)
def test_arguments_in_one_word(text: str) -> None:
    command = read_command(None, parse_one(text, "f.yaml").get("args"))
    assert [(one.written, one.value) for one in command.flags] == [("--a", "1"), ("--b", None)]


@pytest.mark.parametrize(
    ("args", "env", "model"),
    [
        ('vllm serve "$MODEL"', "[{name: MODEL, value: a/b}]", "a/b"),
        ("vllm serve ${MODEL:-a/b}", "[]", "a/b"),
        ("M=a/b\n  vllm serve $M", "[]", "a/b"),
        ("vllm serve --model $(MODEL)", "[{name: MODEL, value: a/b}]", "a/b"),
        ("vllm serve /data/x --served-model-name a/b", "[]", "a/b"),
        ("vllm serve $MODEL", "[{name: MODEL, valueFrom: {secretKeyRef: {name: s, key: k}}}]", ""),
    ],
)
def test_the_model_that_a_command_names(args: str, env: str, model: str) -> None:
    from servelab.guides.config import GuideConfig
    from servelab.guides.helm import with_values

    text = f"decode:\n containers:\n - command: [sh, -c]\n   env: {env}\n   args:\n   - |\n    {args}"
    config = with_values(GuideConfig("x", "x", ""), parse_one(text.replace("\n  vllm", "\n    vllm"), "f.yaml"))
    assert config.model_id == model
