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
        "source /usr/local/gib/scripts/set_nccl_env.sh", 'export X="a b"', "RANK=$(( ${INDEX:-0} * 2 ))"
    ]  # fmt: skip
    values = {one.name: one.value for one in command.flags}
    assert values == {
        "--port": "8000",
        "--tensor-parallel-size": "2",
        "--kv-transfer-config": '{"a": "$(POD_IP)",\n     "b": 1}',
        "--lora-modules": "one=/a two=/b",
        "--trust-remote-code": None,
        "--max-model-len": "100 2>&1",
    }
    assert command.postamble == '| tee "/tmp/a b.log"\necho done'
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
