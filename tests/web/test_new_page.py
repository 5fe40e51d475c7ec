"""A new study: form, plain words and YAML over one document; faults at their fields; what it would do, as one types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from servelab.catalog.study import load_study
from servelab.lab.quickstart import quickstart_study
from servelab.store.store import Store
from tests.web.seen import copied, resize, still
from tests.web.served import Served

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SLOW = 120_000


@pytest.fixture
def form(served: Served, page: Page) -> Page:
    page.goto(f"{served.url}/new")
    ready(page)
    return page


def ready(page: Page) -> None:
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled(timeout=SLOW)


def field(page: Page, label: str) -> Locator:
    return page.get_by_label(label, exact=True)


def yaml(page: Page) -> str:
    return page.get_by_label("The study as YAML", exact=True).inner_text()


def told(page: Page, text: str) -> None:
    expect(page.get_by_label("The study as YAML", exact=True)).to_contain_text(text, timeout=SLOW)


def copies(page: Page, name: str) -> None:
    """Copying works as on a page that came over plain HTTP from another machine."""
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    copied(page, page.get_by_role("button", name=name))


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option").filter(has_text=option).first.click()


def test_what_a_newcomer_finds_is_the_quickstart_and_can_be_started(form: Page) -> None:
    assert load_study(yaml(form)) == quickstart_study()
    copies(form, "Copy the YAML")
    expect(form.get_by_text("8, then 6 to verify the best")).to_be_visible()
    expect(form.get_by_text("runs here without a GPU").first).to_be_visible()
    form.get_by_text("parallel=4 batch_size=2048 flash_attn=auto").click()
    expect(form.get_by_label("The command of configuration 1")).to_contain_text("servelab.engines.llamacpp.server")
    form.get_by_role("button", name="Check this machine").click()
    expect(form.get_by_text("engines run on cores")).to_be_visible(timeout=SLOW)


def test_a_fault_stands_at_its_field_and_nothing_typed_is_lost(form: Page) -> None:
    field(form, "Prompt: mean").fill("")
    expect(form.locator("label", has=field(form, "Prompt: mean"))).to_contain_text("is missing", timeout=SLOW)
    expect(form.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    field(form, "Prompt: mean").fill("32")
    field(form, "Values of batch_size").fill("64, many")
    expect(form.locator("label", has=field(form, "Values of batch_size"))).to_contain_text("whole number", timeout=SLOW)
    field(form, "Name of the study").fill("My Study")
    expect(form.locator("label", has=field(form, "Name of the study"))).to_contain_text("not a valid name")
    expect(field(form, "Values of batch_size")).to_have_value("64, many")
    field(form, "Name of the study").fill("my-study")
    field(form, "Values of batch_size").fill("64, 128")
    ready(form)
    study = load_study(yaml(form))
    assert (study.name, study.workload.prompt.mean) == ("my-study", 32)
    assert study.space is not None
    assert study.space.parameters["batch_size"].values == (64, 128)


def test_a_study_that_cannot_be_planned_says_so_at_the_field(form: Page) -> None:
    field(form, "Model").fill("meta-llama/Llama-3.1-8B-Instruct")
    file = form.locator("label", has=field(form, "File with the weights"))
    expect(file).to_contain_text("llama.cpp needs the file", timeout=SLOW)
    expect(form.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    field(form, "File with the weights").fill("/models/llama.gguf")
    expect(file).not_to_contain_text("needs the file", timeout=SLOW)
    ready(form)


def test_every_part_of_the_form_reaches_the_study(form: Page) -> None:
    choose(form, "Load", "Requests per second")
    field(form, "Levels, requests/s").fill("0.5, 2")
    form.get_by_role("checkbox", name="threads").click()
    field(form, "threads from").fill("2")
    form.get_by_role("checkbox", name="flash_attn").click()
    choose(form, "Objective", "e2e_p95")
    told(form, "e2e_p95")  # this part was made anew
    form.get_by_role("button", name="Add an SLO").click()
    expect(form.get_by_label("Value", exact=True)).to_have_count(2)
    form.get_by_label("Value", exact=True).last.fill("750")
    form.get_by_role("button", name="Usual", exact=True).click()
    expect(field(form, "Trials")).to_have_value("20")  # this part was made anew, too
    form.get_by_role("button", name="Trials: more").click()
    choose(form, "Workload", "chatsweep")
    expect(field(form, "Prompt: mean")).to_have_value("70")
    field(form, "Answer: mean").fill("100")
    told(form, "mean: 100")
    study = load_study(yaml(form))
    assert [point.level for point in study.load.points] == [0.5, 2]
    assert study.space is not None
    assert set(study.space.parameters) == {"parallel", "batch_size", "cache_type_k", "threads"}
    assert study.space.parameters["threads"].contains(2)
    assert not study.space.parameters["threads"].contains(1)
    assert [str(goal) for goal in study.goals] == ["minimize e2e_p95", "itl_p50 <= 300 ms", "ttft_p95 <= 750 ms"]
    assert (study.budget.trials, study.budget.wall_time) == (21, None)
    assert (study.workload.prefix and study.workload.prefix.tokens, study.workload.output.mean) == (284, 100)


def test_an_engine_comes_back_with_its_arguments(form: Page) -> None:
    field(form, "Values of parallel").fill("3, 5")
    choose(form, "Engine", "simulated")
    expect(form.get_by_role("checkbox", name="max_num_seqs")).to_be_visible()
    ready(form)
    expect(form.get_by_text("nothing real is measured")).to_be_visible()
    expect(field(form, "Search at most")).to_have_value("")
    study = load_study(yaml(form))
    assert (study.description, study.budget.wall_time) == ("", None), "these are of quickstart's own engine"
    choose(form, "Engine", "llama.cpp")
    expect(field(form, "Search at most")).to_have_value("2.5")
    expect(field(form, "Values of parallel")).to_have_value("3, 5")
    choose(form, "Where it runs", "a server that runs already")
    expect(form.get_by_text("so only the load varies")).to_be_visible()
    field(form, "URL, without /v1").fill("ftp://x")
    expect(form.locator("label", has=field(form, "URL, without /v1"))).to_contain_text("is not an http", timeout=SLOW)
    choose(form, "Where it runs", "this machine, as a process")
    expect(field(form, "Values of parallel")).to_have_value("3, 5")
    ready(form)


def test_another_engine_gets_its_own_arguments_on_a_server_that_runs_too(form: Page) -> None:
    choose(form, "Where it runs", "a server that runs already")
    expect(field(form, "URL, without /v1")).to_be_visible(timeout=SLOW)
    choose(form, "Engine", "simulated")
    told(form, "engine: {name: simulated}")
    expect(form.get_by_text("so only the load varies")).to_be_visible()
    choose(form, "Where it runs", "this machine, as a process")
    expect(form.get_by_role("checkbox", name="max_num_seqs")).to_be_checked(timeout=SLOW)
    expect(field(form, "Values of batch_size")).to_have_count(0)
    choose(form, "Where it runs", "a server that runs already")
    expect(field(form, "URL, without /v1")).to_be_visible(timeout=SLOW)
    choose(form, "Engine", "llama.cpp")
    told(form, "ctx_size: 4096")
    expect(form.get_by_text("so only the load varies")).to_be_visible()
    choose(form, "Where it runs", "this machine, as a process")
    ready(form)
    assert load_study(yaml(form)) == quickstart_study()


def test_a_design_is_put_aside_with_its_engine(served: Served, page: Page) -> None:
    record = Store(str(served.home / "servelab.db")).create_study(example("factorial"))
    page.goto(f"{served.url}/new?from={record.id}")
    ready(page)
    choose(page, "Engine", "llama.cpp")
    expect(page.get_by_text("Nothing is tuned")).to_be_visible(timeout=SLOW)
    choose(page, "Engine", "simulated")
    expect(page.get_by_text("every combination of its factors")).to_be_visible(timeout=SLOW)
    ready(page)
    assert load_study(yaml(page)) == example("factorial")


def test_yaml_is_told_by_line_and_column_and_the_form_follows_it(form: Page) -> None:
    form.get_by_role("tab", name="YAML").click()
    area = form.get_by_label("The study as YAML or JSON")
    good = area.input_value()
    area.fill(good.replace("mean: 64", "mean: many").replace("budget:", "budgets:"))
    expect(form.get_by_role("button", name="line 9, column 12")).to_be_visible(timeout=SLOW)
    expect(form.get_by_text("did you mean `budget`?").first).to_be_visible()
    form.get_by_role("tab", name="Form").click()
    expect(form.get_by_text("A change here replaces what the YAML says.")).to_be_visible(timeout=SLOW)
    form.get_by_role("tab", name="YAML").click()
    area.fill("# mine\n" + good.replace("mean: 64", "mean: 48"))
    ready(form)
    assert area.input_value().startswith("# mine\n")
    form.get_by_role("tab", name="Form").click()
    expect(field(form, "Prompt: mean")).to_have_value("48")
    expect(form.get_by_text("A change here replaces what the YAML says.")).to_be_hidden()


def test_a_file_is_uploaded_and_what_the_form_does_not_show_stays(form: Page) -> None:
    form.get_by_role("tab", name="YAML").click()
    form.locator("input[type=file]").set_input_files(EXAMPLES / "tune-sglang-ome.yaml")
    told(form, "name: llama-1b-ome")
    form.get_by_role("tab", name="Form").click()
    expect(field(form, "Name of the study")).to_have_value("llama-1b-ome")
    field(form, "Name of the study").fill("other")
    told(form, "name: other")
    assert load_study(yaml(form)) == example("tune-sglang-ome").model_copy(update={"name": "other"})
    form.locator(".q-expansion-item", has_text="tp_size").first.click()
    expect(form.get_by_label("The manifest of configuration 1")).to_contain_text("kind: InferenceService")


def test_a_designed_experiment_is_cloned_whole(served: Served, page: Page) -> None:
    record = Store(str(served.home / "servelab.db")).create_study(example("factorial"))
    page.goto(f"{served.url}/new?from={record.id}")
    expect(page.get_by_text("every combination of its factors")).to_be_visible()
    told(page, "factors:")
    assert load_study(yaml(page)) == example("factorial")
    page.goto(f"{served.url}/new?from=nosuchstudy")
    expect(page.get_by_text("This is the usual first study instead")).to_be_visible()


def test_what_was_typed_outlives_a_restart_of_the_server(served: Served, form: Page) -> None:
    field(form, "Name of the study").fill("half-written")
    told(form, "name: half-written")
    form.wait_for_function("() => Object.values(sessionStorage).some((kept) => kept.includes('half-written'))")
    served.kill()
    served.start()
    expect(form.get_by_text("As you left it.")).to_be_visible(timeout=2 * SLOW)
    expect(field(form, "Name of the study")).to_have_value("half-written", timeout=SLOW)
    field(form, "Prompt: mean").fill("")
    expect(form.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    expect(form.get_by_text("1 thing to mend first")).to_be_visible(timeout=SLOW)
    form.reload()
    expect(form.get_by_role("tab", name="YAML")).to_have_attribute("aria-selected", "true", timeout=SLOW)
    expect(form.get_by_text("is missing").first).to_be_visible()
    form.get_by_role("button", name="Begin anew").click()
    told(form, "name: quickstart")
    ready(form)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_is_shut_out(served: Served, page: Page, theme: str) -> None:
    page.context.add_cookies([{"name": "servelab-theme", "value": theme, "url": served.url}])
    page.goto(f"{served.url}/new")
    ready(page)
    field(page, "Prompt: mean").fill("")
    expect(page.get_by_text("1 thing to mend first")).to_be_visible(timeout=SLOW)
    still(page)
    for tab in ("Form", "Plain words", "YAML"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        found = Axe().run(page, context={"exclude": [[".q-loading-bar"]]}).response["violations"]
        grave = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
        assert grave == []
    resize(page, 390, 844)
    page.wait_for_function("() => document.documentElement.scrollWidth <= 390")


def test_plain_words_lead_to_a_study_in_the_form(form: Page) -> None:
    form.get_by_role("tab", name="Plain words").click()
    form.get_by_label("Your request").fill("tune llama.cpp with smollm2-135m for a chatbot, p95 TTFT below 2 s, here")
    form.get_by_role("button", name="Send").click()
    expect(form.get_by_text("Proceed?")).to_be_visible(timeout=SLOW)
    form.get_by_role("button", name="Yes", exact=True).click()
    expect(form.get_by_text("Its study is in the form")).to_be_visible(timeout=SLOW)
    told(form, "constraints: [ttft_p95 <= 2000ms]")
    form.get_by_role("tab", name="Form").click()
    expect(field(form, "Model")).to_have_value("smollm2-135m")


def test_a_choice_is_a_button_and_a_collection_is_written_for_the_cluster(form: Page, served: Served) -> None:
    form.get_by_role("tab", name="Plain words").click()
    form.get_by_label("Your request").fill("run a chatbot benchmark with llama 70b and TP=4 in namespace perf")
    form.get_by_label("Your request").press("Enter")
    form.locator(".option button").first.click(timeout=SLOW)
    for number in range(2, 6):
        last = form.locator(".answered").nth(number - 1)
        expect(last.get_by_role("button", name="No", exact=True)).to_be_visible(timeout=SLOW)
        if last.get_by_text("Proceed").count():
            break
        last.get_by_role("button", name="No", exact=True).click()
    form.get_by_role("button", name="Yes", exact=True).last.click()
    expect(form.get_by_text("servelab tekton submit")).to_be_visible(timeout=SLOW)
    copies(form, "Copy the command")
    assert list(served.home.glob("asked/*/*/pipelinerun.yaml"))


def example(name: str) -> Any:
    return load_study((EXAMPLES / f"{name}.yaml").read_text())
