"""The page: whole without a network, safe with hostile names, readable by parsers. All data are generated."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from servelab.report.digest import digest
from servelab.report.html import report_html
from servelab.report.importance import importances
from servelab.report.plots import all_plots
from servelab.spec.deployment import Failure

HOSTILE = "</style></svg><script>alert(1)</script>&\"'$\\alpha$ {{ 7*7 }}"
VOID = {"meta", "br", "wbr", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects tags, attributes and text; checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def page_of(made, state="complete", message=""):
    text = report_html(digest(made.record(state, message), made.trials))
    page = Page(text)
    assert not page.open
    return text, page


def test_answer_comes_first(tuned):
    text, page = page_of(tuned)
    words = " ".join(page.text)
    order = ["A better configuration was found", "Serve with trial", "How to serve", "The evidence", "All trials"]
    order += ["What this holds for, and what was not tested", "How to repeat it"]
    places = [words.index(heading) for heading in order]
    assert places == sorted(places)
    assert "vllm serve Qwen/Qwen3-0.6B" in words
    assert text.count("<figure>") >= 6


def test_nothing_comes_from_elsewhere(tuned):
    text, page = page_of(tuned)
    assert {"script", "link", "img", "iframe", "object", "embed", "base", "form"}.isdisjoint(page.tags)
    for tag, name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            assert value.startswith("#"), (tag, name, value)
        assert not name.startswith("on"), (tag, name)
    styles = re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL)
    assert styles
    assert not re.search(r"@import|url\((?!#)", " ".join(styles))
    policy = next(value for tag, name, value in page.attributes if "default-src" in value)
    assert "default-src 'none'" in policy
    assert "script" not in policy


def test_hostile_names_stay_text(generated, document):
    changes = {
        "description": HOSTILE,
        "model": {"id": HOSTILE},
        "workload": {"name": HOSTILE, "prompt": 10, "output": 10},
        "space": {"parameters": {"mode": [HOSTILE, "plain"], "n": {"low": 1, "high": 99}}},
    }
    made = generated(document=document(**changes), machine={"cpu": HOSTILE})
    made.baseline()
    for number in range(12):
        made.add({"mode": (HOSTILE, "plain")[number % 2], "n": number}, 900 + 50 * number)
    failure = Failure(kind="crash", stage="ready", message=HOSTILE, remedy=HOSTILE, evidence=HOSTILE)
    made.add({"mode": HOSTILE}, state="failed", failure=failure)
    made.add({"mode": HOSTILE}, state="stopped", note=HOSTILE)
    made.verify({0: (1000, 0.3), 1: (1500, 0.3)})
    text, page = page_of(made, message=HOSTILE)
    assert "script" not in page.tags
    assert "<script" not in text
    assert "49" not in re.findall(r"\{\{ (7\*7|49) \}\}", text)
    assert "{{ 7*7 }}" in "".join(page.text)


def test_simulated_says_so_before_anything_else(generated):
    made = generated(simulated=True)
    made.baseline()
    made.add({"max_num_seqs": 64}, 1300)
    made.verify({0: (1000, 0.3), 1: (1300, 0.3)})
    _, page = page_of(made)
    words = " ".join(" ".join(page.text).split())
    assert words.startswith("Simulated: ")
    banner = words.index("Simulated engine: these numbers describe no real machine")
    assert banner < words.rindex("A better configuration was found")


def test_failures_carry_their_remedy_and_log(tuned):
    tuned.add({"max_num_seqs": 256}, state="failed")
    _, page = page_of(tuned)
    words = " ".join(page.text)
    for part in ("out of memory", "Lower max_num_seqs or max_model_len", "No available memory for the cache blocks"):
        assert part in words


def test_units_are_milliseconds(tuned):
    _, page = page_of(tuned)
    words = " ".join(page.text)
    assert re.search(r"\b4\d\d ms\b", words)
    assert not re.search(r"\b0\.[34]\d* s\b", words)


def test_plots_are_xml_and_repeatable(tuned):
    found = digest(tuned.record(), tuned.trials)
    plots, again = all_plots(found), all_plots(found)
    assert [plot.svg for plot in plots] == [plot.svg for plot in again]
    names = {plot.name for plot in plots}
    assert names == {"gains", "progress", "trade-off", "latency-ttft", "latency-itl", "importance"}
    ids = []
    for plot in plots:
        root = ET.fromstring(plot.svg)
        assert root.tag.endswith("svg")
        assert root.get("aria-label")
        ids += [node.get("id") for node in root.iter() if node.get("id")]
        assert "#0" not in re.sub(r"url\([^)]*\)", "", plot.svg), "a stand-in colour was left"
        assert "var(--ink)" in plot.svg
    assert len(ids) == len(set(ids)), "two plots share an id"


def test_load_levels_get_a_plot(generated, document):
    made = generated(document=document(load={"concurrency": [4, 16, 64], "requests": 100}))
    made.baseline()
    made.add({"max_num_seqs": 64}, 1300)
    made.verify({0: (1000, 0.3), 1: (1300, 0.3)})
    assert "load" in {plot.name for plot in all_plots(digest(made.record(), made.trials))}


def test_importance_finds_what_matters_and_not_the_rest(generated):
    made = generated(seed=3)
    for number in range(40):
        seqs, tokens = made.random.randrange(8, 256), made.random.randrange(512, 8192)
        made.add(
            {"max_num_seqs": seqs, "enable_prefix_caching": number % 2 == 0, "max_num_batched_tokens": tokens},
            500 + 5 * seqs,
        )
    found = {bar.parameter: bar for bar in importances(digest(made.record(), made.trials))}
    assert found["max_num_seqs"].share > 0.7
    assert found["max_num_seqs"].low > 0.5
    assert found["max_num_batched_tokens"].share < 0.2
    assert found["enable_prefix_caching"].share < 0.2


def test_importance_is_silent_on_few_trials(generated):
    made = generated()
    for number in range(7):
        made.add({"max_num_seqs": number + 8}, 500 + number)
    assert importances(digest(made.record(), made.trials)) == []


def _empty(made):
    return "waiting"


def _one_trial(made):
    made.baseline()
    return "running"


def _running_trial(made):
    made.baseline()
    made.add({"max_num_seqs": 9}, state="running", measurements=())
    return "running"


def _all_failed(made):
    made.baseline(state="failed")
    made.add({"max_num_seqs": 9}, state="failed")
    return "failed"


def _all_stopped(made):
    made.add({"max_num_seqs": 9}, 900, 0.9, state="stopped", note="hopeless")
    return "complete"


def _verified(made):
    made.baseline()
    made.add({"max_num_seqs": 9}, 1300)
    made.verify({0: (1000, 0.3), 1: (1300, 0.3)})
    return "complete"


def _no_quantiles(made):
    bare = {"quantiles": {}, "metrics": {"output_throughput": 10.0, "ttft_p95": 0.1}}
    made.baseline(report=bare)
    made.add({"max_num_seqs": 9}, report=bare)
    return "complete"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"constraints": []},
        {"objectives": ["minimize ttft_p95", "maximize output_throughput"], "constraints": []},
        {"objectives": [], "constraints": [], "space": None, "treatments": [{"max_num_seqs": 9}]},
        {"load": {"rate": [2, 4], "seconds": 30}},
    ],
    ids=["slo", "no slo", "two objectives", "no objective", "rates"],
)
@pytest.mark.parametrize(
    "story", [_empty, _one_trial, _running_trial, _all_failed, _all_stopped, _verified, _no_quantiles]
)
def test_every_kind_of_study_has_a_page(generated, document, changes, story):
    made = generated(document=document(**changes))
    state = story(made)
    _, page = page_of(made, state)
    assert "What this holds for, and what was not tested" in page.text
