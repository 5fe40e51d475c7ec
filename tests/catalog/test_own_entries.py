"""Entries that users add to the catalog, as docs/catalog.md describes them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from servelab.catalog.files import KINDS
from servelab.catalog.workloads import Preset

ROOT = Path(__file__).parents[2]
EXAMPLES = dict(
    re.findall(r"^```yaml\n# (servelab\.d/\w+\.yaml)\n(.*?)^```", (ROOT / "docs/catalog.md").read_text(), re.M | re.S)
)


@pytest.fixture
def project(tmp_path):
    """A project with every example of the page."""
    for name, text in EXAMPLES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def asked(project: Path, sentence: str) -> dict:
    command = [sys.executable, "-m", "servelab", "ask", sentence, "--yes", "--json"]
    env = {**os.environ, "HOME": str(project), "XDG_CONFIG_HOME": str(project / "config")}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 2), done.stderr
    return json.loads(done.stdout)


def test_the_examples_are_read_by_the_command(project):
    found = asked(project, "helpdesk-8b with support tickets on house-gpu, --house-mode=brisk, namespace perf")
    assert (found["model"], found["workload"], found["accelerator"]) == (
        "acme/helpdesk-8b",
        "tickets",
        "house-gpu-64gb",
    )
    assert found["engine_args"] == {"--house-mode": "brisk"}
    profile = found["workload_profile"]
    assert (profile["prompt_tokens"], profile["prompt_tokens_max"], profile["output_tokens_stdev"]) == (900, 1800, 40)
    other = asked(project, "house-model, chatbot, namespace perf")
    assert other["model"] == "meta-llama/Llama-3.3-70B-Instruct"
    (asks,) = [one for one in asked(project, "helpdesk, chatbot")["ambiguous"] if one["parameter"] == "model"]
    assert "last year" in asks["question"]


def test_every_part_is_described():
    page = (ROOT / "docs/catalog.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}.yaml`" not in page] == []


def test_a_workload_needs_its_mean_lengths_alone():
    found = Preset.model_validate({"prompt": {"mean": 900}, "output": {"mean": 0.3}})
    assert (found.prompt.stdev, found.prompt.min, found.prompt.max, found.output.max) == (0, 1, 1800, 1)
    assert (found.prefix, found.requests, found.rate, found.rate_type, found.seed) == (0, 50, 12, "sweep", 42)
    with pytest.raises(ValueError, match=r"prompt\.mean"):
        Preset.model_validate({"prompt": {"mean": "many"}, "output": {"mean": 1}})


def test_every_page_that_a_message_names_exists():
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    named = {page for text in texts for page in re.findall(r"(?<![\w/])docs/[a-z-]+\.md", text)}
    assert len(named) > 10
    assert [page for page in sorted(named) if not (ROOT / page).is_file()] == []
