"""Environments of harnesses: made once, made anew after a kill, refused with a reason."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from servelab.harnesses.external.environments import MARKER, environment_directory, find, install, require
from servelab.harnesses.external.interpreters import interpreters
from servelab.harnesses.external.recipes import RECIPES, Recipe
from servelab.spec.errors import MeasureError, NotFoundError, ServelabError

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
TINY = Recipe("tiny", "tabulate", "0.9.0", "tabulate", (HERE,), megabytes=20)
"""A small package with a program: everything of an install but the size."""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVELAB_CACHE", str(tmp_path))
    return tmp_path


def test_an_install_that_was_killed_is_begun_anew(cache):
    code = (
        "import time; from servelab.harnesses.external.environments import install;"
        "from tests.harnesses.test_environments import TINY;"
        "install(TINY, lambda told: time.sleep(600 if told.startswith('package') else 0))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)  # halts at its first package
    directory = environment_directory(TINY)
    end = time.monotonic() + 200
    while not (directory / "constraints.txt").exists() and time.monotonic() < end:
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert directory.exists()
    assert find(TINY) is None
    said: list[str] = []
    made = install(TINY, said.append)
    assert "removing an installation that was interrupted" in said
    assert (directory / MARKER).is_file()
    done = subprocess.run([made.program, "--help"], capture_output=True, text=True, check=True)
    assert "tabulate" in done.stdout.lower()
    found = find(TINY)
    assert found is not None
    assert (found.version, found.own) == ("0.9.0", True)
    said.clear()
    install(TINY, said.append)
    assert said == []


def test_two_installs_at_once_make_one_environment(cache):
    said: list[list[str]] = [[], []]
    threads = [threading.Thread(target=install, args=(TINY, said[i].append)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(any(line.startswith("making") for line in lines) for lines in said) == 1
    assert find(TINY) is not None


def test_a_program_on_path_is_used_and_its_version_told(cache, tmp_path, monkeypatch):
    made = install(TINY)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(environment_directory(TINY), elsewhere, symlinks=True)
    shutil.rmtree(environment_directory(TINY))
    monkeypatch.setenv("PATH", f"{elsewhere / 'bin'}:{os.environ['PATH']}")
    found = find(TINY)
    assert found is not None
    assert not found.own
    assert found.version == made.version
    assert found.program == elsewhere / "bin" / "tabulate"


def test_a_python_that_is_missing_is_named(cache):
    recipe = Recipe("tiny", "tabulate", "0.9.0", "tabulate", ("3.99", "3.98"), megabytes=20)
    with pytest.raises(ServelabError, match=r"runs on Python 3\.99 or 3\.98"):
        install(recipe)
    assert find(recipe) is None


def test_pythons_that_do_not_run_are_passed_over(tmp_path, monkeypatch):
    shim = tmp_path / f"python{HERE}"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = list(interpreters((HERE,)))
    assert found
    assert shim not in found


def test_what_pip_cannot_find_is_told_in_its_words(cache):
    recipe = Recipe("tiny", "tabulate", "0.0.0.999", "tabulate", (HERE,), megabytes=20)
    with pytest.raises(ServelabError, match="pip could not install tabulate"):
        install(recipe)
    assert find(recipe) is None


def test_a_disk_that_is_too_small_is_told_before_anything_is_downloaded(cache):
    with pytest.raises(ServelabError, match="MB are free"):
        install(Recipe("tiny", "tabulate", "0.9.0", "tabulate", (HERE,), megabytes=10**9))


@pytest.mark.parametrize("name", ["guidellm", "inference-perf", "aiperf"])
def test_what_is_not_installed_says_how_to_install_it(cache, monkeypatch, name):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MeasureError) as caught:
        require(RECIPES[name])
    assert f"servelab harness install {name}" in caught.value.remedy


def test_a_part_of_another_product_is_not_installed_for_its_sake(cache):
    with pytest.raises(ServelabError, match="part of vLLM"):
        install(RECIPES["vllm-bench"])


def test_unknown_names_are_refused_with_the_known_ones():
    from servelab.harnesses.external.recipes import recipe

    with pytest.raises(NotFoundError) as caught:
        recipe("guidelm")
    assert "guidellm" in caught.value.remedy
