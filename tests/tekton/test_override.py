"""Rules that change Helm values: the grammar, and the same result as a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml

from servelab.tekton.scripts import override as module
from servelab.tekton.scripts.override import RuleError, override
from tests.tekton.test_goldens import DATA

VALUES = {
    "replicas": 1,
    "labels": {"a.b/c": "x"},
    "tags": ["one"],
    "decode": {
        "containers": [
            {"name": "vllm", "image": "v:1", "args": ["--len=1", "--rate", "1.0", "--eager"], "env": [{"name": "A"}]},
            {"name": "side", "port": 8080},
        ],
        "initContainers": [{"name": "deps", "image": "v:1"}],
    },
}
VLLM = 'decode.containers[name="vllm"]'


def changed(*rules):
    return override(VALUES, list(rules))


def container(*rules):
    return changed(*rules)["decode"]["containers"][0]


@pytest.mark.parametrize(
    ("rule", "path", "value"),
    [
        ("replicas=4", ("replicas",), 4),
        ("replicas=true", ("replicas",), True),
        ("replicas=True", ("replicas",), True),
        ("replicas=null", ("replicas",), None),
        ("replicas=1.5", ("replicas",), 1.5),
        ("replicas=", ("replicas",), ""),
        ('replicas="4"', ("replicas",), "4"),
        ("replicas='4'", ("replicas",), "4"),
        ("replicas=a=b", ("replicas",), "a=b"),
        ("replicas=NaN", ("replicas",), "NaN"),
        ('replicas={"a": [1]}', ("replicas",), {"a": [1]}),
        ("new.deep.field=x", ("new", "deep", "field"), "x"),
        ('labels."a.b/c"=y', ("labels", "a.b/c"), "y"),
        ("labels.'a.b/c'=y", ("labels", "a.b/c"), "y"),
        ("decode.initContainers[0].image=v:2", ("decode", "initContainers", 0, "image"), "v:2"),
        ("decode.initContainers[1].image=v:2", ("decode", "initContainers", 1, "image"), "v:2"),
        ("decode.containers[0].args[1]=--speed", ("decode", "containers", 0, "args", 1), "--speed"),
        ('decode.containers[name="side"].port=1', ("decode", "containers", 1, "port"), 1),
        ("decode.containers[port=8080].port=1", ("decode", "containers", 1, "port"), 1),
        ('decode.containers[name="new",kind="x"].port=1', ("decode", "containers", 2, "kind"), "x"),
        ('decode.containers[name="new" && kind="x"].port=1', ("decode", "containers", 2, "port"), 1),
        ('decode.containers[name="a.b=c]"].port=1', ("decode", "containers", 2, "name"), "a.b=c]"),
        ("tags=two", ("tags",), ["one", "two"]),
        ("tags=one", ("tags",), ["one"]),
        ("tags=[]", ("tags",), []),
        ("decode.command=run", ("decode", "command"), ["run"]),
    ],
)
def test_a_rule_sets(rule, path, value):
    found = changed(rule)
    for part in path:
        found = found[part]
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--len=2", ["--len=2", "--rate", "1.0", "--eager"]),
        ("--rate=2.0", ["--len=1", "--rate=2.0", "--eager"]),
        ("--eager", ["--len=1", "--rate", "1.0", "--eager"]),
        ("--new=1", ["--len=1", "--rate", "1.0", "--eager", "--new=1"]),
        ("--len", ["--len", "--rate", "1.0", "--eager"]),
        ('--json={"a": 1}', ["--len=1", "--rate", "1.0", "--eager", '--json={"a": 1}']),
    ],
)
def test_an_argument_replaces_the_one_with_its_flag(argument, expected):
    assert container(f"{VLLM}.args={argument}")["args"] == expected


def test_the_values_given_are_not_changed():
    before = json.dumps(VALUES)
    changed("replicas=9", f"{VLLM}.args=--len=9")
    assert json.dumps(VALUES) == before


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("replicas", "a rule is written as"),
        ("=1", "a rule is written as"),
        (".a=1", "a rule is written as"),
        ("a[=1", "a rule is written as"),
        ("a[x]=1", "`[x]` is neither a position nor a condition"),
        ("decode=1", "`decode` holds containers, initContainers; name one of them"),
        ("decode.containers=1", "`containers` is a list of objects; pick one of them"),
        ("decode.containers.image=1", "`decode.containers` is a list; pick an item"),
        ("decode.initContainers[5].image=1", "`decode.initContainers` has no item 5"),
        ("replicas.x=1", "`replicas` is 1 and has no fields"),
        ("labels[0].x=1", "`labels` has no item 0"),
        ('labels[name="x"].y=1', "`labels` is no list"),
        (f"{VLLM}=1", "the path ends in a condition"),
    ],
)
def test_rules_that_do_not_fit(rule, said):
    with pytest.raises(RuleError) as caught:
        changed(rule)
    assert said in str(caught.value)
    assert f"rule `{rule}`" in str(caught.value)


def alone(tmp_path, values, rules, **environment):
    """Run the file by itself, as the step does, without our package."""
    out = tmp_path / "out.json"
    env = {"VALUES": values, "OUT": str(out), "PATH": os.environ["PATH"], **environment}
    command = [sys.executable, "-I", module.__file__, *rules]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return json.loads(out.read_text()) if done.returncode == 0 else done.stderr


def test_the_program_gives_the_same(tmp_path):
    rules = ["decode.initContainers[0].image=v:2", f"{VLLM}.args=--len=2", 'labels."a.b/c"=y']
    assert alone(tmp_path, json.dumps(VALUES), rules) == changed(*rules)
    (tmp_path / "rules").write_text(rules[2])
    rest = {"RULES": f"\n{rules[1]}\n", "RULES_FILE": str(tmp_path / "rules")}
    assert alone(tmp_path, yaml.safe_dump(VALUES), rules[:1], **rest) == changed(*rules)


def test_the_program_says_what_is_wrong(tmp_path):
    assert alone(tmp_path, "{}", ["a"]).startswith("override: rule `a`:")
    assert alone(tmp_path, "[1]", ["a=1"]) == "override: the values are not a mapping\n"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")
def test_the_golden():
    folder = DATA / "golden-variants"
    values = yaml.safe_load((folder / "override-base.values.yaml").read_text())
    rules = (folder / "override-standard.rules.txt").read_text().splitlines()
    assert override(values, rules) == yaml.safe_load((folder / "override-standard.merged.yaml").read_text())
