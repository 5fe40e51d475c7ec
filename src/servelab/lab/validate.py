"""Check a study beyond its form: against the catalog and the installed plug-ins."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from servelab.catalog.check import check_study
from servelab.catalog.study import load_study
from servelab.harnesses.base import harness
from servelab.platforms.base import platform
from servelab.spec.errors import DocumentError, Fault, ServelabError
from servelab.spec.plugins import load_plugin
from servelab.spec.study import Study


def require_valid(study: Study) -> tuple[str, ...]:
    """Check a study before anything is started; returns what is only strange.

    Raises:
        DocumentError: with one line per fault.
        NotFoundError: a plug-in it names is not installed.
        MeasureError: its harness cannot make one of its measurements.
    """
    with _about("engine"):
        load_plugin("servelab.engines", study.engine.name)
    with _about("sampler"):
        load_plugin("servelab.samplers", study.sampler.name)
    with _about("platform"):
        platform(study.platform.name, study.platform.options)
    with _about("harness"):
        told = harness(study.harness.name, study.harness.options).check(study)
    problems = check_study(study)
    fatal = tuple(Fault(str(problem), problem.path) for problem in problems if problem.fatal)
    if fatal:
        raise DocumentError(fatal, "Nothing was started.")
    return (*(str(problem) for problem in problems), *told)


@contextlib.contextmanager
def _about(part: str) -> Iterator[None]:
    """Say of an error which part of the document it is about."""
    try:
        yield
    except DocumentError as error:
        faults = tuple(dataclasses.replace(fault, path=(part, *fault.path)) for fault in error.faults)
        raise DocumentError(faults, error.remedy) from None
    except ServelabError as error:
        error.about = (part,)
        raise


@dataclasses.dataclass(frozen=True)
class Checked:
    """A document that was read and checked: the study it holds if it has no ``faults``, and what is only strange."""

    study: Study | None
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()
    remedy: str = ""

    def required(self) -> Study:
        """The study.

        Raises:
            DocumentError: the document has faults.
        """
        if self.study is None:
            raise DocumentError(self.faults, self.remedy)
        return self.study


def check_document(text: str, source: str = "study.yaml") -> Checked:
    """Read and check a document in full; what is wrong with it is returned, whatever it is."""
    try:
        study = load_study(text, source)
        return Checked(study, warnings=require_valid(study))
    except DocumentError as error:
        return Checked(None, error.faults, remedy=error.remedy)
    except ServelabError as error:
        return Checked(None, (fault_of(error),))


def fault_of(error: ServelabError) -> Fault:
    """An error as a fault of the part of the document that it is about."""
    place = f"{'.'.join(map(str, error.about))}: " if error.about else ""
    return Fault(f"{place}{error.message}. {error.remedy}".strip(), error.about)
