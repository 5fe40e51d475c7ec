"""What is said of a chart is true of what it draws. The reports are generated."""

from __future__ import annotations

from servelab.spec.report import ClientHealth
from servelab.spec.trial import Trial
from servelab.store.views import TrialPoint
from servelab.web.charts import LIGHT
from servelab.web.drawing import Drawing
from servelab.web.load_charts import load_charts
from servelab.web.study_charts import draw
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


def point(number: int, throughput: float, ttft: float) -> TrialPoint:
    outcome = {"output_throughput": throughput, "ttft_p95": ttft}
    return TrialPoint(number, "search", None, "complete", {}, outcome, throughput, True, "", 1.0)


def drawings(*points: TrialPoint) -> dict[str, Drawing]:
    return draw(Generated().study, points, LIGHT)


def legend(drawing: Drawing) -> set[str]:
    return {series["name"] for series in drawing.option["series"] if "name" in series}


def test_a_line_is_told_of_only_where_there_is_one() -> None:
    better_last = drawings(point(0, 900, 0.3), point(1, 1000, 0.2))
    assert "Line: the best so far of those that keep every SLO." in better_last["progress"].caption
    assert "best so far" in legend(better_last["progress"])
    assert "Pareto" not in better_last["trade"].caption
    assert "Pareto front" not in legend(better_last["trade"])
    front = drawings(point(0, 900, 0.2), point(1, 1000, 0.3))["trade"]
    assert "Line: the Pareto front" in front.caption
    assert "Pareto front" in legend(front)
    one = drawings(point(0, 900, 0.3))["progress"]
    assert "Line:" not in one.caption
    assert "best so far" not in legend(one)


def test_a_bound_beyond_the_points_may_be_in_view() -> None:
    """ECharts rounds an axis outwards: whether it reaches the bound is not known here."""
    far = drawings(point(0, 900, 0.2), point(1, 1000, 0.3))["trade"].caption
    assert "Dashed, where the axis reaches it: ttft_p95 <= 500 ms." in far
    within = drawings(point(0, 900, 0.2), point(1, 1000, 0.6))["trade"].caption
    assert "Dashed: ttft_p95 <= 500 ms." in within
