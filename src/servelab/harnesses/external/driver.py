"""What all external harnesses share: find the program, run it, read what it left, make a Report."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from servelab.harnesses.base import Job, Progress
from servelab.harnesses.external.abilities import Abilities, levels
from servelab.harnesses.external.environments import Installed, require
from servelab.harnesses.external.measured import Measured, report
from servelab.harnesses.external.recipes import recipe
from servelab.harnesses.external.running import last_words, run
from servelab.harnesses.provenance import provenance
from servelab.harnesses.tokenizer import local_tokenizer, tokenizer_of
from servelab.spec.base import Seconds, Spec
from servelab.spec.deployment import Deployment
from servelab.spec.errors import MeasureError
from servelab.spec.load import LoadPoint
from servelab.spec.options import read_options
from servelab.spec.report import Report
from servelab.spec.study import Study

LOG = "harness.log"


class ExternalOptions(Spec):
    """Options of every external harness."""

    tokenizer: str | None = Field(
        default=None, description="directory or Hugging Face id (looked up offline); default: the model's"
    )
    request_timeout: Annotated[Seconds, Field(gt=0)] = 600.0


@dataclass(frozen=True)
class Plan:
    """How a measurement is put to a harness: arguments, variables, and what it cannot be told."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class External(ABC):
    """A harness that is a program of its own."""

    name: ClassVar[str]
    abilities: ClassVar[Abilities]

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = read_options(ExternalOptions, options, self.name)

    def check(self, study: Study) -> tuple[str, ...]:
        """See that it can be told every load, and is installed with a tokenizer; returns what it will do otherwise.

        Raises:
            MeasureError: it is not, or cannot.
        """
        found = [warning for load in levels(self.name, study) for warning in self._rehearsal(study, load)]
        found += _version_warning(require(recipe(self.name)))
        local_tokenizer(self._options.tokenizer or tokenizer_of(study.model), self.name)
        return tuple(dict.fromkeys(found))

    def _rehearsal(self, study: Study, load: LoadPoint) -> tuple[str, ...]:
        server = Deployment(url="http://127.0.0.1", model=study.model.name, engine=study.engine.name)
        with tempfile.TemporaryDirectory() as directory:
            job = Job(server, study.workload, load, 0, Path(directory), max_concurrency=study.load.max_concurrency)
            return self.plan(job, self._options.tokenizer or "tokenizer").warnings

    def plan(self, job: Job, tokenizer: str) -> Plan:
        """How it is put to the harness; files that it needs are written to ``job.directory``.

        Raises:
            MeasureError: the workload or load cannot be expressed.
        """
        self.abilities.check(self.name, job.workload, job.load)
        plan = self.express(job, tokenizer)
        if self.abilities.timeout or "request_timeout" not in self._options.model_fields_set:
            return plan
        dropped = f"{self.name} could not be told to give requests up after {self._options.request_timeout:g} s"
        return dataclasses.replace(plan, warnings=(*plan.warnings, dropped))

    @abstractmethod
    def express(self, job: Job, tokenizer: str) -> Plan:
        """The same, of what the abilities allow.

        Raises:
            MeasureError: a part of it cannot be expressed.
        """

    @abstractmethod
    def measured(self, job: Job) -> Measured:
        """Read what the program left in ``job.directory``.

        Raises:
            OSError, ValueError, LookupError, TypeError, AttributeError: it left nothing, or not what it should.
        """

    @abstractmethod
    def share(self, job: Job, said: str) -> float | None:
        """How much of the measurement is done, 0 to 1, out of new output; None where it does not say."""

    async def measure(self, job: Job, progress: Callable[[Progress], None]) -> Report:
        """Measure with the harness's own program; cancellation ends it and all that it started.

        Raises:
            MeasureError: it is not installed, cannot do what is asked, or fails.
        """
        installed = await asyncio.to_thread(require, recipe(self.name))
        plan = self.plan(job, local_tokenizer(self._options.tokenizer or job.tokenizer, self.name))
        command = (str(installed.program), *plan.arguments)
        started = datetime.now(UTC)

        done = -1.0

        def told(said: str) -> None:
            nonlocal done
            share = self.share(job, said)
            if share is not None and share > done:
                done = share
                progress(Progress(done=min(1.0, share), total=1.0))

        log = job.directory / LOG
        code = await run(command, plan.environment, log, job.cpus, told)
        try:
            found = self.measured(job)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise MeasureError(
                f"{self.name} left no result (exit code {code}): {last_words(log) or error}", f"Its log is {log}."
            ) from error
        warnings = (*plan.warnings, *_version_warning(installed))
        found = dataclasses.replace(
            found,
            load=job.load,
            workload=job.workload,
            max_concurrency=job.max_concurrency,
            warnings=(*found.warnings, *warnings),
        )
        asked = (installed.program.name, *plan.arguments)
        return report(found, provenance(job, self.name, installed.version, started, asked), job.request_slo)


def _version_warning(installed: Installed) -> tuple[str, ...]:
    wanted = installed.recipe.version
    if installed.version.partition("+")[0] == wanted:  # a build for CPUs says so after a plus
        return ()
    return (f"{installed.recipe.name} {installed.version} was found on PATH; servelab is tested with {wanted}",)
