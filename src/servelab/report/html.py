"""The report as one HTML file: no network, no script, light and dark."""

from __future__ import annotations

from io import StringIO
from typing import Any

from servelab.report.digest import Digest
from servelab.report.facts import study_facts
from servelab.report.offers import offers
from servelab.report.plots import all_plots
from servelab.report.recommend import Recommendation, recommend_from, untested
from servelab.report.rows import comparisons, gain_cells, gain_line, risk_line, trial_rows
from servelab.report.verdict import HEADLINES
from servelab.report.words import (
    listed,
    parameters_text,
    percent,
    value_text,
)
from servelab.spec.assess import goal_key
from servelab.spec.errors import ServelabError
from servelab.spec.metrics import format_metric


def report_html(found: Digest) -> str:
    """The whole report of a study as an HTML document."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("servelab.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "parameters": parameters_text,
        "value": value_text,
        "metric": lambda value, name: format_metric(name, value),
        "percent": percent,
        "numbers": lambda items: listed([str(item) for item in items]),
    }
    return environment.get_template("report.html.j2").render(**_context(found))


def _context(found: Digest) -> dict[str, Any]:
    headline, tone = HEADLINES[found.verdict.kind]
    advice = _advice(found)
    rows = trial_rows(found)
    return {
        "found": found,
        "study": found.study,
        "record": found.record,
        "verdict": found.verdict,
        "headline": headline,
        "tone": tone,
        "advice": advice,
        "forms": _form_texts(advice),
        "comparisons": comparisons(found),
        "gain_line": gain_line(found),
        "risk_line": risk_line(found),
        "standings": [(standing, gain_cells(found, standing)) for standing in found.verdict.standings],
        "goals": [goal_key(goal) for goal in found.goals],
        "changed": list(dict.fromkeys(name for row in rows for name in row.trial.parameters)),
        "searched": [row for row in rows if row.trial.kind != "verification"],
        "retested": [row for row in rows if row.trial.kind == "verification"],
        "plots": all_plots(found),
        "facts": study_facts(found),
        "untested": untested(found),
        "document": _document(found),
    }


def _advice(found: Digest) -> Recommendation | None:
    try:
        return recommend_from(found)
    except ServelabError:
        return None


def _form_texts(advice: Recommendation | None) -> dict[str, str]:
    """Title and text of the forms there are; the command is shown by itself."""
    found = offers(advice) if advice else ()
    return {offer.title: offer.text for offer in found if offer.text is not None and offer.form != "command"}


def _document(found: Digest) -> str:
    """The study's document, without what is default anyway."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = StringIO()
    yaml.dump(found.study.model_dump(mode="json", exclude_defaults=True), stream)
    return stream.getvalue()
