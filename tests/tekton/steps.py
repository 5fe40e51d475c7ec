"""Runs the steps of a Task on this machine: variables substituted as Tekton does, scripts by their interpreter.

What Tekton mounts at /workspace is a directory of the test's; images are not used.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from servelab.tekton import shipped


def find(kind: str, name: str) -> dict[str, Any]:
    """The spec of a shipped Task or StepAction."""
    every = [*shipped.definitions(), *shipped.objects("load-generator"), *shipped.objects("estimation")]
    (spec,) = (item["spec"] for item in every if item["kind"] == kind and item["metadata"]["name"] == name)
    return spec


class Run:
    """A Task in a directory: ``workspaces/NAME`` are its workspaces, ``results/NAME`` its results."""

    def __init__(self, directory: Path, task: str, params: dict[str, Any]) -> None:
        self.directory, self.spec = directory, find("Task", task)
        for place in ("shared", "results", "home"):
            (directory / place).mkdir(parents=True, exist_ok=True)
        self.variables: dict[str, Any] = _params(self.spec, params)
        self.variables |= {"$(context.taskRun.namespace)": "ns", "$(context.taskRun.name)": "run"}
        for workspace in self.spec.get("workspaces", ()):
            path = directory / "workspaces" / workspace["name"]
            path.mkdir(parents=True, exist_ok=True)
            self.variables |= {
                f"$(workspaces.{workspace['name']}.path)": str(path),
                f"$(workspaces.{workspace['name']}.claim)": f"{workspace['name']}-pvc",
            }
        for result in self.spec.get("results", ()):
            self.variables[f"$(results.{result['name']}.path)"] = str(directory / "results" / result["name"])

    def workspace(self, name: str) -> Path:
        """The directory of a workspace."""
        return self.directory / "workspaces" / name

    def result(self, name: str) -> str:
        """The value of a result."""
        return (self.directory / "results" / name).read_text()

    def all_steps(self, **environment: str) -> str:
        """Run every step; what they said. Fails the test when one fails."""
        said = ""
        for step in self.spec["steps"]:
            done = self.step(step["name"], **environment)
            assert done.returncode == 0, f"step {step['name']}: {done.stdout}{done.stderr}"
            said += done.stdout
        return said

    def step(self, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one step."""
        (step,) = (step for step in self.spec["steps"] if step["name"] == name)
        variables = self.variables
        if "ref" in step:
            action = find("StepAction", step["ref"]["name"])
            given = {param["name"]: _filled(param["value"], variables) for param in step.get("params", ())}
            step, variables = action, {**variables, **_params(action, given)}
        filled = {key: _filled(step.get(key, []), variables) for key in ("env", "args")}
        script = self._here(_filled(step["script"], variables))
        file = self.directory / "script"
        file.write_text(script)
        interpreter = sys.executable if script.startswith("#!/usr/bin/env python3") else "/bin/sh"
        # What comes from a secret that need not be there is not set.
        env = {one["name"]: self._here(str(one["value"])) for one in filled["env"] if "value" in one}
        base = {"PATH": os.environ["PATH"], "HOME": str(self.directory / "home")}
        return subprocess.run(
            [interpreter, str(file), *map(self._here, filled["args"])],
            env={**base, **env, **environment},
            cwd=_filled(step.get("workingDir", str(self.directory)), variables),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def _here(self, text: str) -> str:
        return text.replace("/workspace/", f"{self.directory / 'shared'}/")


def _params(spec: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for param in spec.get("params", ()):
        value = given.get(param["name"], param.get("default"))
        assert value is not None, f"parameter {param['name']} is not given"
        if isinstance(value, dict):
            found |= {f"$(params.{param['name']}.{key})": part for key, part in value.items()}
        else:
            found[f"$(params.{param['name']}{'[*]' if isinstance(value, list) else ''})"] = value
    return found


def _filled(node: Any, variables: dict[str, Any]) -> Any:
    if isinstance(node, list):
        made: list[Any] = []
        for item in node:
            whole = variables.get(item) if isinstance(item, str) else None
            made += whole if isinstance(whole, list) else [_filled(item, variables)]
        return made
    if isinstance(node, dict):
        return {key: _filled(value, variables) for key, value in node.items()}
    if isinstance(node, str):
        if isinstance(variables.get(node), list):
            return variables[node]
        for name, value in variables.items():
            if isinstance(value, str):
                node = node.replace(name, value)
    return node
