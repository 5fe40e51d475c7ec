"""What is said of a chart is true of what it draws. The reports are generated."""

from __future__ import annotations

from servelab.spec.report import ClientHealth
from servelab.spec.trial import Trial
from servelab.web.charts import LIGHT
from servelab.web.drawing import Drawing
from servelab.web.load_charts import load_charts
from tests.report.conftest import Generated, study_document

SLOW = ClientHealth(verdict="saturated", reasons=("event loop lag 80 ms",))


def curves(*trials: Trial) -> Drawing:
    study = Generated(document=study_document(objectives=[], constraints=[], space=None, treatments=[{}])).study
    return load_charts(study, trials, LIGHT)["output_throughput"]


def test_a_doubtful_measurement_is_no_ordinary_point_of_a_curve() -> None:
    made = Generated(document=study_document(load={"concurrency": [1, 16], "requests": 200}))
    trial = made.add({})
    first = trial.measurements[0].report.model_copy(update={"client": SLOW})
    measured = (trial.measurements[0].model_copy(update={"report": first}), trial.measurements[1])
    drawn = curves(trial.model_copy(update={"measurements": measured}))
    line, doubt = drawn.option["series"]
    assert [point.get("symbol") for point in line["data"]] == ["none", None]
    assert (doubt["name"], doubt["symbol"]) == ("in doubt", "diamond")
    ((level, value, number, said),) = doubt["data"]
    assert [level, value] == line["data"][0]["value"]
    assert number == 0
    assert "event loop lag 80 ms" in said
    assert "in doubt" in drawn.caption


def test_without_doubt_there_is_no_word_of_it() -> None:
    drawn = curves(Generated().add({}))
    assert len(drawn.option["series"]) == 1
    assert "doubt" not in drawn.caption
