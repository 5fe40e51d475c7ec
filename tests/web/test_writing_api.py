"""REST for writing studies: what is wrong, what it would do, what is known, and the dialog in plain words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from jsonschema import Draft202012Validator

from servelab.catalog.study import load_study
from servelab.catalog.written import study_text
from servelab.lab.quickstart import quickstart_study
from servelab.spec.errors import NotFoundError
from servelab.spec.trial import Timings, Trial
from servelab.web.dialogs import MOST, Dialogs
from tests.web.served import Served

GOOD = study_text(quickstart_study())


def test_faults_are_told_with_their_places(served: Served) -> None:
    told = served.ask("/api/v1/validate", {"document": GOOD.replace("mean: 64", "mean: many")}).data
    assert not told["valid"]
    (fault,) = told["faults"]
    assert (fault["path"], fault["line"], fault["column"]) == (["workload", "prompt", "mean"], 9, 12)
    empty = GOOD.replace("name: quickstart", "name: quickstart\nfactors: {threads: []}")
    faults = served.ask("/api/v1/validate", {"document": empty}).data["faults"]
    assert "factors.threads: is empty, give at least 1" in [fault["message"] for fault in faults]
    good = served.ask("/api/v1/validate", {"document": GOOD}).data
    assert (good["valid"], good["faults"], good["document"]) == (True, [], GOOD)


def test_a_plan_says_what_would_be_started(served: Served) -> None:
    told = served.ask("/api/v1/plan", {"document": GOOD})
    assert told.status == 200
    assert told.data["plan"]["trials"] == 8
    assert "servelab.engines.llamacpp.server" in told.data["plan"]["first"][0]["command"]
    assert {finding["check"] for finding in told.data["findings"]} >= {"disk", "engine llamacpp", "model"}
    bad = served.ask("/api/v1/plan", {"document": "name: x"})
    assert bad.status == 422
    assert any("`model` is missing" in problem for problem in bad.data["problems"])
    gone = GOOD.replace("model: smollm2-135m", "model: some/other")
    assert "needs the file" in served.ask("/api/v1/plan", {"document": gone}).data["message"]


def test_a_plug_in_that_is_not_there_is_a_fault_of_the_document(served: Served) -> None:
    unknown = GOOD.replace("name: llamacpp", "name: vlm")
    for path in ("/api/v1/plan", "/api/v1/studies"):
        told = served.ask(path, {"document": unknown})
        assert told.status == 422
        (problem,) = told.data["problems"]
        assert problem.startswith("engine: there is no engine called 'vlm'")
        assert "Did you mean vllm?" in problem


def test_the_time_is_told_where_the_like_was_run_before(served: Served) -> None:
    text = GOOD.replace("wall_time: 150", "wall_time: 3600")
    assert served.ask("/api/v1/plan", {"document": text}).data["pace"] is None
    store = served.store
    record = store.create_study(load_study(GOOD))
    store.add_trials(record.id, [Trial(number=0, parameters={}), Trial(number=1, parameters={})])
    for seconds in (9, 11):
        claimed = store.claim(record.id, "worker")
        assert claimed is not None
        timings = Timings(total=seconds)
        store.finish_trial(record.id, claimed.number, "worker", state="complete", timings=timings, outcome={})
    pace = served.ask("/api/v1/plan", {"document": text}).data["pace"]
    assert pace == {"study": record.id, "trial_seconds": 10, "seconds": (8 + 6) * 10}
    for other in (text.replace("mean: 64", "mean: 32"), text.replace("wall_time:", "repeats: 3\n  wall_time:")):
        assert served.ask("/api/v1/plan", {"document": other}).data["pace"] is None


def test_the_study_itself_is_a_file(served: Served) -> None:
    record = served.store.create_study(load_study(GOOD))
    document = served.ask(f"/api/v1/studies/{record.id}/document")
    assert document.headers["content-disposition"] == f'attachment; filename="{record.id}.json"'
    assert document.data == record.study.model_dump(mode="json")


def test_a_document_that_grows_without_end_is_refused(served: Served) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    for document in ("\n".join(lines), "a: &a [*a]", "x" * 300_000):
        told = served.ask("/api/v1/validate", {"document": document})
        assert told.status == 422 or not told.data["valid"]


def test_the_catalog_and_the_schema_are_served(served: Served) -> None:
    assert served.ask("/api/v1/models").data["smollm2-135m"]["embedded"]
    assert served.ask("/api/v1/workloads").data["chatsweep"]["prefix"] == 284
    engines = {engine["name"]: engine for engine in served.ask("/api/v1/engines").data}
    assert engines["llamacpp"]["installed"]
    assert not engines["trtllm"]["installed"]
    assert served.ask("/api/v1/engines/llamacpp").data["arguments"]["parallel"]["tune"]
    assert served.ask("/api/v1/engines/llamacp").status == 404
    assert "process" in served.ask("/api/v1/platforms").data
    metrics = {metric["name"]: metric for metric in served.ask("/api/v1/metrics").data}
    assert (metrics["ttft_p95"]["unit"], metrics["goodput"]["direction"]) == ("s", "maximize")
    document = quickstart_study().model_dump(mode="json", exclude_defaults=True)
    Draft202012Validator(served.ask("/api/v1/schema").data).validate(document)


def test_a_dialog_goes_from_a_sentence_to_a_study(served: Served) -> None:
    asked = served.ask("/api/v1/ask", {"message": "tune llama.cpp with smollm2-135m, p95 TTFT below 2 s, here"})
    assert asked.status == 200
    assert (asked.data["step"], asked.data["study"]) == ("confirm", None)
    done = served.ask("/api/v1/ask", {"message": "yes", "dialog": asked.data["dialog"]}).data
    assert (done["step"], done["command"]) == ("accepted", None)
    assert load_study(done["study"]).engine.name == "llamacpp"
    assert done["directory"].startswith(str(served.home))
    again = served.ask("/api/v1/ask", {"message": "yes", "dialog": done["dialog"]}).data
    assert again["study"] is None
    assert served.ask("/api/v1/ask", {"message": "yes", "dialog": "unknown"}).status == 404
    assert served.ask("/api/v1/ask", {"message": "x" * 20_000}).status == 422


def test_only_so_many_dialogs_are_kept(home: object) -> None:
    dialogs = Dialogs()
    with ThreadPoolExecutor(max_workers=1) as threads:  # as in the server, where no loop runs in the thread
        begun = [turn.dialog for turn in threads.map(lambda _: dialogs.begin(), range(MOST))]
        assert dialogs.say(begun[0], "tune").dialog == begun[0]
        threads.submit(dialogs.begin).result()
    assert dialogs.say(begun[0], "tune").dialog == begun[0]
    with pytest.raises(NotFoundError, match="forgotten"):
        dialogs.say(begun[1], "tune")
