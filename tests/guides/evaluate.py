"""What a shell makes of a scenario: it is really sourced."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from servelab.catalog.guides import PREFIX, scenarios
from servelab.guides.shell import commands

SCRIPT = """
set -a
source {file} || exit 9
for name in $(compgen -v {prefix}); do printf '%s=%s\\0' $name "${{!name}}"; done
"""


@dataclass(frozen=True)
class Evaluated:
    """The variables of a scenario, without their prefix, and the files they name."""

    variables: dict[str, str]
    files: dict[str, str]

    def value(self, name: str) -> str | None:
        """A variable's value: its own, or env.sh's."""
        return self.variables.get(name, scenarios().default(name, self.variables))

    def yaml(self, name: str):
        """What a variable's file says."""
        return yaml.safe_load(self.files[name]) if name in self.files else None

    def arguments(self, role: str) -> str:
        """The command of a stage, with placeholders replaced as llm-d-benchmark replaces them."""
        text = self.files.get(f"VLLM_MODELSERVICE_{role}_EXTRA_ARGS", "")
        known = {**self.variables, "DEPLOY_CURRENT_MODEL": self.value("DEPLOY_MODEL_LIST") or ""}

        def replaced(found: re.Match[str]) -> str:
            return known.get(found[1], scenarios().default(found[1], self.variables) or "")

        return re.sub(rf"REPLACE_ENV_{PREFIX}(\w+)", replaced, text)

    def flags(self, role: str) -> dict[str, str | bool]:
        """The flags of vLLM in a stage's command."""
        return flags_of(self.arguments(role))


def flags_of(script: str) -> dict[str, str | bool]:
    """The flags of vLLM in a script; none where it does not start it."""
    calls = [one for one in commands(script) if [word.value for word in one.words[:2]] == ["vllm", "serve"]]
    if not calls:
        return {}
    found: dict[str, str | bool] = {}
    last = ""
    for word in calls[0].words[3:]:
        if re.match(r"--?[A-Za-z]", word.value):
            name, sign, value = word.value.partition("=")
            last = name.replace("_", "-")
            found[last] = value if sign else True
        elif last:
            found[last] = word.value if found[last] is True else f"{found[last]} {word.value}"
    return found


def evaluate(text: str, directory: Path) -> Evaluated:
    """Source a scenario in an empty environment; it must say nothing and succeed."""
    file = directory / "scenario.sh"
    file.write_text(text)
    script = SCRIPT.format(file=file, prefix=PREFIX)
    done = subprocess.run(
        ["env", "-i", "PATH=/usr/bin:/bin", f"TMPDIR={directory}", "bash", "-c", script],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b"", done.stderr.decode()
    pairs = [entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry]
    variables = {name.removeprefix(PREFIX): value for name, value in pairs}
    files = {
        name: Path(value).read_text() for name, value in variables.items() if value.startswith(f"{directory}/tmp.")
    }
    return Evaluated(variables, files)
