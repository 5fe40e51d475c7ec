"""The environment of an engine: ours without secrets, and what the study adds."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from servelab.spec.deployment import Launch
from servelab.spec.errors import DeployError

AMD = "amd-"
"""How the ids of AMD's devices begin, before their index; NVIDIA's are UUIDs."""

_SECRET = re.compile(
    r"TOKEN(?!IZER)|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL|_KEY$|SERVELAB_STORE|DATABASE_URL|DSN", re.IGNORECASE
)


def engine_environment(launch: Launch) -> dict[str, str]:
    """Our environment less what looks like a secret, then the launch's variables, those it names, and its devices.

    Raises:
        DeployError: a variable that the study names is not set.
    """
    environment = {name: value for name, value in os.environ.items() if not _SECRET.search(name)}
    environment |= passed_on(launch)
    if launch.devices:
        environment |= visible(launch.devices)
    return environment


def visible(devices: Sequence[str]) -> dict[str, str]:
    """The variable in which the devices' runtime reads which of them a process may use."""
    if devices[0].startswith(AMD):
        return {"ROCR_VISIBLE_DEVICES": ",".join(device.removeprefix(AMD) for device in devices)}
    return {"CUDA_VISIBLE_DEVICES": ",".join(devices)}


def passed_on(launch: Launch) -> dict[str, str]:
    """The launch's own variables, and those of ours that it names.

    Raises:
        DeployError: a variable that the study names is not set.
    """
    environment = dict(launch.environment)
    for name in launch.environment_from:
        if name not in os.environ:
            raise DeployError(f"the study passes on {name}, which is not set", f"Set it: export {name}=...")
        environment[name] = os.environ[name]
    return environment
