"""servelab convert, as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guides.test_fuzz import VALUES


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    path = tmp_path / "my-guide" / "values.yaml"
    path.parent.mkdir()
    path.write_text(VALUES)
    return path


def servelab(*words: str, answer: str = "", cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "servelab", "convert", *words]
    return subprocess.run(command, capture_output=True, text=True, input=answer, cwd=cwd, check=False)


def test_it_prints_and_asks(guide: Path, tmp_path: Path) -> None:
    done = servelab(str(guide), "varying", "decode_replicas", "from", "1", "to", "4", answer="no\n", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scenario, experiment = done.stdout.split("=== Generated Experiment File ===")
    assert scenario.startswith(
        "=== Generated Scenario File ===\nFile: scenarios/guides/my-guide.sh\n\n# MY GUIDE WELL LIT PATH"
    )
    assert "File: experiments/my-guide.yaml" in experiment
    assert experiment.rstrip().endswith("Would you like me to write these files? (yes/no)")
    assert "4 treatments" in done.stderr
    assert not (tmp_path / "scenarios").exists()


@pytest.mark.parametrize(("words", "answer"), [((), "yes\n"), (("--yes",), ""), (("--write",), "")])
def test_it_writes(words: tuple[str, ...], answer: str, guide: Path, tmp_path: Path) -> None:
    done = servelab(
        str(guide), "with", "inference-perf", "shared_prefix_synthetic", *words, answer=answer, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "scenarios/guides/my-guide.sh").read_text()
    assert "export LLMDBENCH_HARNESS_EXPERIMENT_PROFILE=shared_prefix_synthetic.yaml" in text
    assert ("=== Generated" in done.stdout) == ("--write" not in words)


def test_json_is_one_object_and_writes_nothing(guide: Path, tmp_path: Path) -> None:
    done = servelab(str(guide), "--json", "--format", "both", cwd=tmp_path)
    made = json.loads(done.stdout)
    assert [one["path"] for one in made["files"]] == [
        "scenarios/guides/my-guide.sh",
        "config/scenarios/guides/my-guide.yaml",
    ]
    assert not (tmp_path / "scenarios").exists()


def test_without_a_model_it_refuses_to_run(guide: Path, tmp_path: Path) -> None:
    guide.write_text("decode: {replicas: 1}\n")
    done = servelab(str(guide), "--write", cwd=tmp_path)
    assert done.returncode == 1
    assert "no model is named anywhere" in " ".join(done.stderr.split())
    script = tmp_path / "scenarios/guides/my-guide.sh"
    run = subprocess.run(
        ["env", "-i", "bash", "-c", f"source {script}; echo on"], capture_output=True, text=True, check=False
    )
    assert "this guide names no model" in run.stderr
    assert "on" not in run.stdout.split()
    given = subprocess.run(
        ["env", "-i", "MODEL=a/b", "bash", "-c", f"source {script}; echo on"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert given.stdout.split() == ["on"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("/nowhere/at-all",), "/nowhere/at-all: there is no such file"),
        (("values.yaml", "varying", "nothing_known", "from", "1", "to", "2"), "nothing that can vary is called"),
        (("values.yaml", "with", "locust"), "no harness 'locust'"),
    ],
)
def test_errors_are_a_sentence_and_a_remedy(words: tuple[str, ...], said: str, guide: Path) -> None:
    done = servelab(*words, cwd=guide.parent)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
