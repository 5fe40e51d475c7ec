"""What consumers read, held against their own CRDs and samples."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from servelab.perf.autoscaler import Variant, annotated, config_map, variant_autoscaling
from servelab.perf.blis_trace import COLUMNS, trace_header, trace_rows
from servelab.perf.models import LinearBatch, LinearPrefill, Tokenwise
from servelab.perf.pair import Pair, estimate_pair
from servelab.perf.parameters import Fit, FittedWorkload, Origin, Parameters
from servelab.perf.text import yaml_text
from servelab.spec.errors import DocumentError
from servelab.spec.load import LoadPoint
from servelab.spec.report import Provenance, Report
from servelab.spec.workload import SharedPrefix

SHARED = Path(os.environ.get("SERVELAB_SHARED", Path(__file__).parents[3] / "shared"))
DATA = SHARED / "data" / "param-estimation"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")

FOUND = estimate_pair(Pair(7.0, 8.7, 64, 15, 26, 128))
VARIANT = Variant("unsloth/Meta-Llama-3.1-8B", "llama-8b", "prod", "A100", 2, 64)


def read(path):
    return list(YAML(typ="safe").load_all((DATA / path).read_text()))


def strict(schema):
    """A CRD's schema in which unknown fields are faults, as with strict validation of the API server."""
    if schema.get("type") == "object" and "properties" in schema and schema["properties"]:
        inner = {name: strict(one) for name, one in schema["properties"].items()}
        return {**schema, "properties": inner, "additionalProperties": False}
    if schema.get("type") == "array":
        return {**schema, "items": strict(schema["items"])}
    return schema


def check(made, crd):
    (definition,) = read(crd)
    assert made["apiVersion"] == f"{definition['spec']['group']}/{definition['spec']['versions'][0]['name']}"
    assert made["kind"] == definition["spec"]["names"]["kind"]
    schema = strict(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    jsonschema.validate({**made, "metadata": {}}, schema)


@needs_data
def test_perf_parms_are_those_of_the_last_crd_that_had_them():
    made = variant_autoscaling(FOUND, VARIANT)
    check(made, "crd/2026-01-07-last-with-perfParms.yaml")
    (profile,) = made["spec"]["modelProfile"]["accelerators"]
    assert profile["perfParms"]["decodeParms"] == {"alpha": "6.97302", "beta": "0.0269841"}
    assert profile["perfParms"]["prefillParms"] == {"gamma": "14.8254", "delta": "0.00136409"}
    assert (profile["acc"], profile["accCount"], profile["maxBatchSize"]) == ("A100", 2, 64)


@needs_data
def test_perf_parms_are_those_of_the_first_crd_that_had_them():
    made = variant_autoscaling(FOUND, Variant("m", "m", slo_class=("service-classes-config", "premium.yaml")))
    check(made, "crd/2025-09-16-first-with-prefill.yaml")


@needs_data
def test_todays_crd_refuses_them():
    with pytest.raises(jsonschema.ValidationError, match="modelProfile"):
        check(variant_autoscaling(FOUND, VARIANT), "crd/2026-02-19.yaml")


def test_perf_parms_need_both_models():
    with pytest.raises(DocumentError, match="linear-prefill is not among these parameters"):
        variant_autoscaling(estimate_pair(Pair(7.0, 8.7)), VARIANT)


def keys(text):
    """The keys of an entry, those that are commented out included."""
    lines = (line.strip().lstrip("# ").strip() for line in text.splitlines())
    return {line.partition(":")[0] for line in lines if ":" in line and " " not in line.partition(":")[0]}


@needs_data
def test_the_config_map_is_todays():
    (sample,) = read("wva-2026-08/configmap-queueing-model.yaml")
    made = config_map(FOUND, VARIANT, slo={"ttft": 0.5, "itl": 0.05})
    assert made["metadata"]["name"] == sample["metadata"]["name"]
    assert made["metadata"]["namespace"] == sample["metadata"]["namespace"]
    yaml = YAML(typ="safe")
    assert yaml.load(made["data"]["default"]) == yaml.load(sample["data"]["default"])
    entry = yaml.load(made["data"]["llama-8b"])
    assert entry["model_id"] == "unsloth/Meta-Llama-3.1-8B"
    assert (entry["targetTTFT"], entry["targetITL"]) == (500.0, 50.0)  # ms
    assert set(entry) <= keys((DATA / "wva-2026-08/configmap-queueing-model.yaml").read_text())
    assert yaml.load(yaml_text(made)) == made


def test_targets_follow_from_tokenwise_as_the_analyzer_infers_them():
    """TTFT = k alpha + (beta + gamma) in, ITL = k alpha + beta + gamma (in + (out + 1) / 2)."""
    found = Parameters(
        fits=(Fit.of(LinearBatch(0.007, 0.00002)), Fit.of(Tokenwise(0.005, 0.00005, 5e-8))),
        decode="linear-batch",
        workload=FittedWorkload(prompt_tokens=1000, output_tokens=199),
        provenance=Origin(method="given"),
    )
    entry = YAML(typ="safe").load(config_map(found, VARIANT, 4.0)["data"]["llama-8b"])
    assert entry["targetTTFT"] == pytest.approx(20 + (0.05 + 5e-5) * 1000, abs=1e-3)
    assert entry["targetITL"] == pytest.approx(20 + 0.05 + 5e-5 * 1100, abs=1e-3)
    assert entry["sloMultiplier"] == 4.0


def test_half_a_target_is_refused():
    with pytest.raises(DocumentError, match="both targets or none"):
        config_map(FOUND, VARIANT, slo={"ttft": 0.5})
    assert "targetTTFT" not in config_map(FOUND, VARIANT)["data"]["llama-8b"]


@needs_data
@pytest.mark.parametrize(
    ("kind", "sample"),
    [("HorizontalPodAutoscaler", "hpa/annotations/hpa"), ("ScaledObject", "keda/annotations/scaledobject")],
)
def test_annotations_are_todays(kind, sample):
    (theirs,) = read(f"wva-2026-08/config/samples/{sample}.yaml")
    made = annotated(VARIANT, kind)
    assert (made["apiVersion"], made["kind"]) == (theirs["apiVersion"], theirs["kind"])
    assert set(made["metadata"]["annotations"]) == set(theirs["metadata"]["annotations"])
    assert made["metadata"]["annotations"]["llm-d.ai/managed"] == theirs["metadata"]["annotations"]["llm-d.ai/managed"]
    assert made["metadata"]["annotations"]["llm-d.ai/variant-cost"] == "10.0"


def test_letters_are_of_their_models_only():
    """A prefill's delta is no decode's; what is exported comes from the models of that name."""
    found = Parameters(
        fits=(Fit.of(Tokenwise(0.5, 0.5, 0.5)), Fit.of(LinearBatch(0.007, 2e-5)), Fit.of(LinearPrefill(0.01, 1e-6))),
        decode="tokenwise",
        provenance=Origin(method="given"),
    )
    (profile,) = variant_autoscaling(found, VARIANT)["spec"]["modelProfile"]["accelerators"]
    assert profile["perfParms"]["decodeParms"]["alpha"] == "7"


def test_a_trace_pair_has_the_columns_of_inference_sim(tmp_path):
    records = tmp_path / "records.jsonl.gz"
    ok = {"intended": 0.0, "sent": 0.001, "end": 1.3, "error": None, "first": 0.25, "last": 1.25}
    lost = {"intended": 0.5, "sent": 0.5, "end": 0.6, "error": "http 500", "first": None, "last": None}
    tokens = {"prompt_tokens": 128, "output_tokens": 101, "chunks": 101, "reasoning_chunks": 0}
    with gzip.open(records, "wt") as file:
        file.writelines(json.dumps({**one, **tokens}) + "\n" for one in (lost, ok))
    provenance = Provenance(
        servelab="0", harness="builtin", harness_version="0", engine="vllm", model="m", seed=7, started_at="2026-01-01"
    ).model_copy(update={"parameters": {"max_num_seqs": 64, "tensor_parallel_size": 2}})
    made = Report(
        load=LoadPoint(kind="concurrency", level=2), metrics={}, requests=2, duration=1, provenance=provenance
    )
    header = YAML(typ="safe").load(trace_header(made))
    assert header["trace_version"] == 2
    assert header["time_unit"] == "microseconds"
    assert header["mode"] == "real"
    assert header["server"] == {"type": "vllm", "model": "m", "tensor_parallel": 2, "max_num_seqs": 64}
    rows = list(csv.DictReader(io.StringIO(trace_rows(made, records))))
    assert len(COLUMNS) == 27
    assert tuple(rows[0]) == COLUMNS
    first, second = rows
    assert (first["arrival_time_us"], first["send_time_us"]) == ("0", "1000")
    assert (first["first_chunk_time_us"], first["last_chunk_time_us"]) == ("250000", "1250000")
    assert (first["input_tokens"], first["output_tokens"], first["status"]) == ("128", "101", "ok")
    assert (first["finish_reason"], second["finish_reason"]) == ("", ""), "records do not tell why an answer ended"
    assert (first["prefix_group"], first["prefix_length"]) == ("", "0")
    shared, _ = csv.DictReader(io.StringIO(trace_rows(made, records, SharedPrefix(tokens=100))))
    assert (shared["prefix_group"], shared["prefix_length"], shared["input_tokens"]) == ("shared", "100", "28")
    assert shared["server_input_tokens"] == "128"
    many, _ = csv.DictReader(io.StringIO(trace_rows(made, records, SharedPrefix(tokens=100, groups=2))))
    assert (many["prefix_group"], many["input_tokens"]) == ("", "128"), "records do not tell which of the two"
    assert (second["status"], second["error_message"]) == ("error", "http 500")
