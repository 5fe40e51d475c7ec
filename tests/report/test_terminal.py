"""Summary and comparison as a person reads them. All data are generated."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from servelab.report.compare import compare_trials, print_comparison
from servelab.report.summary import print_summary, summary_data
from servelab.report.words import duration, listed, load_text, one_line, percent, signed
from servelab.spec.errors import DocumentError

A = {"max_num_seqs": 64}


def printed(write):
    console = Console(file=io.StringIO(), width=100)
    write(console)
    return console.file.getvalue()


def test_summary_reads_from_answer_to_cost(tuned):
    tuned.add({"max_num_seqs": 256}, state="failed")
    text = printed(lambda console: print_summary(tuned.record(), tuned.trials, console))
    parts = ["Serve with trial", "default", "How to serve", "vllm serve", "The search, best first"]
    parts += ["What failed", "out of memory in trial", "Lower max_num_seqs", "of work", "concurrency 16"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "410 ms" in text


def test_summary_of_a_simulated_study_starts_with_that(generated):
    made = generated(simulated=True)
    made.baseline()
    text = printed(lambda console: print_summary(made.record(), made.trials, console))
    assert text.startswith("SIMULATED ENGINE")


def test_markup_in_names_is_text(generated, document):
    made = generated(document=document(space={"parameters": {"mode": ["[red]x[/]", "[/bad"]}}))
    made.baseline()
    made.add({"mode": "[red]x[/]"}, 900)
    made.add({"mode": "[/bad"}, 900)
    text = printed(lambda console: print_summary(made.record(), made.trials, console))
    assert "mode=[red]x[/]" in text
    assert "mode=[/bad" in text


def test_summary_data_is_json(tuned):
    data = json.loads(json.dumps(summary_data(tuned.record(), tuned.trials), allow_nan=False))
    assert data["verdict"]["kind"] == "winner"
    assert data["trials"]["verification"] == 9
    assert data["seconds"] == pytest.approx(75 * len(tuned.trials))


def test_compare_calls_repeats_beyond_noise_better_or_worse(generated, document):
    made = generated(document=document(load={"concurrency": [16, 16, 16, 16], "requests": 50}), noise=0.02)
    made.add({}, 1000, 0.3)
    made.add(A, 1300, 0.45)
    made.add({"max_num_seqs": 65}, 1002, 0.3)
    found = compare_trials([(made.record(), trial) for trial in made.trials])
    rows = {row.metric: row.values for row in found.rows}
    assert [difference.certainty for difference in rows["output_throughput"]] == [None, "better", "within noise"]
    assert rows["ttft_p95"][1].certainty == "worse"
    assert any("of one deployment" in caution for caution in found.cautions)
    better = rows["output_throughput"][1]
    assert better.low < 0.3 < better.high
    text = printed(lambda console: print_comparison(found, console))
    assert "+3" in text
    assert "max_num_seqs" in text


def test_compare_of_single_measurements_claims_nothing(generated):
    made = generated()
    made.add({}, 1000)
    made.add(A, 2000)
    found = compare_trials([(made.record(), trial) for trial in made.trials])
    throughput = next(row for row in found.rows if row.metric == "output_throughput")
    assert throughput.values[1].certainty == "one measurement"
    assert "may be noise" in printed(lambda console: print_comparison(found, console))


def test_compare_says_what_is_not_alike(generated, document):
    here = generated()
    there = generated(document=document(model={"id": "other/model"}), machine={"cpu": "another"}, simulated=True)
    here.add({}, 1000)
    there.add({}, 1000)
    found = compare_trials([(here.record(), here.trials[0]), (there.record(), there.trials[0])])
    cautions = " ".join(found.cautions)
    for part in ("differ in models", "different machines", "simulated"):
        assert part in cautions
    json.dumps(found.model_dump(mode="json"), allow_nan=False)


def test_compare_welch_coverage(generated, document):
    """The truth (no change) lies in the 95 % interval in about 95 % of 300 generated pairs of four repeats."""
    covered = 0
    for seed in range(300):
        made = generated(seed=seed, document=document(load={"concurrency": [16] * 4, "requests": 50}))
        made.add({}, 1000)
        made.add(A, 1000)
        found = compare_trials([(made.record(), trial) for trial in made.trials])
        throughput = next(row for row in found.rows if row.metric == "output_throughput").values[1]
        covered += throughput.certainty == "within noise"
    assert 0.91 < covered / 300 < 0.99


def test_compare_needs_two_measured_trials(generated):
    made = generated()
    made.add({}, 1000)
    made.add(A, state="failed")
    with pytest.raises(DocumentError, match="at least two"):
        compare_trials([(made.record(), made.trials[0])])
    with pytest.raises(DocumentError, match=r"trial 1 of .* has no measurement"):
        compare_trials([(made.record(), trial) for trial in made.trials])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (duration(4.2), "4.2 s"),
        (duration(59.7), "1 min"),
        (duration(380), "6 min 20 s"),
        (duration(7500), "2 h 5 min"),
        (percent(0.183), "18 %"),
        (percent(0.0241), "2.4 %"),
        (signed(-0.5), "\N{MINUS SIGN}50 %"),
        (listed(["a", "b", "c"]), "a, b and c"),
        (one_line("a\nb\x1b[31m\u2028c"), "a b [31m c"),
    ],
)
def test_words(said, expected):
    assert said == expected


def test_load_in_words(generated, document):
    assert load_text(generated(document=document(load={"concurrency": [1, 8], "seconds": 90})).study) == (
        "concurrency 1 and 8; 1 min 30 s each"
    )
    assert load_text(generated(document=document(load={"rate": [2.5], "requests": 30})).study) == (
        "2.5 req/s (poisson); 30 requests each"
    )


def test_heavy_libraries_are_loaded_when_needed_only():
    """The command line must not wait for what it may never use."""
    code = "import sys, servelab.report.summary, servelab.report.write, servelab.report.compare\n"
    code += "print([name for name in ('numpy', 'scipy', 'matplotlib', 'jinja2') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
