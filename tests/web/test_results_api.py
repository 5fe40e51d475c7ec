"""What a study says, over REST: the same as the command line, and safe to open."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import pytest

from servelab.report.digest import digest
from servelab.report.exports import report_json, trials_csv
from servelab.report.summary import summary_data
from tests.web.finished import COLLECTED, HELD, TOO_LARGE, TUNED, create, finish
from tests.web.served import Served


@pytest.fixture(scope="module")
def studies(served: Served) -> dict[str, str]:
    names = {"tuned": TUNED, "collected": COLLECTED, "too-large": TOO_LARGE}
    ids = {name: create(served, document) for name, document in names.items()}
    finish(served, *ids.values())
    return ids | {"held": create(served, HELD, start=False)}


def test_the_report_is_what_the_command_line_prints(served: Served, studies: dict[str, str]) -> None:
    record = served.store.get_study(studies["tuned"])
    trials = served.store.trials(record.id, with_reports=True)
    found = served.ask(f"/api/v1/studies/{record.id}/report").data
    assert found == json.loads(json.dumps(summary_data(record, trials)))
    assert found["simulated"] is True


def test_a_recommendation_has_every_form_or_says_why_not(served: Served, studies: dict[str, str]) -> None:
    path = f"/api/v1/studies/{studies['tuned']}/recommendation"
    found = served.ask(f"{path}?accelerator_hour_cost=3.6").data
    forms = {offer["form"]: offer for offer in found["forms"]}
    assert "SIMULATED" in forms["command"]["text"]
    assert forms["docker"]["text"] is None
    assert "simulated" in forms["docker"]["missing"]
    cost = found["costs"][0]
    level = cost["loads"][0]
    assert cost["per_hour"] == 3.6
    assert level["per_million_output"] == pytest.approx(3.6 / (level["output_throughput"] * 3600) * 1e6)
    text = served.ask(f"{path}?form=command")
    assert text.headers["content-disposition"] == 'attachment; filename="command.sh"'
    assert text.body.decode() == forms["command"]["text"]
    missing = served.ask(f"{path}?form=docker")
    assert (missing.status, missing.data["message"]) == (409, forms["docker"]["missing"])
    assert served.ask(f"{path}?form=podman").status == 422
    assert served.ask(f"{path}?accelerator_hour_cost=-1").status == 422


@pytest.mark.parametrize(
    ("name", "said"),
    [("collected", "Add an objective"), ("too-large", "gpu_memory_utilization"), ("held", "Wait for the first")],
)
def test_where_there_is_nothing_to_recommend_it_says_what_to_do(
    served: Served, studies: dict[str, str], name: str, said: str
) -> None:
    answer = served.ask(f"/api/v1/studies/{studies[name]}/recommendation")
    assert answer.status == 409
    assert said in answer.data["remedy"]
    assert served.ask(f"/api/v1/studies/{studies[name]}/report").data["recommendation"] is None


def test_the_report_page_may_do_nothing(served: Served, studies: dict[str, str]) -> None:
    answer = served.ask(f"/api/v1/studies/{studies['tuned']}/report.html")
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "sandbox", "frame-ancestors 'none'"} <= set(policy)
    assert not any(word.startswith("script-src") for word in policy)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert b"Simulated engine" in answer.body


def test_exports_are_those_of_the_command_line(served: Served, studies: dict[str, str]) -> None:
    record = served.store.get_study(studies["tuned"])
    trials = served.store.trials(record.id, with_reports=True)
    table = served.ask(f"/api/v1/studies/{record.id}/trials.csv")
    assert table.body.decode() == trials_csv(digest(record, trials))
    assert len(list(csv.DictReader(io.StringIO(table.body.decode())))) == len(trials)
    assert table.headers["content-type"].startswith("text/csv")
    document = served.ask(f"/api/v1/studies/{record.id}/export.json")
    assert document.body.decode() == report_json(record, trials)
    packed = served.ask(f"/api/v1/studies/{record.id}/export.zip")
    assert packed.headers["content-disposition"] == f'attachment; filename="{record.id}.zip"'
    with zipfile.ZipFile(io.BytesIO(packed.body)) as archive:
        assert archive.testzip() is None
        assert archive.read(f"{record.id}/trials.csv") == table.body
        reports = [name for name in archive.namelist() if "/benchmark-reports/" in name]
        assert len(reports) == sum(len(trial.measurements) for trial in trials)


def test_trials_of_several_studies_are_compared(served: Served, studies: dict[str, str]) -> None:
    names = [f"{studies['tuned']}:0", f"{studies['tuned']}:1", f"{studies['collected']}:1"]
    found = served.ask("/api/v1/compare?" + "&".join(f"trials={name}" for name in names)).data
    assert [(column["study"], column["trial"]) for column in found["columns"]] == [
        (studies["tuned"], 0),
        (studies["tuned"], 1),
        (studies["collected"], 1),
    ]
    certain = {value["certainty"] for row in found["rows"] for value in row["values"][1:2]}
    assert certain & {"better", "worse", "within noise"}
    one = {value["certainty"] for row in found["rows"] for value in row["values"][2:] if value["change"] is not None}
    assert one == {"one measurement"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("trials=tuned:0", 422),
        ("trials=../../etc:0&trials=tuned:1", 422),
        ("trials=nowhere:0&trials=nowhere:1", 404),
        ("&".join(f"trials=tuned:{number}" for number in range(20)), 422),
    ],
)
def test_what_cannot_be_compared_is_told(served: Served, studies: dict[str, str], query: str, status: int) -> None:
    answer = served.ask(f"/api/v1/compare?{query}")
    assert answer.status == status, answer.body
