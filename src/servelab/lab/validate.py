"""Check a study beyond its form: against the catalog and the installed plug-ins."""

from __future__ import annotations

from servelab.catalog.check import check_study
from servelab.harnesses.base import harness
from servelab.platforms.base import platform
from servelab.spec.errors import DocumentError
from servelab.spec.plugins import load_plugin
from servelab.spec.study import Study


def require_valid(study: Study) -> tuple[str, ...]:
    """Check a study before anything is started; returns what is only strange.

    Raises:
        DocumentError: with one line per fault.
        NotFoundError: a plug-in it names is not installed.
        MeasureError: its harness cannot make one of its measurements.
    """
    load_plugin("servelab.engines", study.engine.name)
    load_plugin("servelab.samplers", study.sampler.name)
    platform(study.platform.name, study.platform.options)
    told = harness(study.harness.name, study.harness.options).check(study)
    problems = check_study(study)
    fatal = tuple(str(problem) for problem in problems if problem.fatal)
    if fatal:
        raise DocumentError(fatal, "Nothing was started.")
    return (*(str(problem) for problem in problems), *told)
